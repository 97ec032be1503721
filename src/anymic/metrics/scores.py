"""Scores of a classifier's probabilities: arrays in, numbers with intervals out.

All functions take arrays of one row a clip. They raise `MetricError` and never return NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.errors import counted, part_of
from anymic.metrics.intervals import (
    RESAMPLES,
    Floats,
    Groups,
    Interval,
    MetricError,
    bounded_mean,
    group_index,
    percentile_interval,
    ratio,
    resampled_totals,
)
from anymic.metrics.registry import register_metric

BINS = 15  # of the calibration error, as in Guo 2017
EPS = 1e-7  # probabilities are clipped to [EPS, 1] before the logarithm: about float32's rounding
SUM_TOLERANCE = 1e-3  # of the sum of a row of probabilities: the rounding of bfloat16


def check_probabilities(
    probabilities: ArrayLike, targets: ArrayLike
) -> tuple[Floats, NDArray[np.intp]]:
    """Return probabilities (n, class) float64 and targets (n,).

    Raises
    ------
    MetricError
        If there is no clip, shapes do not fit, a value is NaN, infinite or outside [0, 1], a row
        does not sum to 1 within 0.001, or a target is no class number.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    t = np.asarray(targets)
    if p.ndim != 2 or p.shape[0] == 0 or p.shape[1] < 2 or t.shape != p.shape[:1]:
        raise MetricError(
            f"the probabilities have shape {p.shape} and the targets {t.shape}",
            expected="(n, class) and (n,), at least one clip and two classes",
            fix="check that clips were read and that both are of the same clips",
        )
    bad = ~np.isfinite(p).all(axis=1)
    if bad.any():
        raise MetricError(
            f"the probabilities of {part_of(int(bad.sum()), len(p), 'clip')} are not finite",
            expected="finite numbers",
            fix="check the weights and the input of the network for NaN",
        )
    if p.min() < 0 or p.max() > 1 or np.abs(p.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        sums = p.sum(axis=1)
        raise MetricError(
            f"the values are in [{p.min():.3g}, {p.max():.3g}], the row sums in "
            f"[{sums.min():.4g}, {sums.max():.4g}]",
            expected="probabilities in [0, 1], where each row sums to 1",
            fix="apply softmax to the logits first",
        )
    if t.dtype.kind not in "iu" or t.min() < 0 or t.max() >= p.shape[1]:
        raise MetricError(
            f"the targets are {t.dtype} in [{t.min()}, {t.max()}]",
            expected=f"class numbers from 0 to {p.shape[1] - 1}",
            fix="number the labels like the columns of the probabilities",
        )
    return p, t.astype(np.intp)


def log_losses(probabilities: ArrayLike, targets: ArrayLike) -> Floats:
    """Return -ln p of the true class for each clip, p clipped to [1e-7, 1]: (n,), nats."""
    p, t = check_probabilities(probabilities, targets)
    losses: Floats = -np.log(np.clip(p[np.arange(len(t)), t], EPS, 1.0))
    return losses + 0.0  # -ln 1 is -0.0


def log_loss(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Return the mean of `log_losses`, in nats; ln(classes) for a uniform guess."""
    return float(log_losses(probabilities, targets).mean())


def reciprocal_ranks_at(probabilities: ArrayLike, targets: ArrayLike, *, k: int = 3) -> Floats:
    """Return 1 / rank of the true class for each clip, 0 where it is not among the first k: (n,).

    With one true class a clip, this is the average precision at k. Classes of equal probability
    are ranked in the order of the columns, as `anymic predict` lists them.

    Raises
    ------
    MetricError
        As `check_probabilities`, or if there are fewer than k classes, or k is below 1.
    """
    p, t = check_probabilities(probabilities, targets)
    if not 1 <= k <= p.shape[1]:
        raise MetricError(
            f"there are {p.shape[1]} classes for a mean average precision at {k}",
            expected=f"at least {max(k, 1)} classes, and a rank of 1 or more",
            fix="measure accuracy, or choose another rank",
        )
    own = p[np.arange(len(t)), t][:, None]
    before = (p > own) | ((p == own) & (np.arange(p.shape[1]) < t[:, None]))
    rank = 1 + before.sum(axis=1)
    return np.where(rank <= k, 1.0 / rank, 0.0)


def mean_average_precision_at(
    probabilities: ArrayLike,
    targets: ArrayLike,
    groups: Groups = None,
    *,
    k: int = 3,
) -> Interval:
    """Return the mean of `reciprocal_ranks_at` with its interval: MAP@k, from 0 to 1.

    MAP@3 is the measure of DCASE 2018 task 2. The interval is that of `bounded_mean`.

    Parameters
    ----------
    probabilities, targets, groups
        As for `reciprocal_ranks_at` and `bounded_mean`.
    k : int
        How many answers a clip has.
    """
    return bounded_mean(reciprocal_ranks_at(probabilities, targets, k=k), groups)


def brier_scores(probabilities: ArrayLike, targets: ArrayLike) -> Floats:
    """Return the squared error summed over classes for each clip: (n,), from 0 to 2.

    Source: G. W. Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    p, t = check_probabilities(probabilities, targets)
    scores: Floats = np.square(p - np.eye(p.shape[1])[t]).sum(axis=1)
    return scores


def brier_score(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Return the mean of `brier_scores` (multi-class: not halved)."""
    return float(brier_scores(probabilities, targets).mean())


def expected_calibration_error(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Return the gap between confidence and accuracy, averaged over 15 bins of equal width.

    Sum over bins of (clips in the bin / n) `|accuracy - mean confidence|` (C. Guo et al., "On
    calibration of modern neural networks", ICML 2017, equation 3). It is biased upwards on few
    clips.
    """
    p, t = check_probabilities(probabilities, targets)
    return float(np.abs(_gaps_by_bin(p, t).sum(axis=0)).sum() / len(t))


def _gaps_by_bin(probabilities: Floats, targets: NDArray[np.intp]) -> Floats:
    """Return correct - confidence of each clip in the column of its bin, 0 in the others."""
    confidence = probabilities.max(axis=1)
    gaps = np.zeros((len(targets), BINS + 1))
    found = calibration_bins(confidence)
    gaps[np.arange(len(targets)), found] = (probabilities.argmax(axis=1) == targets) - confidence
    return gaps


def calibration_bins(confidence: ArrayLike) -> NDArray[np.intp]:
    """Return the bin of each confidence, [i / 15, (i + 1) / 15); exactly 1 is bin 15.

    The bins of `expected_calibration_error`, counted as torchmetrics counts them.
    """
    edges = np.linspace(0.0, 1.0, BINS + 1)
    return (np.digitize(np.asarray(confidence, dtype=np.float64), edges) - 1).astype(np.intp)


def probability_scores(
    probabilities: ArrayLike,
    targets: ArrayLike,
    groups: Groups = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return `log_loss`, `brier_score` and `expected_calibration_error` with intervals.

    All three over the same resamples of whole groups. Resampling inflates a calibration error
    (it adds the noise of a second draw), so its resampled values are shifted to have their
    median at the estimate: the interval shows its spread, not its bias.

    Raises
    ------
    MetricError
        As `check_probabilities`, or if there are fewer than two groups.
    """
    p, t = check_probabilities(probabilities, targets)
    gaps = _gaps_by_bin(p, t)
    columns = np.column_stack([np.ones(len(t)), log_losses(p, t), brier_scores(p, t), gaps])
    totals = resampled_totals(columns, groups, resamples=resamples, seed=seed)
    sums = {
        "log_loss": (log_loss(p, t), totals[:, 1]),
        "brier_score": (brier_score(p, t), totals[:, 2]),
        "expected_calibration_error": (
            expected_calibration_error(p, t),
            np.abs(totals[:, 3:]).sum(axis=1),
        ),
    }
    count = group_index(groups, len(t))[1]
    scores = {}
    for name, (value, total) in sums.items():
        resampled = ratio(total, totals[:, 0])
        centred = name == "expected_calibration_error"
        found = percentile_interval(value, resampled, groups=count, n=len(t), centred=centred)
        scores[name] = replace(found, low=max(found.low, 0.0))
    return scores


register_metric("log_loss", title="log loss", better="lower", intervals=probability_scores)(
    log_loss
)
register_metric(
    "brier_score", title="Brier score", better="lower", intervals=probability_scores, detail=True
)(brier_score)
register_metric(
    "expected_calibration_error", title="ECE", better="lower", intervals=probability_scores
)(expected_calibration_error)


def device_contrasts(
    correct: ArrayLike,
    devices: Sequence[Any] | NDArray[Any],
    groups: Groups = None,
    *,
    reference: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Interval, dict[str, Interval]]:
    """Return the mean of the devices' accuracies, and each device's difference from a reference.

    Both over the same resamples of whole groups: a recording by several devices is drawn for all of
    them at once, so that the differences are paired.

    Parameters
    ----------
    correct : (n,) bool
        Whether each clip was classified correctly.
    devices : (n,)
        The device of each clip; clips of an unknown device, None, are left out.
    reference : str, optional
        The device that the others are compared with; without it there are no differences.

    Returns
    -------
    macro : Interval
        Of the mean over devices with equal weights; n is the number of clips.
    differences : dict
        By device: accuracy minus the reference's accuracy; n is the device's number of clips.

    Raises
    ------
    MetricError
        If no clip has a device, the reference has no clip, or there are fewer than two groups.
    """
    hits = np.asarray(correct, dtype=np.float64)
    names = np.array([name or "" for name in devices], dtype=str)
    known = sorted(set(names.tolist()) - {""})
    if not known or names.shape != hits.shape or (reference and reference not in known):
        raise MetricError(
            f"{counted(len(names), 'device')} ({', '.join(known) or 'none'}) for"
            f" {counted(hits.size, 'clip')}",
            expected=f"one device for each clip{f', {reference} among them' if reference else ''}",
            fix="pass the device of each clip",
        )
    recorded = np.stack([names == name for name in known], axis=1).astype(np.float64)
    columns = np.concatenate([recorded, recorded * hits[:, None]], axis=1)
    totals = resampled_totals(columns, groups, resamples=resamples, seed=seed)
    resampled = ratio(totals[:, len(known) :], totals[:, : len(known)])
    clips = recorded.sum(axis=0)
    values = (recorded * hits[:, None]).sum(axis=0) / clips
    count = group_index(groups, hits.size)[1]
    present = ~np.isnan(resampled)
    means = ratio(np.where(present, resampled, 0.0).sum(axis=1), present.sum(axis=1) * 1.0)
    macro = percentile_interval(float(values.mean()), means, groups=count, n=int(clips.sum()))
    differences = {}
    for column, name in enumerate(known):
        if reference and name != reference:
            base = known.index(reference)
            change = float(values[column] - values[base])
            changes, n = resampled[:, column] - resampled[:, base], int(clips[column])
            differences[name] = percentile_interval(change, changes, groups=count, n=n)
    return macro, differences


def confusion_matrix(
    targets: ArrayLike, predictions: ArrayLike, *, classes: int
) -> NDArray[np.int64]:
    """Return the number of clips of each true class (row) and predicted class (column).

    Raises
    ------
    MetricError
        If there is no clip, the lengths differ, or a number is not a class.
    """
    t, p = np.asarray(targets), np.asarray(predictions)
    whole = t.dtype.kind in "iu" and p.dtype.kind in "iu"
    if not whole or t.ndim != 1 or t.shape != p.shape or t.size == 0:
        raise MetricError(
            f"the targets are {t.dtype} {t.shape} and the predictions {p.dtype} {p.shape}",
            expected="class numbers, one of each for each clip",
            fix="pass the true and the predicted classes of the same clips",
        )
    if min(t.min(), p.min()) < 0 or max(t.max(), p.max()) >= classes:
        raise MetricError(
            f"the class numbers go from {min(t.min(), p.min())} to {max(t.max(), p.max())}",
            expected=f"0 to {classes - 1}",
            fix="number the labels like the columns of the probabilities",
        )
    counts = np.bincount(t.astype(np.int64) * classes + p.astype(np.int64), minlength=classes**2)
    return counts.reshape(classes, classes).astype(np.int64)
