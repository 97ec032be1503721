"""The clips that a model is calibrated on, which it was not trained on, and its predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic.bundle import Bundle, Ensemble
from anymic.bundle.leakage import refuse_fitted, refuse_shared_recordings, shared_recording
from anymic.calibration import LEAST_CLIPS, CalibrationError
from anymic.data.checks import require_usable
from anymic.data.manifest import Manifest
from anymic.data.splits import clips_of_split
from anymic.errors import BundleError, ManifestError, counted, part_of
from anymic.inference.prediction import ManifestPredictions
from anymic.inference.predictor import Predictor

TEST = "test"


def predict_labelled(
    model: Bundle | Ensemble,
    clips: Manifest,
    *,
    cache: str | Path | None,
    progress: Callable[[int], None] | None = None,
    which: str = "",
) -> tuple[Manifest, ManifestPredictions]:
    """Classify clips; return those that can be used, and the predictions for them.

    Raises ManifestError for labels that the model does not have, or where no clip can be used.
    """
    clips.require_labels(model.labels)
    found = Predictor(model).predict_manifest(clips, cache=cache, progress=progress)
    require_usable(found.rows, found.failures, which=which)
    return clips.rows(found.rows), found


def require_each_label(
    targets: NDArray[np.int64], labels: Sequence[str], *, name: str, fix: str
) -> None:
    """Raise CalibrationError with the names of the labels that have too few clips."""
    counts = np.bincount(targets, minlength=len(labels))
    few = [f"{n} of {label}" for label, n in zip(labels, counts, strict=True) if n < LEAST_CLIPS]
    if few:
        raise CalibrationError(
            f"{counted(len(targets), 'clip')} to calibrate {name} on, {', '.join(few)}",
            expected=f"at least {LEAST_CLIPS} of each label for isotonic regression",
            fix=fix,
        )


def calibration_clips(
    model: Bundle | Ensemble, manifest: Manifest, split: str | None, *, name: str
) -> Manifest:
    """Return the clips to calibrate a model on; see `anymic.training.calibrating.calibrate`."""
    if split is not None:
        clips = clips_of_split(manifest, split, purpose="calibrate on")
    elif isinstance(model, Ensemble):
        raise BundleError(
            f"{name} is an ensemble, and each member has its own validation clips",
            expected="clips that no member was trained on",
            fix="choose a split, or build the ensemble with calibrated voting",
        )
    else:
        clips = validation_clips(model, manifest, name)
    _refuse_test(clips, manifest)
    for member in model.members:
        refuse_known(member, clips, manifest, name)
    return clips


def validation_clips(bundle: Bundle, manifest: Manifest | None, name: str) -> Manifest:
    """Return the clips that were set aside when a model was trained.

    Raises
    ------
    BundleError
        If it was trained without validation clips.
    ManifestError
        If there is no manifest, or some of the clips are not in it.
    """
    wanted = set(bundle.fitted_on.get("validation", ()))
    if not wanted:
        raise BundleError(
            f"no validation clips were set aside for {name}",
            expected="clips that it was not trained on",
            fix="train it with validation_share in the settings, or calibrate on another split",
        )
    if manifest is None:
        raise ManifestError(
            f"the {counted(len(wanted), 'validation clip')} of {name} need a manifest",
            expected="the manifest that it was trained on",
            fix="pass that manifest",
        )
    rows = [row for row, clip in enumerate(manifest.clip_ids()) if clip in wanted]
    if len(rows) < len(wanted):
        raise ManifestError(
            f"the folder {manifest.root} has {len(rows)} of the"
            f" {counted(len(wanted), 'validation clip')} of"
            f" {name}",
            expected="all of them",
            fix="pass the manifest that it was trained on, or calibrate on a split",
        )
    return manifest.rows(rows)


def refuse_known(bundle: Bundle, clips: Manifest, manifest: Manifest, name: str) -> None:
    """Raise BundleError for clips, or recordings of the manifest, that a model was trained on."""
    refuse_fitted(bundle, clips, name)
    refuse_shared_recordings(bundle, clips, manifest, name)


def _refuse_test(clips: Manifest, manifest: Manifest) -> None:
    """Raise ManifestError for clips of the test split, or of recordings in it."""
    if "split" not in manifest.table:
        return
    problem = ""
    if count := int((clips.table["split"] == TEST).sum()):
        some = part_of(count, len(clips), "clip", "to calibrate on", verb=("has", "have"))
        problem = f"{some} the split {TEST}"
    elif both := shared_recording(clips, manifest.where(split=TEST)):
        column, names = both
        problem = (
            f"the clips to calibrate on share {len(names)} {column}s with the split {TEST}"
            f" ({names[0]})"
        )
    if problem:
        raise ManifestError(
            problem,
            expected="clips that nothing is measured on later",
            fix="set other clips aside",
        )
