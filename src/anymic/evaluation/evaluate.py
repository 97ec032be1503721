"""Measure a model on labelled clips: rows with intervals, probabilities, and a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from anymic._internal.progress import progress_bar
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.leakage import fitted_clips_warning
from anymic.data.checks import require_usable
from anymic.data.embeddings import Vectors, read_vectors
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.data.splits import clips_to_evaluate
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import ConfigError, Failure
from anymic.evaluation.report import Row, evaluation_rows, run_header, summary, write_evaluation
from anymic.inference.embedding_head import VectorHead
from anymic.inference.files import load_model
from anymic.inference.prediction import ManifestPredictions, require_share
from anymic.inference.predictor import Predictor

if TYPE_CHECKING:
    import pandas as pd

Model: TypeAlias = Bundle | Ensemble | Predictor | VectorHead | str | Path
Clips: TypeAlias = "Manifest | pd.DataFrame | Vectors | str | Path"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured of a model on labelled clips.

    Attributes
    ----------
    rows : tuple of Row
        Accuracy, log loss, Brier score, calibration error and MAP@k with n and 95 % intervals, of
        all clips, of each device and of each class; see `anymic.evaluation.report.evaluate`.
    labels : tuple of str
    probabilities : (clip, label) float64
        As the model gives them: calibrated where it is.
    targets : (clip,) int64
        The true label's number.
    clips : Manifest
        The clips of `probabilities`, in their order: those that could be used.
    failures : tuple of Failure
        The clips that could not be used; they are in none of the numbers.
    warning : str
        How many of the clips the model was fitted on, and for what; empty if none.
    device_policies : str
        With `unstated`: what was done with clips whose device was not stated; else empty.
    facts : mapping
        What was measured, for the header of the report.
    title : str
    seed : int
        Of the resamples behind the intervals.
    profile : DeviceProfile or None
        The gains that the model corrects with, for their figure.
    """

    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    clips: Manifest
    failures: tuple[Failure, ...]
    warning: str = ""
    device_policies: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    title: str = "Evaluation"
    seed: int = 0
    profile: DeviceProfile | None = None

    def __str__(self) -> str:
        """Return the finding in one or two sentences."""
        return summary(self.rows)

    def write(self, folder: str | Path, **facts: Any) -> dict[str, Path]:
        """Write report.html and report.json with figures; return where they are.

        Parameters
        ----------
        folder : path
            Made if it is not there; a report already in it is replaced.
        facts
            More of them for the header, such as command="...".
        """
        return write_evaluation(
            folder,
            self.rows,
            self.probabilities,
            self.targets,
            labels=self.labels,
            devices=_devices(self.clips),
            groups=_recordings(self.clips),
            seed=self.seed,
            title=self.title,
            header=run_header(**{**facts, **self.facts, **facts}),
            failures=self.failures,
            profile=self.profile,
        )


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
    """Measure a model on labelled clips, on each device by itself.

    Parameters
    ----------
    model : path, Bundle, Ensemble, Predictor or VectorHead
        A path is the folder of a model, an ensemble, or a head on embeddings.
    manifest : Manifest, DataFrame or path
        Labelled clips. The columns `device` and `group` (or `take`) are used where they are there:
        clips of one recording count as one. A path is a CSV file or a folder of one folder per
        label. For a head on embeddings: `Vectors`, or the path of an .npz.
    split : str, optional
        Clips of this split only, "all" for every clip; by default those of "test" where there is
        a column `split`, else all.
    reference : str, optional
        The device to compare the others with; by default the one that the model's gains lead to,
        else the first.
    unstated : bool
        Do not tell the model what device recorded a clip; rows are by device all the same.
    map_at : int, optional
        The k of MAP@k; by default 3 for 3 labels or more.
    min_confidence : float, optional
        Also measure which share of clips is answered from this probability on, and how well.
    cache : path, optional
        A folder where features are kept for the next time.
    seed : int
        Of the resamples behind the intervals.
    progress : bool
        Show a progress bar, if stderr is a terminal.

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
    ::

        found = anymic.evaluate("run", "manifest.csv")
        print(found, found.warning)
        found.write("report")
    """
    if min_confidence is not None:
        require_share(min_confidence, "min_confidence")
    named = _name(model)
    predictor = _as_predictor(model)
    about = predictor if isinstance(predictor, VectorHead) else predictor.bundle
    _refuse_few_labels(len(about.labels), map_at)
    vectors = None
    if isinstance(predictor, VectorHead):
        _refuse_for_embeddings(unstated=unstated, cache=cache is not None)
        vectors = manifest if isinstance(manifest, Vectors) else read_vectors(_path(manifest))
    clips = as_manifest(manifest) if vectors is None else vectors.clips  # type: ignore[arg-type]
    chosen, name = clips_to_evaluate(clips, split)
    chosen.require_labels(about.labels)
    if isinstance(predictor, VectorHead):
        assert vectors is not None
        found = predictor.predict_manifest(vectors, chosen)
    else:
        told = chosen.with_columns(device="") if unstated else chosen
        with progress_bar(len(chosen), "predicting", shown=progress) as advance:
            found = predictor.predict_manifest(told, cache=cache, progress=advance)
    require_usable(found.rows, found.failures)
    used = chosen.rows(found.rows)
    targets = used.targets(about.labels)
    warning = fitted_clips_warning(about.fitted_on, chosen)
    policies = _policies(found, used) if unstated else ""
    facts = {
        "model": str(model) if isinstance(model, str | Path) else named,
        "data": str(manifest) if isinstance(manifest, str | Path) else clips.name,
        "split": split or "",
        **({"devices": f"unstated: {policies}"} if unstated else {}),
        "probabilities": _calibration(about),
        "digest": chosen.digest(),
        **({"warning": warning} if warning else {}),
    }
    rows = evaluation_rows(
        found.probabilities,
        targets,
        labels=about.labels,
        devices=_devices(used),
        groups=_recordings(used),
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
        warning=warning,
        device_policies=policies,
        facts=facts,
        title=f"{named} on {name}",
        seed=seed,
        profile=about.profile,
    )


