"""SIGINT and SIGTERM end the program with one line, and with the status that a shell expects."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

LINES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
TERMINATED = 128 + signal.SIGTERM
PATIENCE_S = 5  # to delete temporary files; a thread may wait for a file for ever

_raises = False  # whether a signal raises an exception
_received: signal.Signals | None = None


def end_in_one_line() -> None:
    """Let both signals end this program, unless its parent made it ignore them."""
    if threading.current_thread() is not threading.main_thread():
        return
    for one in LINES:
        if signal.getsignal(one) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(one, _end)
            atexit.register(signal.signal, one, signal.SIG_IGN)  # as good as ended
    if hasattr(signal, "SIGALRM"):
        atexit.register(signal.alarm, 0)  # the interpreter's end resets what it would do


@contextmanager
def raised() -> Iterator[None]:
    """Raise KeyboardInterrupt or SystemExit for a signal in the block, so that it can clean up."""
    global _raises
    _raises = True
    try:
        yield
    finally:
        _raises = False


def received() -> signal.Signals | None:
    """Return the signal that ends the program, if one was received."""
    return _received


def _end(number: int, frame: FrameType | None) -> None:
    global _received
    said = _received is not None and not _raises
    if number in LINES:
        sent = signal.Signals(number)
        if _raises and _received is None and not _imports(frame):
            _received = sent
            if hasattr(signal, "SIGALRM"):
                signal.signal(signal.SIGALRM, _end)
                signal.alarm(PATIENCE_S)
            raise KeyboardInterrupt if sent == signal.SIGINT else SystemExit(TERMINATED)
        _received = _received or sent
    assert _received is not None
    with suppress(Exception):
        sys.stdout.flush()
    with suppress(Exception):
        if not said:
            print(LINES[_received], file=sys.stderr, flush=True)
    os._exit(128 + _received)


def _imports(frame: FrameType | None) -> bool:
    """Say whether a module is being imported, which may make any error of an exception."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
