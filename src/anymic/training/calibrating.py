"""Calibrate the probabilities of a trained model, on clips that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic import bundle as bundles
from anymic import metrics
from anymic._internal.progress import progress_bar
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.leakage import refuse_overlap, refuse_shared_recordings, shared_recording
from anymic.calibration import LEAST_CLIPS, CalibrationError, DeviceCalibrator, Method
from anymic.data.checks import require_usable
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.data.splits import clips_of_split
from anymic.errors import BundleError, Failure, ManifestError
from anymic.inference.predictor import Predictor

FOLDS = 5
TEST = "test"


@dataclass(frozen=True)
class CalibrationScores:
    """How well probabilities are calibrated on some clips; see `anymic.metrics`."""

    clips: int
    log_loss: float
    brier_score: float
    expected_calibration_error: float


@dataclass(frozen=True)
class Change:
    """Calibration scores of the clips of a device before and after; `device` "" is all clips.

    Attributes
    ----------
    before : CalibrationScores
        Of the uncalibrated probabilities.
    fitted : CalibrationScores
        Calibrated, on the clips that the calibrator was fitted on: an optimistic estimate.
    held_out : CalibrationScores or None
        Calibrated in five parts, each by a calibrator fitted on the recordings of the other parts.
        None where these have too few clips.
    """

    device: str
    before: CalibrationScores
    fitted: CalibrationScores
    held_out: CalibrationScores | None


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibrated model and its scores.

    Attributes
    ----------
    model : Bundle or Ensemble
    changes : tuple of Change
        One for each device; the last is that of all clips.
    failures : tuple of Failure
        Clips that could not be used.
    """

    model: Bundle | Ensemble
    changes: tuple[Change, ...]
    failures: tuple[Failure, ...]


def calibrate(
    model: Bundle | Ensemble | str | Path,
    manifest: Manifest | pd.DataFrame | str | Path,
    *,
    method: Method = "temperature",
    split: str | None = None,
    per_device: bool | Sequence[str] = False,
    name: str | None = None,
    cache: str | Path | None = None,
    progress: bool = False,
) -> Calibrated:
    """Fit a calibrator to a model's predictions for clips that it was not trained on.

    The calibrator is fitted to the probabilities that it will be applied to: the mean over windows,
    after the vote of an ensemble's members, with the device that prediction uses. It replaces a
    calibrator that the model has.

    Parameters
    ----------
    model : Bundle, Ensemble or path
        It is not changed; a path is its folder.
    manifest : Manifest, DataFrame or path
        With labels; a column `device`, where there is one, names the device of each clip.
    method : {"temperature", "isotonic"}
    split : str, optional
        Clips of this split only; "all" for every clip; by default the model's own validation
        clips, which are found in the manifest by their ids.
    per_device : bool or sequence of str
        The devices that have their own calibrator besides the general one; True for all.
    name : str
        What to call the model where it is refused; by default its path.
    cache : path, optional
        Folder for features.
    progress : bool
        Show a progress bar, if stderr is a terminal.

    Raises
    ------
    BundleError
        If the model was trained on some of the clips or on others of their recordings, or there
        are no validation clips.
    ManifestError
        If a clip is of the manifest's split "test", or of a recording of it, labels are unknown,
        no clip can be used, or there is no such split.
    CalibrationError
        If the clips, or those of a device, are too few.
    """
    calibrator = DeviceCalibrator(method)
    if isinstance(model, str | Path):
        name, model = name or str(model), bundles.load(model)
    clips = calibration_clips(model, as_manifest(manifest), split, name=name or "the model")
    clips.require_labels(model.labels)
    plain = _uncalibrated(model)
    with progress_bar(len(clips), "predicting", shown=progress) as advance:
        predicted = Predictor(plain).predict_manifest(clips, cache=cache, progress=advance)
    require_usable(predicted.rows, predicted.failures)
    used = clips.rows(predicted.rows)
    targets = used.targets(model.labels)
    _refuse_few(method, targets, model.labels)
    calibrator.fit(
        predicted.probabilities,
        targets,
        predicted.devices,
        per_device=per_device,
        clip_ids=used.clip_ids(),
        labels=model.labels,
    )
    answers = _Answers(predicted.probabilities, targets, predicted.devices)
    held_out = _held_out(answers, calibrator, _folds(used.recordings()))
    fitted = calibrator.transform(answers.probabilities, answers.devices)
    return Calibrated(
        replace(plain, calibration=calibrator),
        tuple(_changes(answers, fitted, held_out)),
        predicted.failures,
    )


def calibration_clips(
    model: Bundle | Ensemble, manifest: Manifest, split: str | None = None, *, name: str = "a model"
) -> Manifest:
    """Return the clips to calibrate a model on; parameters and errors as of `calibrate`."""
    clips = (
        _own(model, manifest, name)
        if split is None
        else clips_of_split(manifest, split, purpose="calibrate on")
    )
    _refuse_test(clips, manifest)
    members = model.members if isinstance(model, Ensemble) else (model,)
    for member in members:
        refuse_overlap(member.fitted_on, clips.clip_ids(), name)
        refuse_shared_recordings(member.fitted_on, clips, manifest, name)
    return clips


