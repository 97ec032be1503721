"""Clips in every condition, on the fly: devices and codecs in threads, then the classifier."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

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
from anymic.evaluation.robustness.classifiers import Classifier, checked_answer
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
    conditions: dict[int, Condition]  # by number; of one device


class _Variant(NamedTuple):
    """A clip in one condition, and its bitrate; NaN if it was not encoded."""

    clip: Clip
    kbps: float


class Answers(NamedTuple):
    """The classifier's probabilities.

    Attributes
    ----------
    probabilities : (condition, clip, label) float64
        Of the clips that could be used in every condition.
    rows : list of int
        The manifest's row of each.
    kbps : (condition,) float64
        The mean bitrate of the encoded clips, NaN if nothing was encoded.
    failures : tuple of Failure
        One for each other clip.
    """

    probabilities: NDArray[np.float64]
    rows: list[int]
    kbps: NDArray[np.float64]
    failures: tuple[Failure, ...]


def classify_variants(
    classifier: Classifier,
    manifest: Manifest,
    conditions: Sequence[Condition],
    *,
    devices: DeviceSet | None,
    channel: Channel,
    clip_s: float | None,
    encode_cache: EncodeCache | None,
    workers: int | None,
    progress: Callable[[int], None],
) -> Answers:
    """Classify every clip in every condition; see `anymic.evaluation.robustness.robustness`.

    At most `workers` + 1 clips are in memory, each with all the codecs of one device.
    """
    answers: list[dict[int, NDArray[np.float64]]] = [{} for _ in range(len(manifest))]
    kbps: list[list[float]] = [[] for _ in conditions]
    failures: dict[int, Failure] = {}
    jobs = _jobs(manifest, conditions, clip_s)

    def work(job: _Job) -> list[_Variant] | Failure | None:
        if job.row in failures:
            return None
        return _variants(job, devices, channel, encode_cache)

    labels_known = False
    for job, made in zip(jobs, in_order(work, jobs, workers=workers), strict=True):
        if isinstance(made, list):
            stated = [one.device or job.own_device for one in job.conditions.values()]
            found = list(classifier.classify([variant.clip for variant in made], stated))
            failed = next((one for one in found if isinstance(one, Failure)), None)
        else:
            found, failed = [], made
        if failed is not None:
            failures.setdefault(job.row, Failure(str(job.path), failed.reason))
        elif isinstance(made, list):
            if not labels_known:
                manifest.require_labels(classifier.labels)
                labels_known = True
            for number, variant, answer in zip(job.conditions, made, found, strict=True):
                assert not isinstance(answer, Failure)
                answers[job.row][number] = checked_answer(answer, classifier.labels, variant.clip)
                kbps[number].append(variant.kbps)
        progress(len(job.conditions))
    rows = [row for row in range(len(manifest)) if row not in failures]
    require_usable(rows, list(failures.values()))
    return Answers(
        np.array([[answers[row][number] for row in rows] for number in range(len(conditions))]),
        rows,
        np.array([float(np.mean(values)) for values in kbps]),
        tuple(failures[row] for row in sorted(failures)),
    )


def _jobs(manifest: Manifest, conditions: Sequence[Condition], clip_s: float | None) -> list[_Job]:
    """Return a job for each row and device: its file is read once for all codecs.

    A row with `start_s` is that part of its file, `duration_s` (or `clip_s`) long; a row without
    it is the whole file, as in `Predictor.predict_manifest`.
    """
    of_device: dict[str | None, dict[int, Condition]] = {}
    for number, condition in enumerate(conditions):
        of_device.setdefault(condition.device, {})[number] = condition
    takes, paths = name_stems(manifest), manifest.paths()
    jobs = []
    for row, values in enumerate(manifest.table.to_dict("records")):
        cut = "start_s" in values
        length_s = float(values.get("duration_s", math.nan))
        duration_s = clip_s if math.isnan(length_s) else length_s
        jobs += [
            _Job(
                row=row,
                path=paths[row],
                take=takes[row],
                own_device=values.get("device") or None,
                start_s=float(values["start_s"]) if cut else 0.0,
                duration_s=duration_s if cut else None,
                conditions=own,
            )
            for own in of_device.values()
        ]
    return jobs


def _variants(
    job: _Job, devices: DeviceSet | None, channel: Channel, encode_cache: EncodeCache | None
) -> list[_Variant] | Failure:
    """Pass a clip through its device, and the result through each codec; runs in a thread."""
    made: list[_Variant] = []
    where = ""
    try:
        clip = audio.read(
            job.path,
            channel=channel,  # type: ignore[arg-type]  # audio checks it
            start_s=job.start_s,
            duration_s=job.duration_s,
        )
        for condition in job.conditions.values():
            where = "" if condition.name == CLEAN else f" ({condition.name})"
            if not made and condition.device is not None and devices is not None:
                clip = record(
                    clip,
                    devices.devices[condition.device],
                    seed=noise_seed(devices.seed, condition.device, job.take),
                    responses=str(devices.responses),
                ).clip
            coded = condition.codec.apply(clip, cache=encode_cache)
            # the path is for messages only, and names the condition
            named = replace(coded.clip, path=f"{job.path}{where}")
            made.append(_Variant(named, math.nan if coded.kbps is None else coded.kbps))
    except AnymicError as error:
        return Failure(str(job.path), f"{error}{where}")
    return made
