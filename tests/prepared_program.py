"""`anymic` and `python` that begin at once: copies of a process that has imported packages.

A fresh `anymic` needs seconds to import torch and others, more than most commands then work. Here a
process imports the packages of others once, nothing of anymic, and is copied (`fork`) for each
command. The command has its own process, arguments, folder, environment, standard streams and exit
status, and imports anymic itself. `python` runs a file, or the program after `-c`. A test of how a
process begins, of signals, of closed streams, or of variables that Python reads when it begins
(`PYTHONPATH` apart) starts a fresh one instead.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

PACKAGES = ["pandas", "scipy.signal", "sklearn.linear_model", "soundfile", "soxr", "av", "typer"]
PACKAGES += ["torch", "torch._dynamo", "matplotlib.figure", "rich.progress", "librosa"]
PACKAGES += ["torch.utils.tensorboard", "pytorch_lightning", "fastapi", "uvicorn"]
PACKAGES += ["safetensors.torch"]
THREADED = "onnxruntime"  # starts a thread that a copy would lack: Lightning must not import it
MODES = {"stdin": "r", "stdout": "w", "stderr": "w"}
TOLD = "COPYS_PROCESS"  # the variable with the descriptor that the id of the copy is written to
# They ask for a copy that has their streams. Without the site's packages it begins at once.
PROGRAM = """#!{python} -IS
import json, os, signal, socket, sys
ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
told = os.environ.pop({told!r}, None)
with socket.socket(socket.AF_UNIX) as place:
    place.connect({address!r})
    socket.send_fds(place, [b"x"], [0, 1, 2])
    with place.makefile("rw") as both:
        print(json.dumps([sys.argv, os.getcwd(), dict(os.environ), ignored]), file=both, flush=True)
        if told:
            os.write(int(told), both.readline().encode())
        else:
            both.readline()
        status = int(both.readline())
