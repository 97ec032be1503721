"""Confidence intervals for clips of which several come from one recording.

The results of clips of one recording (or of one moment recorded by several devices) are correlated,
so they contain less information than as many independent clips. `groups` names the recording of
each clip; all intervals are over whole groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.errors import AnymicError, counted, part_of

LEVEL = 0.95
RESAMPLES = 1000
_BLOCK_CELLS = 2_000_000  # numbers of a block of resamples, which limits the memory

Floats: TypeAlias = NDArray[np.float64]
Groups: TypeAlias = Sequence[Any] | NDArray[Any] | None


class MetricError(AnymicError):
    """Numbers from which a metric cannot be computed."""


@dataclass(frozen=True)
class Interval:
    """A number with its confidence interval.

    Attributes
    ----------
    value : float
        The estimate over all clips.
    low, high : float
        The interval's ends, in the unit of `value`; NaN if there is none (for a single recording).
    n : int
        The number of clips (not the effective number).
    """

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def unknown(cls, value: float, n: int) -> Interval:
        """Return a number without an interval."""
        return cls(value, float("nan"), float("nan"), n)


def accuracy(correct: ArrayLike, groups: Groups = None) -> Interval:
    """Return the share of correct clips with a Wilson score interval on the effective n.

    With p the share, m = n / design effect, and z the normal quantile of the confidence,
    (p + z^2 / 2m ± z sqrt(p (1 - p) / m + z^2 / 4m^2)) / (1 + z^2 / m).

    Parameters
    ----------
    correct : (n,) bool or 0 / 1
        Whether each clip was classified correctly.
    groups : (n,), optional
        The source recording of each clip; without it every clip is a recording of its own.

    Raises
    ------
    MetricError
        If there is no clip, a value is neither 0 nor 1, or the lengths differ.

    Notes
    -----
    Score interval: E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", JASA 22, 1927. On an effective n, for clustered samples: E. L. Korn and B. I.
    Graubard, "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", Survey Methodology 24, 1998.
    """
    hits = finite(correct, "correct")
    if not np.isin(hits, (0.0, 1.0)).all():
        raise MetricError(
            f"the values of correct are between {hits.min():g} and {hits.max():g}",
            expected="0 or 1 for each clip",
            fix="compare the predicted with the true labels first",
        )
    return bounded_mean(hits, groups)


def bounded_mean(values: ArrayLike, groups: Groups = None) -> Interval:
    """Return the mean of values from 0 to 1 with the interval of `accuracy`.

    p (1 - p) is the largest variance that values in [0, 1] of mean p can have (that of zeros and
    ones), so the interval contains the mean at least as often as stated. Unlike a bootstrap
    interval, it does not shrink to a point where a few clips all have one value.

    Raises
    ------
    MetricError
        If there is no clip, a value is outside [0, 1], or the lengths differ.
    """
    from scipy.special import ndtri

    scores = _bounded(values)
    p = float(scores.mean())
    m = scores.size / design_effect(scores, groups)
    z = float(ndtri(0.5 + LEVEL / 2))
    middle = (p + z * z / (2 * m)) / (1 + z * z / m)
    half = z / (1 + z * z / m) * float(np.sqrt(p * (1 - p) / m + z * z / (4 * m * m)))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Interval(p, min(low, p), max(high, p), scores.size)


def design_effect(values: ArrayLike, groups: Groups = None) -> float:
    """Return the factor by which clustering inflates the variance of a mean of values in [0, 1].

    The cluster-robust variance, sum over groups of (sum over its clips of (y - p))^2 /
    (1 - size / n) / n^2, over the variance p (1 - p) / (n - 1) of n independent clips. The mean
    follows a large group, which makes its residuals small; the factor corrects that (R. M. Bell
    and D. F. McCaffrey, "Bias reduction in standard errors for linear regression with multi-stage
    samples", Survey Methodology 28, 2002). With few groups the variance has few degrees of
    freedom, so it is multiplied by (t[H - 1] / t[n - 1])^2, the quantiles of Student's t (Korn and
    Graubard 1998, equation 3). H = n^2 / sum of (group size)^2 is the number of groups of one size
    that would be as uneven; it is G, the number of groups, where all have one size.

    It is limited to [1, sum of (group size)^2 / n]. The upper limit, n / G for groups of one
    size, is Kish's design effect for groups whose clips all agree (L. Kish, *Survey Sampling*,
    1965, 5.4 and 8.2). It is also the result where the spread between groups is unknown: where
    all values are equal, or there is one group.
    """
    from scipy.special import stdtrit

    scores = _bounded(values)
    n = scores.size
    index, count = group_index(groups, n)
    if count == n:
        return 1.0
    sizes = np.bincount(index).astype(np.float64)
    most = float((sizes**2).sum() / n)
    if count == 1 or (scores == scores[0]).all():
        return most
    p = scores.mean()
    residuals = np.bincount(index, weights=scores - p)
    clustered = float((residuals**2 / (1 - sizes / n)).sum()) / n**2
    independent = float(p * (1 - p)) / (n - 1)
    tail = 0.5 + LEVEL / 2
    correction = float(stdtrit(n / most - 1, tail) / stdtrit(n - 1, tail)) ** 2
    return min(max(clustered / independent * correction, 1.0), most)


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float],
    groups: Groups,
    *,
    n: int | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return a statistic of clips with the interval over resamples of whole groups.

    Parameters
    ----------
    statistic : callable
        Takes row numbers (m,), with repeats, and returns a number. For means and their ratios
        `resampled_totals` does the same draws without a Python call for each.
    groups : (n,)
        The source recording of each clip; None: every clip by itself (then state `n`).
    resamples, seed : int
        Number of resamples, and seed of the draws.

    Raises
    ------
    MetricError
        If there are fewer than two groups, or the statistic is not finite for a resample.
    """
    if groups is None and n is None:
        raise MetricError(
            "there are neither groups nor n",
            expected="one of them",
            fix="pass the number of clips as n",
        )
    rows = len(groups) if groups is not None else int(n or 0)
    index, count = group_index(groups, rows)
    value = float(statistic(np.arange(rows)))
    order = np.argsort(index, kind="stable")
    sizes = np.bincount(index, minlength=count)
    starts = np.cumsum(sizes) - sizes
    values = []
    for block in _draws(count, resamples, seed):
        for drawn in block:
            lengths = sizes[drawn]
            ends = np.cumsum(lengths)
            within = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
            values.append(float(statistic(order[np.repeat(starts[drawn], lengths) + within])))
    return percentile_interval(value, np.asarray(values), groups=count, n=rows)