def _own(model: Bundle | Ensemble, manifest: Manifest, name: str) -> Manifest:
    """Return the clips that were set aside when the model was trained."""
    if isinstance(model, Ensemble):
        raise BundleError(
            f"{name} is an ensemble, and each member has its own validation clips",
            expected="clips that no member was trained on",
            fix="choose a split, or build the ensemble with calibrated voting",
        )
    wanted = set(model.fitted_on.get("validation", ()))
    rows = [row for row, clip in enumerate(manifest.clip_ids()) if clip in wanted]
    if not wanted or len(rows) < len(wanted):
        had = f"{len(rows)} of the {len(wanted)} validation clips of {name} in {manifest.root}"
        raise BundleError(
            had if wanted else f"no validation clips were set aside for {name}",
            expected="clips that it was not trained on",
            fix="pass its training manifest, or choose a split with other clips (all: every clip)",
        )
    return manifest.rows(rows)


def _refuse_test(clips: Manifest, manifest: Manifest) -> None:
    """Raise ManifestError for clips of the test split, or of recordings in it."""
    if "split" not in manifest.table.columns:
        return
    count = int((clips.table["split"] == TEST).sum())
    wanted, remedy = "clips that nothing is measured on later", "set other clips aside"
    if count:
        raise ManifestError(
            f"{count} of the {len(clips)} clips to calibrate on have the split {TEST}",
            expected=wanted,
            fix=remedy,
        )
    if both := shared_recording(clips, manifest.where(split=TEST)):
        column, names = both
        raise ManifestError(
            f"the clips to calibrate on share {len(names)} {column}s with the split {TEST}"
            f" ({names[0]})",
            expected=wanted,
            fix=remedy,
        )


@dataclass(frozen=True, eq=False)
class _Answers:
    """The predictions of a model: probabilities (clip, label), targets and devices (clip,)."""

    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    devices: Sequence[str | None]


def _refuse_few(method: Method, targets: NDArray[np.int64], labels: tuple[str, ...]) -> None:
    """Raise CalibrationError with the names of the labels that have too few clips."""
    counts = np.bincount(targets, minlength=len(labels))
    few = [f"{counts[n]} of {label}" for n, label in enumerate(labels) if counts[n] < LEAST_CLIPS]
    if method == "isotonic" and few:
        raise CalibrationError(
            f"there are {len(targets)} clips to calibrate on, {', '.join(few)}",
            expected=f"at least {LEAST_CLIPS} of each label for isotonic regression",
            fix="set more clips aside, or calibrate by temperature",
        )


def _uncalibrated(model: Bundle | Ensemble) -> Bundle | Ensemble:
    return replace(model, calibration=None) if isinstance(model, Ensemble) else model.uncalibrated()


def _folds(recordings: Sequence[str]) -> NDArray[np.int64]:
    """Return the part of each clip, from 0 to 4; clips of one recording are in one part."""
    units, number = np.unique(np.array(recordings), return_inverse=True)
    part = np.random.default_rng(0).permutation(len(units)) % FOLDS
    return np.asarray(part[number.reshape(-1)], dtype=np.int64)


def _held_out(
    answers: _Answers, fitted: DeviceCalibrator, folds: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Return probabilities calibrated without the clip's own part; None with too few clips."""
    p, targets = answers.probabilities, answers.targets
    names = np.array([device or "" for device in answers.devices], dtype=str)
    found = np.empty_like(p)
    for part in np.unique(folds):
        inside = folds == part
        chosen = {device: names == device for device in fitted.devices_}
        for of in (
            np.ones(len(names), dtype=bool),
            *chosen.values(),
        ):  # last, a device's own calibrator
            if not (of & inside).any():
                continue
            try:
                other = type(fitted.general_)().fit(p[of & ~inside], targets[of & ~inside])
            except CalibrationError:
                return None
            found[of & inside] = other.transform(p[of & inside])
    return found


def _changes(
    answers: _Answers, fitted: NDArray[np.float64], held_out: NDArray[np.float64] | None
) -> list[Change]:
    names = np.array([device or "" for device in answers.devices], dtype=str)
    chosen = {name: names == name for name in sorted(set(names.tolist()) - {""})}
    found = []
    for device, rows in {**chosen, "": np.ones(len(names), dtype=bool)}.items():
        before, after = (
            _scores(p[rows], answers.targets[rows]) for p in (answers.probabilities, fitted)
        )
        apart = None if held_out is None else _scores(held_out[rows], answers.targets[rows])
        found.append(Change(device, before, after, apart))
    return found


def _scores(p: NDArray[np.float64], targets: NDArray[np.int64]) -> CalibrationScores:
    return CalibrationScores(
        len(targets),
        metrics.log_loss(p, targets),
        metrics.brier_score(p, targets),
        metrics.expected_calibration_error(p, targets),
    )
