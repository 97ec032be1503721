"""Clips through every condition, on the fly: devices and codecs in threads, then the classifier."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic._internal.threads import in_order
from anymic.audio import Clip
from anymic.codecs import EncodeCache
from anymic.data.checks import require_usable
from anymic.data.derived import name_stems
from anymic.data.manifest import Manifest
from anymic.devices.simulation.chain import noise_seed, record
from anymic.devices.simulation.device_set import DeviceSet
from anymic.errors import AnymicError, Failure
from anymic.evaluation.robustness.classifiers import Answer, Classifier, checked_answer
from anymic.evaluation.robustness.conditions import CLEAN, Condition

Channel = int | str


@dataclass(frozen=True)
class _Job:
    """One clip through one device and all its codecs."""

    row: int
    path: Path
    take: str
    own_device: str | None
    start_s: float
    duration_s: float | None
    conditions: dict[int, Condition] = field(repr=False)  # by number; of one device


@dataclass(frozen=True)
class _Heard:
    """The clips of a job, a condition each, and the bitrates they took; or why there are none."""

    job: _Job
    clips: tuple[Clip, ...] = ()
    kbps: tuple[float, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier said.

    Attributes
    ----------
    probabilities : (condition, clip, label) float64
        Of the clips that could be used in every condition.
    rows : (clip,) intp
        The manifest's row of each.
    kbps : (condition,) float64
        The bitrate that the clips took on average, NaN where nothing was encoded.
    failures : tuple of Failure
        One for each other clip.
    """

    probabilities: NDArray[np.float64]
    rows: NDArray[np.intp]
    kbps: NDArray[np.float64]
    failures: tuple[Failure, ...]


def listen(
    classifier: Classifier,
    manifest: Manifest,
    conditions: Sequence[Condition],
    *,
    devices: DeviceSet | None,
    channel: Channel,
    clip_s: float | None,
    encode_cache: EncodeCache | None,
    workers: int | None,
    progress: Callable[[int], None] | None,
) -> Answers:
    """Ask for every clip in every condition; see `anymic.evaluation.robustness.robustness`.

    At most `workers` + 1 clips are in memory, each with all the codecs of one device.
    """
    answers: dict[int, dict[int, NDArray[np.float64]]] = {row: {} for row in range(len(manifest))}
    kbps: dict[int, list[float]] = {number: [] for number in range(len(conditions))}
    failures: dict[int, Failure] = {}
    known = False

    def work(job: _Job) -> _Heard:
        return _Heard(job) if job.row in failures else _hear(job, devices, channel, encode_cache)

    for heard in in_order(work, _jobs(manifest, conditions, clip_s), workers=workers):
        job = heard.job
        found = _ask(classifier, heard) if heard.clips else []
        failed = heard.failure or next((one for one in found if isinstance(one, Failure)), None)
        if failed is not None:
            failures.setdefault(job.row, Failure(str(job.path), failed.reason))
        elif heard.clips:
            if not known:
                manifest.require_labels(classifier.labels)
                known = True
            for number, clip, answer in zip(job.conditions, heard.clips, found, strict=True):
                assert not isinstance(answer, Failure)
                answers[job.row][number] = checked_answer(answer, classifier.labels, clip)
            for number, rate in zip(job.conditions, heard.kbps, strict=True):
                kbps[number].append(rate)
        if progress is not None:
            progress(len(job.conditions))
    rows = [row for row in answers if row not in failures]
    require_usable(rows, list(failures.values()))
    return Answers(
        np.array([[answers[row][number] for row in rows] for number in range(len(conditions))]),
        np.array(rows, dtype=np.intp),
        np.array([float(np.mean(kbps[number])) for number in range(len(conditions))]),
        tuple(failures[row] for row in sorted(failures)),
    )


def _jobs(manifest: Manifest, conditions: Sequence[Condition], clip_s: float | None) -> list[_Job]:
    """Return a job for each row and device: its file is read once for all codecs.

    A row with `start_s` is that stretch of its file, `duration_s` (or `clip_s`) long; a row
    without is the whole file, as in `Predictor.predict_manifest`.
    """
    of_device: dict[str | None, dict[int, Condition]] = {}
    for number, condition in enumerate(conditions):
        of_device.setdefault(condition.device, {})[number] = condition
    takes, paths = name_stems(manifest), manifest.paths()
    jobs = []
    for row, values in enumerate(manifest.table.to_dict("records")):
        cut = "start_s" in values
        length_s = values.get("duration_s", math.nan)
        for own in of_device.values():
            jobs.append(
                _Job(
                    row=row,
                    path=paths[row],
                    take=takes[row],
                    own_device=values.get("device") or None,
                    start_s=float(values["start_s"]) if cut else 0.0,
                    duration_s=_or_default(length_s, clip_s) if cut else None,
                    conditions=own,
                )
            )
    return jobs


def _or_default(length_s: float, clip_s: float | None) -> float | None:
    return clip_s if math.isnan(length_s) else float(length_s)


def _hear(
    job: _Job, devices: DeviceSet | None, channel: Channel, encode_cache: EncodeCache | None
) -> _Heard:
    """Pass a clip through its device, and that through each codec; runs in a thread."""
    clips: list[Clip] = []
    kbps: list[float] = []
    name = ""
    try:
        read = audio.read(
            job.path,
            channel=channel,  # type: ignore[arg-type]  # audio checks it
            start_s=job.start_s,
            duration_s=job.duration_s,
        )
        for condition in job.conditions.values():
            name = condition.name
            if not clips:
                read = _through_device(read, condition.device, job.take, devices)
            coded = condition.codec.apply(read, cache=encode_cache)
            # The path is for messages only, and says in which condition they came up.
            place = "" if condition.is_clean else f" ({name})"
            clips.append(replace(coded.clip, path=f"{job.path}{place}"))
            kbps.append(math.nan if coded.kbps is None else coded.kbps)
    except AnymicError as error:
        where = f" ({name})" if name not in ("", CLEAN) else ""
        return _Heard(job, failure=Failure(str(job.path), f"{error}{where}"))
    return _Heard(job, tuple(clips), tuple(kbps))


def _through_device(clip: Clip, name: str | None, take: str, devices: DeviceSet | None) -> Clip:
    if name is None or devices is None:
        return clip
    return record(
        clip,
        devices.devices[name],
        seed=noise_seed(devices.seed, name, take),
        responses=str(devices.responses),
    ).clip


def _ask(classifier: Classifier, heard: _Heard) -> list[Answer]:
    devices = [one.device or heard.job.own_device for one in heard.job.conditions.values()]
    return list(classifier.classify(heard.clips, devices))
