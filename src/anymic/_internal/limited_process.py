"""Work on one file in a process of its own, with a limit of time and one of memory.

For libraries that never return on some files, end the process, or use all memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from anymic._internal.reading import reason_of
from anymic.errors import ConfigError

LONGEST_S = 120
BYTES_PER_S = 10 << 20  # of a file, for each of which there is a second more
MEMORY_TIMES = 4  # the size of a file, so much memory more
OUT_OF_MEMORY = 3  # exit status
OUT_OF_TIME = -24  # ended by SIGXCPU


class LimitError(ValueError):
    """A process reached its limit of time or of memory."""


def output_of(
    module: str, path: Path, *, name: str, cpu_s: int, memory_mb: int = 0, data: bytes = b""
) -> bytes:
    """Return what a module writes to stdout, run as a program that calls `work_on`.

    Parameters
    ----------
    module : str
    path : path
        The argument of the module's work.
    name : str
        What works there, for messages.
    cpu_s : int
        Seconds of a processor, with a second more for each 10 MB of the file.
    memory_mb : int
        Megabytes of address space, with four times the size of the file more; 0 for no limit.
    data : bytes
        What the module can read from stdin, in place of the file.

    Raises
    ------
    ValueError
        With the reason, if the module raises an error; LimitError if it reaches a limit.
    """
    size = len(data) or path.stat().st_size
    memory = (memory_mb << 20) + MEMORY_TIMES * size if memory_mb else 0
    seconds = cpu_s + size // BYTES_PER_S
    longest_s = LONGEST_S + 4 * seconds  # other programs may run, too
    limits = [str(seconds), str(memory)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, os.path.abspath(path), *limits],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(place for place in sys.path if place),
                "OMP_NUM_THREADS": "1",  # each thread takes address space
                "OPENBLAS_NUM_THREADS": "1",
            },
            input=data,
            capture_output=True,
            timeout=longest_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LimitError(f"{name} does not end within {longest_s} s") from error
    if done.returncode == OUT_OF_MEMORY:
        most = f"{memory >> 20} MB of memory" if memory else "the memory that there is"
        raise LimitError(f"{name} takes more than {most}")
    if done.returncode == OUT_OF_TIME:
        raise LimitError(f"{name} takes more than {seconds} s of a processor")
    if done.returncode:
        lines = done.stderr.decode(errors="replace").splitlines() or [f"{name} failed"]
        raise ValueError(
            lines[-1] if done.returncode == 1 else f"{name} does not finish, or failed"
        )
    return done.stdout


def work_on(work: Callable[[Path], None]) -> None:
    """Do the work of a module that `output_of` runs, within the limits that it states."""
    path, seconds, memory = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with suppress(ImportError):  # on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit = int(time.process_time()) + 1 + seconds  # other programs' work does not count
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        work(path)
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)
    except Exception as error:
        sys.exit(reason_of(error))


def stated_limit(name: str, default: int) -> int:
    """Return the value of the environment variable ANYMIC_<NAME>, else the default.

    Raises
    ------
    ConfigError
        If the variable is not a whole number above 0.
    """
    variable = f"ANYMIC_{name.upper()}"
    text = os.environ.get(variable)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 12 or int(text) == 0:
        raise ConfigError(
            f"the environment variable {variable} is {text[:40]!r}",
            expected="a whole number above 0",
            fix=f"unset it for the default of {default}",
        )
    return int(text)
