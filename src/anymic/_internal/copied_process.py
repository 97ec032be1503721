"""Imported ahead by the process that others are copies of: it removes its socket when it ends.

Its parent removes it otherwise, but not where it is killed. It searches for no garbage, because it
only imports modules; its copies do (`processes.begin_with`).
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress
from multiprocessing import forkserver


def _remove_socket() -> None:
    server = getattr(forkserver, "_forkserver", None)
    address = getattr(server, "_forkserver_address", None)
    is_server = getattr(server, "_forkserver_pid", None) is None  # others know the server's
    if is_server and isinstance(address, str):
        with suppress(OSError):
            os.unlink(address)
            os.rmdir(os.path.dirname(address))


if sys.argv[:1] == ["-c"] and sys.platform == "linux":  # so that process is started
    gc.disable()
    atexit.register(_remove_socket)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
