"""Compute features in batches of clips: in this process, or on a Ray cluster."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import audio
from anymic._internal.cluster import on_cluster
from anymic._internal.threads import READERS, in_order
from anymic._internal.torch_threads import spread
from anymic._internal.workers import Lost
from anymic.data.manifest import Manifest
from anymic.errors import AudioError, Failure, attempt
from anymic.features.frontend import Frontend

BATCH = 16
SLACK_S = 1e-3

Precision = Literal["float16", "float32"]  # of the values on disk
Row = tuple[int, Path, dict[Any, Any]]  # its number, file and cells
Clips = list[tuple[int, NDArray[np.float32] | Failure]]  # the samples of rows


@dataclass(frozen=True)
class Length:
    """Length of every clip in seconds, and the rules of `audio.fit_length` for other lengths.

    A difference of up to a millisecond is always padded or cropped.
    """

    clip_s: float
    shorter: Literal["refuse", "pad", "repeat"] = "refuse"
    longer: Literal["refuse", "crop", "center"] = "refuse"
    other_rates: Literal["refuse", "resample"] = "refuse"


def read_clip(
    path: Path, values: dict[str, Any], *, rate_hz: int, length: Length
) -> NDArray[np.float32]:
    """Read the clip of a row at exactly this rate and length.

    Raises an AudioError if the file cannot be read, has another rate, or a length that is refused.
    """
    cut, stated_s = "start_s" in values, float(values.get("duration_s", np.nan))
    clip = audio.read(
        path,
        start_s=float(values["start_s"]) if cut else 0.0,
        duration_s=None if np.isnan(stated_s) or not cut else stated_s,
        most_s=length.clip_s if cut else None,
        allow_silence=True,  # corpora contain silent clips
    )
    if clip.rate_hz != rate_hz and length.other_rates == "resample":
        clip = audio.resample(clip, rate_hz)
    if clip.rate_hz != rate_hz:
        raise AudioError(
            f"the rate of {path} is {clip.rate_hz} Hz",
            expected=f"{rate_hz} Hz",
            fix="convert the file, or set frontend.rate_hz to its rate, or other_rates to resample",
        )
    missing_s = length.clip_s - clip.duration_s
    refused = "shorter" if missing_s > SLACK_S else "longer" if missing_s < -SLACK_S else None
    if refused and getattr(length, refused) == "refuse":
        raise AudioError(
            f"{path} lasts {clip.duration_s:.3f} s",
            expected=f"{length.clip_s:g} s",
            fix=f"set the rule for clips that are {refused}, or set clip_s",
        )
    fitted = audio.fit_length(
        clip,
        length.clip_s,
        shorter="pad" if length.shorter == "refuse" else length.shorter,
        longer="crop" if length.longer == "refuse" else length.longer,
    )
    return fitted.samples


@dataclass(frozen=True, eq=False)
class Batch:
    """The features (clip, band, frame) of the rows that can be used, and the failures of others."""

    rows: list[int]
    features: NDArray[Any]
    failures: list[Failure]

    @property
    def clips(self) -> int:
        """The number of clips, with those that failed."""
        return len(self.rows) + len(self.failures)


@dataclass(frozen=True, eq=False)
class BatchComputer:
    """Computes the log-mel features of batches of rows, here or in a worker.

    Attributes
    ----------
    frontend : Frontend
    index : Tensor (row,)
        The gains of each row of the manifest.
    length : Length
    dtype : {"float16", "float32"}
    """

    frontend: Frontend
    index: torch.Tensor
    length: Length
    dtype: Precision

    def __call__(self) -> Callable[[list[Row]], Batch]:
        """Return the function of a worker."""
        return lambda rows: self.compute([self.read(row) for row in rows])

    def read(self, row: Row) -> tuple[int, NDArray[np.float32] | Failure]:
        """Return the number of a row, and the samples of its clip."""
        number, path, values = row
        rate_hz = self.frontend.config.rate_hz
        found = attempt(path, read_clip, path, values, rate_hz=rate_hz, length=self.length)
        return number, found

    def compute(self, clips: Clips) -> Batch:
        """Return the features of clips."""
        failures = [clip for _, clip in clips if isinstance(clip, Failure)]
        good = [(row, clip) for row, clip in clips if not isinstance(clip, Failure)]
        numbers = [row for row, _ in good]
        config = self.frontend.config
        if not good:
            frames = config.frames(round(self.length.clip_s * config.rate_hz))
            return Batch([], np.empty((0, config.bands, frames), self.dtype), failures)
        samples = torch.from_numpy(np.stack([clip for _, clip in good]))
        with torch.inference_mode():
            place = self.frontend.window.device
            log_mel = self.frontend.log_mel(samples.to(place), self.index[numbers].to(place))
        return Batch(numbers, log_mel.to("cpu", getattr(torch, self.dtype)).numpy(), failures)


def batches_of(
    manifest: Manifest,
    frontend: Frontend,
    *,
    length: Length,
    dtype: Precision,
    ray: str | None = None,
) -> Iterator[Batch]:
    """Yield the features of all clips, in the order of the rows; see `open_features`."""
    index = frontend.device_index(manifest.table.get("device", [None] * len(manifest)))
    computer = BatchComputer(frontend, index, length, dtype)
    cells = manifest.table.to_dict("records")
    rows = list(zip(range(len(cells)), manifest.paths(), cells, strict=True))
    if ray is not None:
        yield from _on_cluster(computer, rows, ray)
        return
    # Clips are read in threads, a few ahead.
    clips = in_order(computer.read, rows, workers=READERS, ahead=4 * BATCH)
    batches = iter(lambda: list(islice(clips, BATCH)), [])
    on_processor = frontend.window.device.type == "cpu"
    yield from (spread if on_processor else map)(computer.compute, batches)


def _on_cluster(computer: BatchComputer, rows: list[Row], address: str) -> Iterator[Batch]:
    """Yield the batches that workers compute, in order; one that ends them is divided."""
    if computer.frontend.window.device.type != "cpu":
        frontend = copy.deepcopy(computer.frontend).cpu()
        computer = BatchComputer(frontend, computer.index, computer.length, computer.dtype)
    jobs = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    waiting: dict[int, Iterable[Batch]] = {}
    following = 0
    for number, job, found in on_cluster(computer, jobs, address=address, gpus=False):
        waiting[number] = _singly(computer, job, address) if isinstance(found, Lost) else [found]
        while following in waiting:
            yield from waiting.pop(following)
            following += 1


def _singly(computer: BatchComputer, rows: list[Row], address: str) -> Iterator[Batch]:
    """Yield a batch for each row; one that ends its workers by itself is a failure."""
    none = computer.compute([]).features
    each: dict[int, Batch] = {}
    single = [[row] for row in rows]
    for number, ((_, path, _),), found in on_cluster(computer, single, address=address, gpus=False):
        if isinstance(found, Lost):
            found = Batch([], none, [_failure(path, found)])
        each[number] = found
    yield from (each[number] for number in range(len(rows)))


def _failure(path: Path, lost: Lost) -> Failure:
    error = AudioError(
        f"{lost.reason}, each time that it worked on {path}",
        expected="a file that can be computed",
        fix="leave the file out",
    )
    return Failure(str(path), str(error))