def paired_difference(
    values_a: ArrayLike,
    values_b: ArrayLike,
    groups: Groups = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return mean(values_a) - mean(values_b) over the same clips, in pairs.

    Row i of both is the same clip under two conditions. The interval is over resamples of whole
    groups of the differences, so what makes a clip hard under both conditions cancels.

    Raises
    ------
    MetricError
        If the lengths differ, a value is not finite, or there are fewer than two groups.
    """
    first, second = finite(values_a, "values_a"), finite(values_b, "values_b")
    if first.shape != second.shape:
        raise MetricError(
            f"there are {first.size} and {second.size} values",
            expected="the same clips under both conditions",
            fix="align the rows by clip before comparing",
        )
    return resampled_mean(first - second, groups, resamples=resamples, seed=seed)


def resampled_mean(
    values: Floats, groups: Groups = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the mean of the values (n,) with the interval over resamples of whole groups."""
    columns = np.column_stack([values, np.ones(len(values))])
    totals = resampled_totals(columns, groups, resamples=resamples, seed=seed)
    count = group_index(groups, len(values))[1]
    means = ratio(totals[:, 0], totals[:, 1])
    return percentile_interval(float(values.mean()), means, groups=count, n=len(values))


def resampled_totals(
    columns: Floats, groups: Groups = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> Floats:
    """Return the sums (resamples, k) of the columns (n, k) over resamples of whole groups.

    Means, differences of means and binned errors are functions of such sums, so that several of
    them can share the same resamples.
    """
    index, count = group_index(groups, len(columns))
    sums = np.stack(
        [np.bincount(index, weights=column, minlength=count) for column in columns.T], axis=1
    )
    return np.concatenate([times @ sums for times in resampled_counts(count, resamples, seed=seed)])


def resampled_counts(
    groups: int, resamples: int = RESAMPLES, *, seed: int = 0, rows: int = 0
) -> Iterator[NDArray[np.intp]]:
    """Yield how often each group is drawn in each resample, in blocks (resample, group).

    The blocks are smaller where each resample needs memory for so many `rows`.
    """
    for drawn in _draws(groups, resamples, seed):
        most = max(1, _BLOCK_CELLS // max(rows, groups))
        for first in range(0, len(drawn), most):
            block = drawn[first : first + most]
            flat = block + groups * np.arange(len(block))[:, None]
            times = np.bincount(flat.ravel(), minlength=groups * len(block))
            yield times.reshape(len(block), groups)


def percentile_interval(
    value: float, resampled: Floats, *, groups: int, n: int, centred: bool = False
) -> Interval:
    """Return an estimate with the percentile interval of its resampled values.

    The percentiles are moved outwards for few groups, to the normal tail at
    sqrt(G / (G - 1)) t[G - 1] (T. Hesterberg, "What teachers should know about the bootstrap",
    The American Statistician 69, 2015, section 5.3, expanded percentile interval).

    `groups` is the number of groups resampled, `n` that of clips. NaN in `resampled` is a resample
    without a clip of the kind: left out. `centred` shifts the resampled values so that their median
    is `value`: for a statistic that resampling inflates, such as a calibration error.
    """
    from scipy.special import ndtr, stdtrit

    kept = resampled[~np.isnan(resampled)]
    if groups < 2 or kept.size == 0 or not np.isfinite(kept).all() or not np.isfinite(value):
        raise MetricError(
            f"there are {groups} group(s) and {kept.size} usable resamples",
            expected="at least 2 groups and finite values",
            fix="pass clips of at least two recordings",
        )
    if centred:
        kept = kept + (value - float(np.median(kept)))
    reach = float(np.sqrt(groups / (groups - 1)) * stdtrit(groups - 1, 0.5 + LEVEL / 2))
    low, high = np.quantile(kept, [float(ndtr(-reach)), float(ndtr(reach))])
    return Interval(value, min(float(low), value), max(float(high), value), n)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; NaN where the denominator is 0 (a resample without such clips)."""
    empty = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    quotient: Floats = np.divide(numerator, denominator, out=empty, where=denominator > 0)
    return quotient


def group_index(groups: Groups, n: int) -> tuple[NDArray[np.intp], int]:
    """Return each clip's group as a number from 0, and how many groups there are, or refuse."""
    if groups is None:
        return np.arange(n), n
    names = np.asarray(groups)
    if names.shape != (n,):
        raise MetricError(
            f"the groups have shape {names.shape}",
            expected=f"one group for each of {counted(n, 'clip')}",
            fix="pass the groups of the same rows",
        )
    missing = [name is None or name != name or name == "" for name in names.tolist()]
    if any(missing):
        raise MetricError(
            part_of(sum(missing), n, "clip", verb=("has", "have")) + " no group",
            expected="the source recording of every clip",
            fix="fill the column, or leave groups out to count every clip as a group",
        )
    if names.dtype == object:
        names = names.astype(str)
    found, index = np.unique(names, return_inverse=True)
    return index.reshape(-1).astype(np.intp), len(found)


def finite(values: ArrayLike, name: str) -> Floats:
    """Return the values as (n,) float64, or refuse them."""
    array: Floats = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        found = f"shape {array.shape}"
        if array.ndim == 1 and array.size:
            bad = int((~np.isfinite(array)).sum())
            found = part_of(bad, array.size, "value", verb=("that is", "that are")) + " not finite"
        raise MetricError(
            f"the argument {name} has {found}",
            expected="one finite number for each clip, and at least one clip",
            fix="leave out clips that failed, and check for NaN",
        )
    return array


def _bounded(values: ArrayLike) -> Floats:
    scores = finite(values, "values")
    if scores.min() < 0 or scores.max() > 1:
        raise MetricError(
            f"the values are between {scores.min():g} and {scores.max():g}",
            expected="numbers from 0 to 1",
            fix="use the bootstrap",
        )
    return scores


def _draws(groups: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield blocks (resample, group) of drawn group numbers; the same for the same arguments."""
    if groups == 0 or resamples < 1:
        raise MetricError(
            f"there are {groups} groups and {resamples} resamples", expected="at least 1 of each"
        )
    random = np.random.default_rng(seed)
    block = max(1, _BLOCK_CELLS // groups)
    for start in range(0, resamples, block):
        yield random.integers(groups, size=(min(block, resamples - start), groups))
