"""Calibrate the probabilities of a trained model, on clips that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic import bundle as bundles
from anymic import metrics
from anymic._internal.process_state import left_as_found
from anymic._internal.progress import progress_bar
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.leakage import file_hashes
from anymic.calibration import CalibrationError, DeviceCalibrator, Method
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.errors import Failure
from anymic.training.calibration_clips import (
    calibration_clips,
    predict_labelled,
    require_each_label,
)
from anymic.training.choosing_thresholds import choose_thresholds

FOLDS = 5


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
        One for each device; the last is that of all clips. None with several labels a clip, whose
        thresholds were chosen again.
    failures : tuple of Failure
        Clips that could not be used.
    """

    model: Bundle | Ensemble
    changes: tuple[Change, ...]
    failures: tuple[Failure, ...]


@left_as_found()
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

    With several labels a clip, the thresholds of the labels are chosen again on these clips, by
    maximal F1, and the scores stay as they are; `method` and `per_device` then have no meaning, and
    other values than the defaults are refused.

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

    Returns
    -------
    anymic.training.calibrating.Calibrated
        `model`, the calibrated copy, which is not saved, and in `changes` its scores before and
        after.

    Raises
    ------
    BundleError
        If the model was trained on some of the clips or on others of their recordings, or there
        are no validation clips.
    ManifestError
        If a clip is of the manifest's split "test", or of a recording of it, labels are unknown,
        no clip can be used, or there is no such split.
    CalibrationError
        If the clips, or those of a device, are too few, or the method is not for several labels a
        clip.

    Examples
    --------
    >>> import anymic
    >>> calibrated = anymic.calibrate("run", "clips.csv", split="validation", method="temperature")
    >>> calibrated.model.calibration is not None
    True
    """
    calibrator = DeviceCalibrator(method)
    if isinstance(model, str | Path):
        name, model = name or str(model), bundles.load(model)
    name = name or "the model"
    several = model.targets == "several"
    if several and (method != "temperature" or per_device):
        raise CalibrationError(
            f"{name} names several labels a clip",
            expected="no method and no devices, because their thresholds are chosen",
            fix="leave the method and the devices out",
        )
    clips = calibration_clips(model, as_manifest(manifest, several=several), split, name=name)
    if isinstance(model, Ensemble):
        plain: Bundle | Ensemble = replace(model, calibration=None)
    else:
        plain = model.uncalibrated()
    with progress_bar(len(clips), "predicting", shown=progress) as advance:
        used, found = predict_labelled(plain, clips, cache=cache, progress=advance)
    p, targets = found.probabilities, used.targets(model.labels)
    if several:
        chosen = choose_thresholds(p, targets, model.labels)
        return Calibrated(_with_thresholds(plain, chosen, used.clip_ids()), (), found.failures)
    if method == "isotonic":
        fix = "set more clips aside, or calibrate by temperature"
        require_each_label(targets, model.labels, name=name, fix=fix)
    calibrator.fit(
        p,
        targets,
        found.devices,
        per_device=per_device,
        clip_ids=used.clip_ids(),
        labels=model.labels,
    )
    fitted = calibrator.transform(p, found.devices)
    devices = np.array([device or "" for device in found.devices], dtype=str)
    held_out = _held_out(p, targets, devices, calibrator, used.recordings())
    changes = []
    for device in (*sorted(set(devices.tolist()) - {""}), ""):
        rows = (devices == device) | (device == "")
        before, after = (_scores(each[rows], targets[rows]) for each in (p, fitted))
        apart = None if held_out is None else _scores(held_out[rows], targets[rows])
        changes.append(Change(device, before, after, apart))
    calibrated = replace(_with_hashes(plain, used), calibration=calibrator)
    return Calibrated(calibrated, tuple(changes), found.failures)


def _with_hashes(model: Bundle | Ensemble, clips: Manifest) -> Bundle | Ensemble:
    """Return a model that also has the hashes of the clips' files; in an ensemble, its members."""
    if isinstance(model, Ensemble):
        hashes = file_hashes(clips)
        members = [replace(one, file_hashes={**one.file_hashes, **hashes}) for one in model.members]
        return replace(model, members=tuple(members))
    return replace(model, file_hashes={**model.file_hashes, **file_hashes(clips)})


def _with_thresholds(
    model: Bundle | Ensemble, chosen: Mapping[str, Any], clips: Sequence[str]
) -> Bundle | Ensemble:
    """Return the model with other thresholds, and the clips that they were chosen on."""
    values, training = tuple(chosen["values"]), {**model.training, "thresholds": dict(chosen)}
    if isinstance(model, Ensemble):
        training["thresholds"]["clip_ids"] = list(clips)
        return replace(model, thresholds=values, training=training)
    fitted_on = {**model.fitted_on, "calibration": tuple(clips)}
    return replace(model, thresholds=values, training=training, fitted_on=fitted_on)


def _held_out(
    p: NDArray[np.float64],
    targets: NDArray[np.int64],
    devices: NDArray[np.str_],
    fitted: DeviceCalibrator,
    recordings: Sequence[str],
) -> NDArray[np.float64] | None:
    """Return each of five parts calibrated on the others; None where these have too few clips.

    The clips of a recording are in one part.
    """
    units, number = np.unique(np.array(recordings), return_inverse=True)
    parts = (np.random.default_rng(0).permutation(len(units)) % FOLDS)[number.reshape(-1)]
    # The general calibrator first, then those of the devices, which replace its values.
    groups = [np.ones(len(p), dtype=bool), *(devices == device for device in fitted.devices_)]
    found = np.empty_like(p)
    for part in np.unique(parts):
        for group in groups:
            inside, others = group & (parts == part), group & (parts != part)
            if not inside.any():
                continue
            try:
                calibrator = type(fitted.general_)().fit(p[others], targets[others])
            except CalibrationError:
                return None
            found[inside] = calibrator.transform(p[inside])
    return found


def _scores(p: NDArray[np.float64], targets: NDArray[np.int64]) -> CalibrationScores:
    return CalibrationScores(
        len(targets),
        metrics.log_loss(p, targets),
        metrics.brier_score(p, targets),
        metrics.expected_calibration_error(p, targets),
    )
