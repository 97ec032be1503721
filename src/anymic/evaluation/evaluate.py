"""Measure a model on labelled clips: rows with intervals, and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic._internal.process_state import left_as_found
from anymic._internal.progress import progress_bar
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.leakage import fitted_clips_warning
from anymic.bundle.targets import thresholds_of
from anymic.data.checks import require_usable
from anymic.data.embeddings import Vectors, read_vectors
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.data.splits import clips_to_evaluate
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import BundleError, ConfigError, counted, require_type
from anymic.evaluation import report
from anymic.evaluation.measurement import as_given, last_part
from anymic.evaluation.report.evaluation import selective_rows, threshold_rows
from anymic.evaluation.result import Evaluation, devices_of, recordings_of, scored_clips
from anymic.inference.embedding_head import VectorHead
from anymic.inference.files import load_model
from anymic.inference.onnx_model import OnnxModel
from anymic.inference.prediction import ManifestPredictions, require_share
from anymic.inference.predictor import Predictor

if TYPE_CHECKING:
    import pandas as pd

Model: TypeAlias = Bundle | Ensemble | Predictor | VectorHead | str | Path
Clips: TypeAlias = "Manifest | pd.DataFrame | Vectors | str | Path"


@left_as_found()
def evaluate(
    model: Model,
    manifest: Clips,
    *,
    split: str | None = None,
    reference: str | None = None,
    unstated: bool = False,
    map_at: int | None = None,
    min_confidence: float | None = None,
    cache: str | Path | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Evaluation:
    """Measure a model on labelled clips, in total and on each device.

    Parameters
    ----------
    model : path, Bundle, Ensemble, Predictor or VectorHead
        A path is the folder of a model, an ensemble, or a head on embeddings.
    manifest : Manifest, DataFrame or path
        Labelled clips, with the columns `device` and `group` (or `take`) if known: intervals
        resample recordings. A path is a CSV file or a folder of one folder per label. For a head
        on embeddings: `Vectors`, or the path of an .npz.
    split : str, optional
        Clips of this split only, "all" for every clip; by default those of "test" if there is a
        column `split`, else all.
    reference : str, optional
        The device to compare the others with; by default the reference of the model's gains, else
        the first.
    unstated : bool
        Do not pass the devices to the model; rows are by device all the same.
    map_at : int, optional
        The k of MAP@k; by default 3 for 3 labels or more.
    min_confidence : float, optional
        Also measure how many clips are answered from this probability on, and their accuracy.
    cache : path, optional
        A folder where features are kept for later runs.
    seed : int
        Of the resamples behind the intervals.
    progress : bool
        Show a progress bar, if stderr is a terminal.

    Returns
    -------
    anymic.evaluation.result.Evaluation
        `rows`, each a metric with its n and its 95 % interval, in total, by device and by class;
        `probabilities` (clip, label), `targets` (clip,), and `write` for the report.

    Raises
    ------
    ManifestError
        If labels are unknown to the model, or no clip can be used.
    BundleError
        If the path holds no model.
    ConfigError
        If an option does not fit the model, or `min_confidence` is no probability.

    Examples
    --------
    >>> import anymic
    >>> found = anymic.evaluate("run", "clips.csv", split="test")
    >>> found.probabilities.shape  # (clip, label)
    (12, 3)
    >>> row = found.rows[0]
    >>> row.metric, row.n, row.low <= row.value <= row.high
    ('accuracy', 12, True)
    >>> found.write("report")["html"].name
    'report.html'
    """
    if min_confidence is not None:
        require_share(min_confidence, "min_confidence")
    predictor = _as_predictor(model)
    about = predictor if isinstance(predictor, VectorHead) else predictor.bundle
    several = about.targets == "several"
    if several:
        _refuse_for_several(reference=reference, map_at=map_at, min_confidence=min_confidence)
    if map_at is not None and len(about.labels) < map_at:
        raise ConfigError(
            f"MAP@{map_at} is not possible with {counted(len(about.labels), 'label')}",
            expected=f"at least {map_at} labels",
            fix="leave it out: accuracy says the same",
        )
    if isinstance(predictor, VectorHead):
        vectors = _vectors(manifest, several=several, unstated=unstated, cache=cache is not None)
        clips = vectors.clips
    else:
        clips = as_manifest(manifest, several=several)  # type: ignore[arg-type]  # it refuses other types
    chosen, name = clips_to_evaluate(clips, split)
    chosen.require_labels(about.labels)
    if isinstance(predictor, VectorHead):
        found = predictor.predict_manifest(vectors, chosen)
    else:
        stated = chosen.with_columns(device="") if unstated else chosen
        with progress_bar(len(chosen), "predicting", shown=progress) as advance:
            found = predictor.predict_manifest(stated, cache=cache, progress=advance)
    require_usable(found.rows, found.failures)
    used = chosen.rows(found.rows)
    targets = used.targets(about.labels)
    policies = _policies(found, used) if unstated else ""
    calibration = about.calibration
    facts = {
        "model": as_given(model, "model"),
        "data": as_given(manifest, clips.name),
        "split": split or "",
        **({"devices": f"unstated: {policies}"} if unstated else {}),
        **({"targets": "several labels a clip"} if several else {}),
        "probabilities": "not calibrated after training"
        if calibration is None
        else f"calibrated after training: {calibration.describe()}",
        "digest": chosen.digest(),
    }
    if not isinstance(predictor, VectorHead):
        facts["number format"] = str(predictor.engine.dtype).removeprefix("torch.")
    limits = np.array(thresholds_of(about.thresholds, len(about.labels)))
    rows = measured_rows(
        found.probabilities,
        used,
        labels=about.labels,
        thresholds=limits,
        reference=reference or _reference(about.profile, used),
        map_at=map_at,
        min_confidence=min_confidence,
        seed=seed,
    )
    return Evaluation(
        rows=tuple(rows),
        labels=tuple(about.labels),
        probabilities=found.probabilities,
        targets=targets,
        clips=used,
        failures=found.failures,
        warning=fitted_clips_warning(about, chosen),
        device_policies=policies,
        facts=facts,
        title=f"{last_part(model, 'model')} on {name}",
        seed=seed,
        profile=about.profile,
        thresholds=limits if several else None,
    )


def measured_rows(
    probabilities: NDArray[np.float64],
    clips: Manifest,
    *,
    labels: Sequence[str],
    thresholds: ArrayLike | None = None,
    reference: str | None = None,
    map_at: int | None = None,
    min_confidence: float | None = None,
    seed: int = 0,
) -> list[report.Row]:
    """Return the rows of `evaluate` from probabilities (clip, label)."""
    targets = clips.targets(labels)
    columns: dict[str, Any] = {
        "labels": labels,
        "devices": devices_of(clips),
        "groups": recordings_of(clips),
        "seed": seed,
    }
    if clips.several:
        return report.evaluate_labels(probabilities, targets, thresholds=thresholds, **columns)
    rows = report.evaluate(probabilities, targets, reference=reference, map_at=map_at, **columns)
    scored = scored_clips(probabilities, targets, clips)
    rows += selective_rows(scored)
    if min_confidence is not None:
        rows += threshold_rows(scored, min_confidence)
    return rows


def _as_predictor(model: Model) -> Predictor | VectorHead:
    loaded = load_model(model) if isinstance(model, str | Path) else model
    if isinstance(loaded, OnnxModel):
        raise BundleError(
            f"{loaded.path} is an ONNX model",
            expected="the folder of a model",
            fix="measure it with `anymic robustness`: the condition clean is the clips as they are",
        )
    if isinstance(loaded, Predictor | VectorHead):
        return loaded
    wanted = "the path of its folder, or what anymic.load returns"
    require_type(loaded, (Bundle, Ensemble), "the model", expected=wanted, error=BundleError)
    return Predictor(loaded)


def _refuse_for_several(**options: object) -> None:
    """Refuse options that only models of one label a clip have."""
    if given := [name for name, value in options.items() if value is not None]:
        raise ConfigError(
            f"the options {' and '.join(given)} cannot be used with a model of several labels a"
            " clip",
            expected="a model of one label a clip",
            fix="leave them out",
        )


def _vectors(manifest: Clips, *, several: bool, **audio_options: bool) -> Vectors:
    """Return embeddings; refuse other clips, and options that only audio has."""
    if given := [name for name, chosen in audio_options.items() if chosen]:
        raise ConfigError(
            f"the options {' and '.join(given)} cannot be used with a head on embeddings",
            expected="none of them, because no audio is read",
            fix="leave it out",
        )
    if isinstance(manifest, Vectors):
        return manifest
    if isinstance(manifest, str | Path):
        return read_vectors(manifest, several=several)
    raise ConfigError(
        f"a head on embeddings cannot evaluate {type(manifest).__name__}",
        expected="an .npz of embeddings, as `anymic embed` writes it, or Vectors of it",
        fix="embed the clips first",
    )


def _reference(profile: DeviceProfile | None, clips: Manifest) -> str | None:
    """Return the reference device of the model's gains, if it is a single one of these clips."""
    devices = profile.reference if profile else ()
    return devices[0] if len(devices) == 1 and devices[0] in clips.devices else None


def _policies(found: ManifestPredictions, used: Manifest) -> str:
    """Return how many clips of unknown devices were corrected in which way."""
    counts = ", ".join(
        f"{found.policies.count(policy)} {how}"
        for policy, how in (
            ("profile", "corrected with an identified device's gains"),
            ("blind", "corrected with blind gains"),
            ("identity", "not corrected"),
        )
        if policy in found.policies
    )
    if not used.devices:
        return counts
    pairs = zip(found.devices, used.table["device"], strict=True)
    identified = [named == true for named, true in pairs if named]
    return f"{counts}; the identified device was right for {sum(identified)} of {len(identified)}"