def _as_predictor(model: Model) -> Predictor | VectorHead:
    if isinstance(model, Predictor | VectorHead):
        return model
    if isinstance(model, Bundle | Ensemble):
        return Predictor(model)
    loaded = load_model(model)
    return loaded if isinstance(loaded, VectorHead) else Predictor(loaded)


def _name(model: Model) -> str:
    return Path(model).resolve().name if isinstance(model, str | Path) else "model"


def _path(manifest: Any) -> str | Path:
    if isinstance(manifest, str | Path):
        return manifest
    raise ConfigError(
        f"a head on embeddings cannot evaluate {type(manifest).__name__}",
        expected="an .npz of embeddings, as `anymic embed` writes it, or Vectors of it",
        fix="embed the clips first",
    )


def _refuse_for_embeddings(**options: bool) -> None:
    if given := [name for name, chosen in options.items() if chosen]:
        raise ConfigError(
            f"{' and '.join(given)} cannot be used with a head on embeddings",
            expected="neither, because no audio is read",
            fix="leave it out",
        )


def _refuse_few_labels(labels: int, map_at: int | None) -> None:
    if map_at is not None and labels < map_at:
        raise ConfigError(
            f"MAP@{map_at} is not possible with {labels} labels",
            expected=f"at least {map_at} labels",
            fix="leave it out: accuracy says the same",
        )


def _devices(clips: Manifest) -> list[str] | None:
    return clips.table["device"].tolist() if clips.devices else None


def _recordings(clips: Manifest) -> list[str] | None:
    """Return the recording of each clip; None where the manifest does not say."""
    return clips.recordings() if {"group", "take"} & set(clips.table.columns) else None


def _reference(profile: DeviceProfile | None, clips: Manifest) -> str | None:
    """Return the device that the model's gains lead to, where it is one and is here."""
    devices = profile.reference if profile else ()
    return devices[0] if len(devices) == 1 and devices[0] in clips.devices else None


def _calibration(model: Bundle | Ensemble | VectorHead) -> str:
    if model.calibration is None:
        return "not calibrated after training"
    return f"calibrated after training: {model.calibration.describe()}"


def _policies(found: ManifestPredictions, used: Manifest) -> str:
    """Say what was done with clips whose device was not stated."""
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
