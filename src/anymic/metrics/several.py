"""Scores of classifiers that name several labels a clip: average precision and F1 by label."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.metrics.intervals import (
    RESAMPLES,
    Floats,
    Groups,
    Interval,
    MetricError,
    group_index,
    percentile_interval,
    ratio,
    resampled_counts,
    resampled_totals,
)
from anymic.metrics.registry import register_metric
from anymic.metrics.scores import EPS

MEAN_PRECISION, PRECISION = "mean_average_precision", "average_precision"
PRECISION_DIFFERENCE = "mean_average_precision_difference"
MEAN_F1, F1 = "macro_f1", "f1"


def check_scores(
    probabilities: ArrayLike, indicators: ArrayLike
) -> tuple[Floats, NDArray[np.int64]]:
    """Return scores (clip, label) float64, and 1 where a clip has a label, else 0.

    Raises
    ------
    MetricError
        If there is no clip, shapes do not fit, or a value is not in its range.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(indicators)
    fits = p.ndim == 2 and p.size > 0 and p.shape == y.shape
    if not fits or not np.isfinite(p).all() or p.min() < 0 or p.max() > 1:
        raise MetricError(
            f"the probabilities have shape {p.shape} and the labels {y.shape}",
            expected="probabilities from 0 to 1, and 0 or 1, for each clip and label",
            fix="check that clips were read and that both are of the same clips",
        )
    if not np.isin(y, (0, 1)).all():
        raise MetricError(f"the labels are {y.dtype}", expected="0 or 1 for each clip and label")
    return p, y.astype(np.int64)


def average_precisions(probabilities: ArrayLike, indicators: ArrayLike) -> Floats:
    """Return the average precision of each label, (label,); NaN where no clip has it.

    That of scikit-learn's `average_precision_score`: the sum over thresholds of
    (recall - previous recall) * precision.
    """
    from sklearn.metrics import average_precision_score

    p, y = check_scores(probabilities, indicators)
    each = [
        average_precision_score(has, scores) if has.any() else np.nan
        for scores, has in zip(p.T, y.T, strict=True)
    ]
    return np.array(each, dtype=np.float64)


def mean_average_precision(probabilities: ArrayLike, indicators: ArrayLike) -> float:
    """Return the mean of `average_precisions` over the labels that some clip has.

    MetricError if no clip has any label.
    """
    each = average_precisions(probabilities, indicators)
    if np.isnan(each).all():
        raise MetricError(
            "no clip has a label",
            expected="clips with labels, to rank them above the others",
            fix="measure on other clips",
        )
    return float(np.nanmean(each))


def precision_intervals(
    probabilities: ArrayLike,
    indicators: ArrayLike,
    groups: Groups = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Interval | None, list[Interval | None]]:
    """Return the mean average precision, and that of each label, over resamples of whole groups.

    None where no clip has the label, or any. A resample without a clip of a label does not count
    for it. n is the number of clips that have the label; for the mean, of all clips.
    """
    p, y = check_scores(probabilities, indicators)
    index, count = group_index(groups, len(p))
    values = average_precisions(p, y)
    if np.isnan(values).all():
        return None, [None] * len(values)
    if count < 2:
        mean = Interval.unknown(float(np.nanmean(values)), len(p))
        clips = y.sum(axis=0).tolist()
        return mean, [
            None if np.isnan(value) else Interval.unknown(float(value), n)
            for value, n in zip(values, clips, strict=True)
        ]
    resampled = _resampled_precisions(p, y, index, resamples=resamples, seed=seed)
    each: list[Interval | None] = []
    for label, value in enumerate(values):
        found = None
        if not np.isnan(value):
            n = int(y[:, label].sum())
            found = percentile_interval(float(value), resampled[:, label], groups=count, n=n)
        each.append(found)
    means = _mean_of_labels(resampled)
    whole = percentile_interval(float(np.nanmean(values)), means, groups=count, n=len(p))
    return whole, each


