"""Clips in every condition, on the fly: devices and codecs in threads, then the classifier."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
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
from anymic.errors import Failure, as_anymic_error
from anymic.evaluation.robustness.classifiers import Classifier, checked_answer
from anymic.evaluation.robustness.conditions import CLEAN, Condition
from anymic.inference.requests import ClipRequest, manifest_requests

Channel = int | str


class _Job(NamedTuple):
    """One clip through one device and all its codecs."""

    row: int
    request: ClipRequest  # the clip, and the device that recorded it
    take: str
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
            stated = [one.device or job.request.device for one in job.conditions.values()]
            found = list(classifier.classify([variant.clip for variant in made], stated))
            failed = next((one for one in found if isinstance(one, Failure)), None)
        else:
            found, failed = [], made
        if failed is not None:
            failures.setdefault(job.row, Failure(str(job.request.source), failed.reason))
        elif isinstance(made, list):
            if not labels_known:
                manifest.require_labels(classifier.labels)
                labels_known = True
            for number, variant, answer in zip(job.conditions, made, found, strict=True):
                assert not isinstance(answer, Failure)
                answers[job.row][number] = checked_answer(
                    answer, classifier.labels, variant.clip, several=manifest.several
                )
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
    """Return a job for each row and device: its file is read once for all codecs."""
    of_device: dict[str | None, dict[int, Condition]] = {}
    for number, condition in enumerate(conditions):
        of_device.setdefault(condition.device, {})[number] = condition
    clips = zip(manifest_requests(manifest, clip_s), name_stems(manifest), strict=True)
    return [
        _Job(row, request, take, own)
        for row, (request, take) in enumerate(clips)
        for own in of_device.values()
    ]


def _variants(
    job: _Job, devices: DeviceSet | None, channel: Channel, encode_cache: EncodeCache | None
) -> list[_Variant] | Failure:
    """Pass a clip through its device, and the result through each codec; runs in a thread."""
    made: list[_Variant] = []
    path, where = str(job.request.source), ""
    try:
        clip = audio.read(
            path,
            channel=channel,  # type: ignore[arg-type]  # audio checks it
            start_s=job.request.start_s or 0.0,
            duration_s=job.request.duration_s,
            most_s=job.request.most_s,
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
            named = replace(coded.clip, path=f"{path}{where}")
            made.append(_Variant(named, math.nan if coded.kbps is None else coded.kbps))
    except Exception as error:
        return Failure(path, f"{as_anymic_error(error)}{where}")
    return made
