"""`anymic` as a program that begins at once: a copy of a process that has imported its packages.

A fresh `anymic` needs seconds to import torch and others, more than most commands then work. Here a
process imports the packages of others once, nothing of anymic, and is copied (`fork`) for each
command. The command has its own process, arguments, folder, environment, standard streams and exit
status, and imports anymic itself. A test of how a process begins, of signals, of closed streams, or
of variables that Python reads when it begins starts a fresh one instead.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ["pandas", "scipy.signal", "sklearn.linear_model", "soundfile", "soxr", "av", "typer"]
PACKAGES += ["torch", "matplotlib.figure", "rich.progress"]
# Not those that import onnxruntime (Lightning, by torchmetrics): a copy would lack its thread.
MODES = {"stdin": "r", "stdout": "w", "stderr": "w"}
# It asks for a copy that has its streams. Without the site's packages it begins at once.
PROGRAM = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as place:
    place.connect({address!r})
    socket.send_fds(place, [b"x"], [0, 1, 2])
    with place.makefile("rw") as both:
        print(json.dumps([sys.argv, os.getcwd(), dict(os.environ)]), file=both, flush=True)
        status = int(both.readline())
sys.exit(status)
"""


@contextmanager
def program() -> Iterator[Path]:
    """Give the path of a program `anymic`, which is there until the block ends.

    Where processes have no descriptors (other systems than Linux), it is the installed one.
    """
    if not hasattr(os, "pidfd_open"):
        yield Path(sys.executable).with_name("anymic")
        return
    with tempfile.TemporaryDirectory() as folder:
        address, found = str(Path(folder, "place")), Path(folder, "bin", "anymic")
        command = [sys.executable, __file__, address]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as prepared:
            assert prepared.stdin is not None
            assert prepared.stdout is not None
            assert prepared.stdout.readline() == b"ready\n"
            found.parent.mkdir()
            found.write_text(PROGRAM.format(python=sys.executable, address=address))
            found.chmod(0o755)
            yield found
            prepared.stdin.close()  # it ends, as it would if this process were killed


def serve(address: str) -> None:
    """Import the packages, and answer each program by a copy of this process; end with stdin."""
    for name in PACKAGES:
        importlib.import_module(name)
    gc.freeze()  # else each copy would look through all of it when it ends
    with socket.socket(socket.AF_UNIX) as place:
        place.bind(address)
        place.listen()
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a copy
        while True:
            ready, _, _ = select.select([place, sys.stdin], [], [])
            if place not in ready:
                return
            asked, _ = place.accept()
            with asked:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    place.close()
                    answer(asked)


def answer(asked: socket.socket) -> None:
    """Run the command in a copy and send its status; end it if the program is killed that asked."""
    _, streams, _, _ = socket.recv_fds(asked, 1, 3)
    with asked.makefile("rw") as both:
        arguments, folder, environment = json.loads(both.readline())
        command = os.fork()
        if command == 0:
            asked.detach()
            begin(arguments, folder, environment, streams)
        for one in streams:
            os.close(one)
        ended = os.pidfd_open(command)
        ready, _, _ = select.select([asked.fileno(), ended], [], [])
        if ended not in ready:
            os.kill(command, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
        if ended in ready:
            print(status % 256 if status >= 0 else 128 - status, file=both, flush=True)
    os._exit(0)


def begin(
    arguments: list[str], folder: str, environment: dict[str, str], streams: list[int]
) -> None:
    """Be the program: with its arguments, folder, environment and streams."""
    for number, (one, (name, mode)) in enumerate(zip(streams, MODES.items(), strict=True)):
        os.dup2(one, number)
        os.close(one)
        own = getattr(sys, name)
        opened = open(number, mode, encoding=own.encoding, errors=own.errors)  # noqa: SIM115
        setattr(sys, name, opened)
        setattr(sys, f"__{name}__", opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    sys.path.pop(0)  # the folder of this file
    from anymic.cli import main

    sys.exit(main())


if __name__ == "__main__":
    serve(sys.argv[1])