def precision_difference(
    probabilities_a: ArrayLike,
    probabilities_b: ArrayLike,
    indicators: ArrayLike,
    groups: Groups = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the mean average precision of a minus that of b, over the same resamples of groups.

    Row i of both is the same clip. MetricError for fewer than two groups.
    """
    pairs = [check_scores(p, indicators) for p in (probabilities_a, probabilities_b)]
    index, count = group_index(groups, len(pairs[0][0]))
    a, b = (
        _mean_of_labels(_resampled_precisions(p, y, index, resamples=resamples, seed=seed))
        for p, y in pairs
    )
    value = mean_average_precision(*pairs[0]) - mean_average_precision(*pairs[1])
    return percentile_interval(value, a - b, groups=count, n=len(index))


def _resampled_precisions(
    p: Floats, y: NDArray[np.int64], index: NDArray[np.intp], *, resamples: int, seed: int
) -> Floats:
    """Return the average precision of each label, (resample, label); NaN where no clip has it."""
    return np.concatenate(
        [
            np.stack(
                [_weighted(*columns, times[:, index]) for columns in zip(p.T, y.T, strict=True)],
                axis=1,
            )
            for times in resampled_counts(int(index.max()) + 1, resamples, seed=seed, rows=len(p))
        ]
    )


def _mean_of_labels(resampled: Floats) -> Floats:
    """Return the mean over labels (resample,), without those that are NaN."""
    present = ~np.isnan(resampled)
    return ratio(np.where(present, resampled, 0.0).sum(axis=1), present.sum(axis=1) * 1.0)


def _weighted(scores: Floats, has: NDArray[np.int64], weights: NDArray[np.int64]) -> Floats:
    """Return the average precision of one label with weights (resample, clip): (resample,)."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) < 0, True)  # clips of one score count together
    weights = weights[:, order]
    all_named = np.cumsum(weights, axis=1)[:, last].astype(np.float64)
    right = np.cumsum(weights * has[order], axis=1)[:, last].astype(np.float64)
    gained = np.diff(right, axis=1, prepend=0.0)
    precision = np.divide(right, all_named, out=np.zeros_like(right), where=all_named > 0)
    return ratio((gained * precision).sum(axis=1), right[:, -1])


def f1_intervals(
    named: ArrayLike,
    indicators: ArrayLike,
    groups: Groups = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Interval | None, list[Interval | None]]:
    """Return the mean F1 over labels, and that of each, over resamples of whole groups.

    F1 = 2 TP / (2 TP + FP + FN), of clips whose label is named (`named`, (clip, label) bool) and
    that have it (`indicators`). None for a label that no clip has, which the mean leaves out.
    """
    p, y = check_scores(np.asarray(named, dtype=np.float64), indicators)
    labels = y.shape[1]
    columns = np.concatenate([2 * p * y, p + y], axis=1)  # 2 TP, and 2 TP + FP + FN
    clips = y.sum(axis=0)
    there = clips > 0
    values = ratio(columns[:, :labels].sum(axis=0), columns[:, labels:].sum(axis=0))
    if not there.any():
        return None, [None] * labels
    mean, count = float(values[there].mean()), group_index(groups, len(p))[1]
    if count < 2:
        return Interval.unknown(mean, len(p)), [
            Interval.unknown(float(value), int(n)) if n else None
            for value, n in zip(values, clips, strict=True)
        ]
    totals = resampled_totals(columns, groups, resamples=resamples, seed=seed)
    resampled = ratio(totals[:, :labels], totals[:, labels:])
    each = [
        percentile_interval(float(values[label]), resampled[:, label], groups=count, n=int(n))
        if n
        else None
        for label, n in enumerate(clips)
    ]
    present = ~np.isnan(resampled) & there
    means = ratio(np.where(present, resampled, 0.0).sum(axis=1), present.sum(axis=1) * 1.0)
    return percentile_interval(mean, means, groups=count, n=len(p)), each


def _mean_alone(
    probabilities: Floats, indicators: NDArray[np.int64], groups: Groups, *, seed: int
) -> Mapping[str, Interval]:
    mean, _ = precision_intervals(probabilities, indicators, groups, seed=seed)
    if mean is None:
        raise MetricError("no clip has a label", expected="clips with labels")
    return {MEAN_PRECISION: mean}


register_metric(MEAN_PRECISION, title="mAP", better="higher", intervals=_mean_alone, several=True)(
    mean_average_precision
)


@register_metric(
    "binary_log_loss", title="log loss", better="lower", per_clip=True, several=True, detail=True
)
def binary_log_losses(probabilities: Floats, indicators: NDArray[np.int64]) -> Floats:
    """Return the mean over labels of -ln p of what is true for each clip: (clip,), nats.

    p is clipped to [1e-7, 1].
    """
    p, y = check_scores(probabilities, indicators)
    true = np.where(y == 1, p, 1 - p)
    losses: Floats = -np.log(np.clip(true, EPS, 1.0)).mean(axis=1)
    return losses + 0.0
