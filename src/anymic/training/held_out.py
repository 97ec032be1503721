"""Train a model, and compare it with a simple baseline on clips that were set aside."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from anymic._internal.optional import extra
from anymic.bundle import Bundle
from anymic.data.folds import cross_validation, group_by_name
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.data.splits import TEST, check_splits, development, set_test_aside
from anymic.errors import AnymicWarning, ConfigError, counted
from anymic.evaluation.baseline import Baseline
from anymic.evaluation.evaluate import evaluate
from anymic.evaluation.measurement import as_given, last_part
from anymic.evaluation.pooling import pool
from anymic.evaluation.result import Evaluation, recordings_of
from anymic.metrics import ACCURACY
from anymic.metrics.several import MEAN_F1, MEAN_PRECISION
from anymic.training import mfcc_baseline

if TYPE_CHECKING:
    import pandas as pd

Fit: TypeAlias = Callable[[Manifest, Path], Bundle]
FOLDS = "folds"  # in the folder of a run: the models of a cross-validation
REPORT = "report"


@dataclass(frozen=True)
class HeldOut:
    """Which clips are set aside.

    Attributes
    ----------
    test_share : float or None
        Share of the recordings, stratified by label (see `set_test_aside`). The clips whose split
        is test are used where the manifest has some.
    folds : int or None
        Each clip is set aside once; see `anymic.data.folds.cross_validation`.
    group_from : str or None
        A regular expression that gives the recording of a clip from the name of its file; see
        `anymic.data.folds.group_by_name`.
    several : bool
        Whether a clip may have several labels, or none.
    """

    test_share: float | None = None
    folds: int | None = None
    group_from: str | None = None
    several: bool = False

    def __post_init__(self) -> None:
        """Raise ConfigError for a share and folds together, or one that is impossible."""
        if self.test_share is not None and not 0.0 < self.test_share < 1.0:
            raise ConfigError(
                f"the share to be set aside is {self.test_share:g}",
                expected="a share between 0 and 1, both excluded",
                fix="choose another share, such as 0.2",
            )
        if self.test_share is not None and self.folds is not None:
            raise ConfigError(
                f"a share of {self.test_share:g} and {counted(self.folds, 'fold')} are both"
                " to be set aside",
                expected="one of them",
                fix="leave one out",
            )

    @property
    def wanted(self) -> bool:
        """Whether any clips are to be set aside."""
        return self.test_share is not None or self.folds is not None

    def grouped(self, data: Manifest | pd.DataFrame | str | Path) -> Manifest:
        """Return the clips, with the groups that the names of their files give."""
        clips = as_manifest(data, several=self.several)
        return clips if self.group_from is None else group_by_name(clips, self.group_from)


@dataclass(frozen=True, eq=False)
class Measured:
    """A trained model, and its evaluation on clips that it was not trained on.

    Attributes
    ----------
    bundle : Bundle
        `training["held_out"]` has the result in short.
    evaluation : Evaluation or None
        With the baseline; None without clips set aside, and in all processes of a training but the
        first.
    how : str
        Which clips were set aside.
    """

    bundle: Bundle
    evaluation: Evaluation | None
    how: str


def fit_and_measure(
    fit: Fit,
    data: Manifest | pd.DataFrame | str | Path,
    out: str | Path,
    *,
    held_out: HeldOut,
    seed: int = 0,
    progress: bool = False,
) -> Measured:
    """Train a model and compare it with `mfcc_baseline` on clips that were set aside.

    With a share, the model in `out` is trained on the other clips. With folds, there is a model of
    each fold in `out`/folds, the result is that of all clips together, and the model in `out` is
    trained on all clips.

    Parameters
    ----------
    fit : callable
        Trains on the clips of a manifest whose split is train, and those whose split is
        validation as it likes, and writes the bundle into a folder: fit(manifest, folder).
    data : Manifest, DataFrame or path
    out : path
    held_out : HeldOut
        It has a share, or folds.
    seed : int
        Of the choice of the clips, and of the resamples behind the intervals.
    progress : bool
        Print a line after each fold.

    Raises
    ------
    DependencyError
        If what the report or the baseline needs is not installed.
    ManifestError
        If clips cannot be set aside, or as `fit`; before anything is trained.
    """
    with extra("report"):
        import jinja2
        import matplotlib

    assert jinja2
    assert matplotlib
    out, clips = Path(out), held_out.grouped(data)
    parts, how = _divided(clips, held_out, seed)
    statistics = mfcc_baseline.mfcc_statistics(parts[0])
    found: list[Evaluation] = []
    for number, part in enumerate(parts, 1):
        bundle = fit(part, out if held_out.folds is None else out / FOLDS / f"{number}")
        if bundle.training.get("rank", 0):
            return Measured(bundle, None, how)
        found.append(evaluate(bundle, part, split=TEST, seed=seed))
        if progress and held_out.folds is not None:
            print(f"fold {number} of {len(parts)} is measured", file=sys.stderr, flush=True)
    if held_out.folds is not None:
        bundle = fit(development(clips), out)
    evaluation = replace(
        pool(found, seed=seed),
        title=f"{last_part(out, 'model')} on {clips.name or 'clips'}, set aside",
        facts={
            "model": str(out),
            "data": as_given(data, clips.name),
            "measured on": how,
            "baseline": statistics.describe(),
            "digest": clips.digest(),
        },
    )
    evaluation = replace(evaluation, baseline=_baseline(statistics, parts, evaluation, seed))
    record = {**bundle.training, "held_out": _in_short(evaluation, how)}
    bundle = replace(bundle, training=record)
    if bundle.network_name:
        bundle.save(out)
    return Measured(bundle, evaluation, how)


def _divided(clips: Manifest, held_out: HeldOut, seed: int) -> tuple[list[Manifest], str]:
    """Return the clips with their splits, once for each training to measure, and a description."""
    if held_out.folds is not None:
        chosen = development(clips)
        parts = list(cross_validation(chosen, held_out.folds, seed=seed))
        if len(parts) != held_out.folds:
            warnings.warn(
                f"the {len(parts)} folds of the manifest are used, not {held_out.folds}",
                AnymicWarning,
                stacklevel=3,
            )
        return parts, (
            f"cross-validation over {len(parts)} folds: each clip is classified by a model that was"
            " trained on the other folds; the model itself is trained on all clips"
        )
    share = held_out.test_share
    assert share is not None
    part = set_test_aside(clips, share=share, seed=seed)
    check_splits(part)
    if part is clips:
        warnings.warn(
            f"the clips of the split test are used, not a share of {share:g}",
            AnymicWarning,
            stacklevel=3,
        )
    part.where(split=TEST).require_labels(part.where(split="train").labels)
    whose = "the split test" if part is clips else f"{100 * share:g} % of the recordings"
    return [part], f"{whose}, which the model was not trained on"


def _baseline(
    statistics: mfcc_baseline.MfccStatistics,
    parts: list[Manifest],
    evaluation: Evaluation,
    seed: int,
) -> Baseline | None:
    """Train the baseline on the same clips as the models, and return the comparison."""
    labels, first = evaluation.labels, parts[0]
    rows = {clip: row for row, clip in enumerate(first.clip_ids())}
    known = np.array([set(own) <= set(labels) for own in first.label_sets()])
    used = known & statistics.usable
    own = first.rows(known).targets(labels)
    targets = np.full((len(first), *own.shape[1:]), -1)
    targets[known] = own
    found = np.full((len(first), len(labels)), np.nan)
    for part in parts:
        splits = part.table["split"]
        training, tested = (
            np.flatnonzero(used & splits.isin(names).to_numpy())
            for names in (["train", "validation"], [TEST])
        )
        if len(training) and len(tested):
            found[tested] = statistics.classify(
                training, tested, targets=targets, recordings=first.recordings(), seed=seed
            )
    order = [rows[clip] for clip in evaluation.clips.clip_ids()]
    return Baseline.of(
        mfcc_baseline.NAME,
        statistics.describe(),
        found[order],
        evaluation.probabilities,
        evaluation.targets,
        groups=recordings_of(evaluation.clips),
        seed=seed,
    )


def _in_short(evaluation: Evaluation, how: str) -> dict[str, Any]:
    """Return what the bundle records of its evaluation: the score of all clips, and the baseline's.

    It is the accuracy, or with several labels a clip the mean average precision and mean F1.
    """
    names = (ACCURACY.name, MEAN_PRECISION, MEAN_F1)
    scores = {row.metric: asdict(row) for row in evaluation.rows if not row.condition}
    baseline = evaluation.baseline
    return {
        "measured_on": how,
        **{name: scores[name] for name in names if name in scores},
        "baseline": [] if baseline is None else [asdict(row) for row in baseline.rows],
    }
