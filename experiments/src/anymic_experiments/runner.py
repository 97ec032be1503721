"""Many pieces of work, resumable and in several processes: each is done once and kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic._internal import machine
from anymic._internal.files import write_arrays
from anymic._internal.processes import in_processes, visible_gpus
from anymic._internal.progress import track

Arrays = Mapping[str, NDArray[Any]]


class Task(ABC):
    """A piece of work that leaves its result in a folder and can be sent to another process."""

    @abstractmethod
    def done(self, out: Path) -> bool:
        """Say whether the result is there."""

    @abstractmethod
    def finish(self, out: Path) -> None:
        """Do the work, and write the result last, so that half-done work is done again."""


class FileTask(Task):
    """A task whose result is one file of arrays."""

    @abstractmethod
    def file(self, out: Path) -> Path:
        """Return the file of the result."""

    def done(self, out: Path) -> bool:
        """Say whether the file is there."""
        return self.file(out).is_file()

    def read(self, out: Path) -> dict[str, NDArray[Any]]:
        """Return the result as it was kept."""
        with np.load(self.file(out)) as found:
            return {name: found[name] for name in found.files}


class ArrayTask(FileTask):
    """A task that returns the arrays that are kept."""

    @abstractmethod
    def arrays(self, out: Path) -> Arrays:
        """Do the work."""

    def finish(self, out: Path) -> None:
        """Do the work and keep its result."""
        write_arrays(self.file(out), **self.arrays(out))


def finish_all(
    tasks: Iterable[Task],
    out: Path,
    *,
    workers: int = 2,
    progress: bool = True,
    doing: str = "training",
) -> None:
    """Do every task, each once: what is found finished in `out` is not repeated.

    At a time so many processes work, each with its share of the processors and of the GPUs.
    """
    missing = [task for task in dict.fromkeys(tasks) if not task.done(out)]
    work = partial(_finish, out=out)
    done = in_processes(work, missing, workers=workers, gpus=visible_gpus())
    for _ in track(done, len(missing), doing, shown=progress):
        pass  # each task writes its result


def _finish(task: Task, out: Path) -> None:
    machine.keep_memory()
    task.finish(out)