sys.exit(status)
"""
FRESH = """#!{python}
import runpy, sys
own = runpy.run_path({file!r})
own["block"]({without})
own["become"](sys.argv)
"""


@contextmanager
def program(without: Sequence[str] = ()) -> Iterator[Path]:
    """Give the path of a program `anymic`, beside a `python`; they are there until the block ends.

    Packages that they are `without` cannot be imported, as if they were not installed. Where
    processes have no descriptors (other systems than Linux), they are fresh ones.
    """
    if not hasattr(os, "pidfd_open"):
        with fresh_program(without) as found:
            yield found
        return
    with tempfile.TemporaryDirectory() as folder:
        address, found = str(Path(folder, "place")), Path(folder, "bin", "anymic")
        command = [sys.executable, __file__, address, *without]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as prepared:
            assert prepared.stdin is not None
            assert prepared.stdout is not None
            assert prepared.stdout.readline() == b"ready\n"
            found.parent.mkdir()
            for one in (found, found.with_name("python")):
                one.write_text(PROGRAM.format(python=sys.executable, address=address, told=TOLD))
                one.chmod(0o755)
            yield found
            prepared.stdin.close()  # it ends, as it would if this process were killed


@contextmanager
def fresh_program(without: Sequence[str]) -> Iterator[Path]:
    """Give what `program` does, where every command begins by importing what it needs."""
    if not without:
        yield Path(sys.executable).with_name("anymic")
        return
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "anymic")
        for one in (found, found.with_name("python")):
            one.write_text(FRESH.format(python=sys.executable, file=__file__, without=[*without]))
            one.chmod(0o755)
        yield found


@functools.cache
def shared() -> Path:
    """Return the path of a program `anymic` that is there until this process ends."""
    kept = ExitStack()
    atexit.register(kept.close)
    return kept.enter_context(program())


class Copy(subprocess.Popen[str]):
    """A program whose signals reach the copy that runs it; `copys_pid` is its process."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.copys_pid = 0
        read, told = os.pipe()
        super().__init__(
            [str(shared()), *arguments],
            env={**environment, TOLD: str(told)},
            pass_fds=[told],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(told)
        with open(read) as lines:
            self.copys_pid = int(lines.readline() or 0)

    def send_signal(self, sig: int) -> None:
        """Send it to the copy, while this is there."""
        if self.poll() is None:
            os.kill(self.copys_pid or self.pid, sig)


class Without(PathFinder):
    """Find the installed packages, without some of them."""

    names: frozenset[str] = frozenset()  # as they are imported

    @classmethod
    def find_spec(cls, fullname: str, *others: Any) -> Any:
        """Return None for these."""
        own = fullname.partition(".")[0]
        return None if own in cls.names else super().find_spec(fullname, *others)

    @classmethod
    def find_distributions(cls, context: Any) -> Any:  # type: ignore[override]
        """Return none for these."""
        own = (context.name or "").replace("-", "_")
        return () if own in cls.names else super().find_distributions(context)


def folders(environment: Mapping[str, str]) -> list[str]:
    """Return what Python puts first where it looks for modules."""
    value = environment.get("PYTHONPATH")
    return value.split(os.pathsep) if value else []


def block(names: Sequence[str]) -> None:
    """Let these packages, and no others, be missing in this process."""
    Without.names = frozenset(names)
    sys.meta_path[:] = [Without if one is PathFinder else one for one in sys.meta_path]


def serve(address: str, without: Sequence[str]) -> None:
    """Import the packages, and answer each program by a copy of this process; end with stdin."""
    block([THREADED, *without])
    gc.disable()  # nothing of it becomes garbage
    for name in PACKAGES:
        with suppress(ModuleNotFoundError) if without else nullcontext():
            importlib.import_module(name)
    block(without)
    sys.path[:] = sys.path[1 + len(folders(os.environ)) :]  # without the folder of this file
    gc.freeze()  # else each copy would look through all of it when it ends
    gc.enable()
    for ended in weakref.finalize._registry:  # type: ignore[attr-defined]
        ended.atexit = False  # of torch's operators, which end with the process
    if "torch._dynamo.utils" in sys.modules:  # it words a log line that nobody has asked for
        atexit.unregister(sys.modules["torch._dynamo.utils"].dump_compile_times)
    running: list[Running] = []
    with socket.socket(socket.AF_UNIX) as place:
        place.bind(address)
        place.listen()
        print("ready", flush=True)
        while True:
            news = [part for one in running for part in (one.asked, one.descriptor)]
            ready = {*select.select([sys.stdin, place, *news], [], [])[0]}
            for one in running[:]:
                if sys.stdin in ready or {one.asked, one.descriptor} & ready:
                    running.remove(one)
                    one.end()
            if sys.stdin in ready:
                return
            if place in ready:
                asked, _ = place.accept()
                running += answer(asked, [place, *(one.asked for one in running)])


class Running(NamedTuple):
    """A copy that runs a command, and the program that asked for it."""

    asked: socket.socket
    process: int
    descriptor: int

    def end(self) -> None:
        """Send the status of the copy; kill it first if it is not it that has ended."""
        if not select.select([self.descriptor], [], [], 0)[0]:
            os.kill(self.process, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        os.close(self.descriptor)
        with self.asked, suppress(BrokenPipeError):
            self.asked.sendall(b"%d\n" % (status % 256 if status >= 0 else 128 - status))


def answer(asked: socket.socket, others: Sequence[socket.socket]) -> list[Running]:
    """Begin a command in a copy, which has no use for `others`; none if the program is gone."""
    _, streams, _, _ = socket.recv_fds(asked, 1, 3)
    with asked.makefile("r") as lines:
        request = lines.readline()
    if not request:
        asked.close()
        return []
    arguments, folder, environment, ignored = json.loads(request)
    process = os.fork()
    if process == 0:
        for one in (asked, *others):
            one.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
        begin(arguments, folder, environment, streams)
    for stream in streams:
        os.close(stream)
    with suppress(BrokenPipeError):
        asked.sendall(b"%d\n" % process)
    return [Running(asked, process, os.pidfd_open(process))]


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
    tempfile.tempdir = None  # that of the environment
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = folders(environment)
    try:
        become(arguments)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            end(ended.code or 0)
        raise


def end(status: int) -> NoReturn:
    """End as Python does, but for taking apart all modules, which takes a third of a second."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for the threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def become(arguments: list[str]) -> NoReturn:
    """Be `anymic` or `python`, as the first argument names it."""
    if Path(arguments[0]).name == "python":
        run_python(arguments[1:])
    sys.argv = arguments
    from anymic.cli import main

    sys.exit(main())


def run_python(arguments: list[str]) -> NoReturn:
    """Run a file, or the program after `-c`, as `python` would."""
    first, *others = arguments
    if first == "-c":
        program, *others = others
        own = sys.modules["__main__"] = ModuleType("__main__")
        sys.path.insert(0, "")
        sys.argv = [first, *others]
        exec(compile(program, "<string>", "exec"), vars(own))
    else:
        sys.path.insert(0, str(Path(first).absolute().parent))
        sys.argv = arguments
        runpy.run_path(first, run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
