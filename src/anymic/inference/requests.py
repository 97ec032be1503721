"""A clip on its way through prediction, and the batches its windows travel in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic.audio import Clip
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, AudioError
from anymic.features import Treatment
from anymic.inference.prediction import DeviceFrom, DevicePolicy
from anymic.inference.windowing import End, Window

if TYPE_CHECKING:
    from anymic.devices.identification.identifier import Identification


@dataclass(eq=False)
class Job:
    """What to hear, and what has come back so far.

    Jobs with an equal `batch` were recorded with one device. `treatment` is what it is heard with,
    and `policy` why, both decided by `anymic.inference.device_policy`; `end` is the last thing that
    reading said, and `error` what went wrong behind it.
    """

    source: str | Path | Clip
    device: str | None = None
    device_from: DeviceFrom = "assumed"
    start_s: float | None = None
    duration_s: float | None = None
    batch: str | None = None
    identification: Identification | None = None
    treatment: Treatment | None = None
    policy: DevicePolicy = "identity"
    starts_s: list[float] = field(default_factory=list)
    probabilities: list[NDArray[np.float64]] = field(default_factory=list)
    end: End | AnymicError | None = None
    error: AnymicError | None = None

    @property
    def path(self) -> str:
        """The file; empty for samples."""
        return self.source.path if isinstance(self.source, Clip) else str(self.source)

    @property
    def failed(self) -> AnymicError | None:
        """What went wrong, if something did."""
        return self.end if isinstance(self.end, AnymicError) else self.error

    @property
    def done(self) -> bool:
        """Whether it was read to its end and every window of it was heard."""
        return self.end is not None and len(self.probabilities) == len(self.starts_s)


@dataclass(eq=False)
class Batch:
    """Windows that go through the network together, and what came out."""

    jobs: list[Job] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    probabilities: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    finite: list[bool] = field(default_factory=list)

    def deliver(self) -> None:
        """Hand each job the probabilities of its windows."""
        for number, job in enumerate(self.jobs):
            row = self.probabilities[number]
            job.probabilities.append(row)
            if not (self.finite[number] and np.isfinite(row).all()):
                peak = float(np.abs(self.windows[number].samples).max())
                job.error = AudioError(
                    f"{job.path or 'a clip'} with a peak of {peak:.3g}, whose features overflow",
                    expected="samples with full scale 1",
                    fix="lower the level",
                )


def job_of(source: str | Path | Clip, device: str | None) -> Job:
    """Return the job of a file or clip whose device is stated, or not."""
    return Job(source, device, "assumed" if device is None else "stated")


def manifest_jobs(manifest: Manifest, clip_s: float) -> list[Job]:
    """Return a job a row; see `Predictor.predict_manifest`."""
    jobs = []
    for path, values in zip(manifest.paths(), manifest.table.to_dict("records"), strict=True):
        device = values.get("device") or None
        job = Job(str(path), device, "assumed" if device is None else "manifest", batch=device)
        if "start_s" in values:
            length_s = values.get("duration_s", np.nan)
            job.start_s = float(values["start_s"])
            job.duration_s = clip_s if np.isnan(length_s) else float(length_s)
        jobs.append(job)
    return jobs
