"""Compute groups of recordings in several processes, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from anymic._internal.cluster import on_cluster, require_one
from anymic._internal.processes import visible_gpus
from anymic._internal.workers import Lost, in_workers
from anymic.errors import AudioError, ConfigError, Failure
from anymic.inference.pipeline import ClipPipeline
from anymic.inference.requests import ClipRequest
from anymic.inference.resuming import Found

Result = TypeVar("Result")
Load = Callable[[], Callable[[list[ClipRequest]], list[Result | Failure]]]
Group = list[ClipRequest]
Run = Callable[[Any, Iterable[Group]], Iterator[tuple[int, Group, Any]]]
GPUS = ("auto", "cuda")  # accelerators that may be one


@dataclass(frozen=True)
class Spreading:
    """Where the recordings of a run are computed: in this process, in several, or on a cluster.

    Each of several processes loads the model once, and uses its share of the processors. One that
    is ended, such as by a lack of memory, is replaced, and its recordings are done again; a
    recording with which it ends each time is a failure.

    Parameters
    ----------
    workers : int
        With 1, this process computes.
    ray : str, optional
        The address of a Ray cluster (`anymic._internal.cluster.on_cluster`): it computes. Files and
        model must be readable there by the same paths.

    Raises
    ------
    ConfigError
        If there are less than one, or both are given, or the address is none.

    Examples
    --------
    >>> Spreading(workers=2)
    Spreading(workers=2, ray=None)
    """

    workers: int = 1
    ray: str | None = None

    def __post_init__(self) -> None:
        require_one(self.workers if self.workers > 1 else None, self.ray)
        if self.workers < 1:
            raise ConfigError(f"workers is {self.workers}", expected="1 or more", fix="raise it")

    def over(
        self, load: Load[Result], *, accelerator: str
    ) -> Callable[[Iterator[Group]], Found[Result]] | None:
        """Return the function that computes groups elsewhere; None if this process does.

        `load` is called in each process, and returns the function that computes a group.
        """
        run: Run
        if self.ray is not None:
            run = partial(on_cluster, address=self.ray, gpus=accelerator in GPUS)
        elif self.workers > 1:
            gpus = visible_gpus() if accelerator in GPUS else []
            run = partial(in_workers, workers=self.workers, gpus=gpus)
        else:
            return None
        return partial(_computed, load, run=run)


HERE = Spreading()


def settings_of(pipeline: ClipPipeline) -> dict[str, Any]:
    """Return what a worker is not to choose again: windows in a batch, and the number format."""
    precision = str(pipeline.engine.dtype).removeprefix("torch.")
    return {"batch_size": pipeline.batch_size, "precision": precision}


def _computed(load: Load[Result], groups: Iterator[Group], *, run: Run) -> Found[Result]:
    """Yield the results of each group; one that ends its process is divided at the end."""
    lost: list[tuple[int, Group]] = []
    for number, group, results in run(load, groups):
        if isinstance(results, Lost):
            lost.append((number, group))
        else:
            yield number, results
    if not lost:
        return
    singles = [[request] for _, group in lost for request in group]
    each: dict[int, Result | Failure] = {}
    for number, (request,), found in run(load, singles):
        each[number] = _failure(request, found) if isinstance(found, Lost) else found[0]
    results_of = (each[number] for number in range(len(singles)))
    for number, group in lost:
        yield number, [next(results_of) for _ in group]


def _failure(request: ClipRequest, lost: Lost) -> Failure:
    error = AudioError(
        f"{lost.reason}, each time that it worked on {request.path}",
        expected="a file that can be computed",
        fix="use fewer workers if memory is short, or leave the file out",
    )
    return Failure(request.path, str(error))
