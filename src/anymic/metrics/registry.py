"""Metrics by name: what computes each, its interval, its unit, and which direction is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from anymic._internal.registry import Registry
from anymic.metrics.intervals import (
    Floats,
    Groups,
    Interval,
    MetricError,
    bootstrap,
    bounded_mean,
    resampled_mean,
)

Unit = Literal["share", "difference", "number"]
Targets = NDArray[np.intp]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Metric:
    """The description of a metric, for reports.

    Attributes
    ----------
    name : str
        In the rows of a report: "log_loss".
    title : str
        In tables: "log loss".
    unit : {"share", "difference", "number"}
        A share from 0 to 1 is shown in per cent, a difference of shares as points with a sign.
    better : {"higher", "lower", ""}
        Which values are better; "" for neither.
    function : callable or None
        From probabilities (clip, class) and targets (clip,) to a number. None for a metric of
        other rows, or of more than these two arrays.
    intervals : callable or None
        From probabilities, targets, groups and `seed` to intervals by name. Metrics with the same
        resamples share it.
    detail : bool
        Whether it is shown in full tables only.
    several : bool
        Whether it is for classifiers of several labels a clip: targets are 0 and 1, (clip, class).
    over_devices, difference : str
        The names of its mean over devices, and of its difference between devices or conditions.
    """

    name: str
    title: str
    unit: Unit = "number"
    better: Literal["higher", "lower", ""] = ""
    function: Callable[[Floats, Targets], float] | None = None
    intervals: Callable[..., Mapping[str, Interval]] | None = None
    detail: bool = False
    over_devices: str = ""
    difference: str = ""
    several: bool = False


METRICS: Registry[Metric] = Registry("metric", package="anymic.metrics", error=MetricError)

RANKING = "mean_average_precision_at_"  # and the k of MAP@k

ACCURACY = Metric(
    "accuracy",
    "accuracy",
    unit="share",
    better="higher",
    over_devices="macro_accuracy",
    difference="accuracy_difference",
)
for _metric in (
    ACCURACY,
    Metric("macro_accuracy", "mean of devices", "share", "higher"),
    Metric("accuracy_difference", "difference", "difference", "higher"),
    Metric("accuracy_at_coverage", "accuracy of the surest clips", "share", "higher"),
    Metric("confidence_at_coverage", "confidence from which so many are answered"),
    Metric("coverage", "clips answered", "share", "higher"),
    Metric("accuracy_when_sure", "accuracy of these", "share", "higher"),
    Metric("flips", "flips", "share", "lower"),
    Metric("average_precision", "average precision", better="higher"),
    Metric("mean_average_precision_difference", "difference in mAP", better="higher"),
    Metric("f1", "F1", better="higher"),
    Metric("macro_f1", "mean F1", better="higher"),
    Metric("threshold", "threshold"),
    Metric("mean_of_conditions", "mean_of_conditions", "share", "higher"),
):
    METRICS.add(_metric.name, _metric)


def metric_named(name: str) -> Metric:
    """Return the metric of a report's row; one that is not registered is a plain number."""
    if name in METRICS:
        return METRICS.get(name)
    if name.startswith(RANKING):
        return Metric(name, f"MAP@{name.removeprefix(RANKING)}", better="higher")
    return Metric(name, name, "difference" if name.endswith("_difference") else "number")


def register_metric(
    name: str,
    *,
    title: str = "",
    unit: Unit = "number",
    better: Literal["higher", "lower", ""] = "higher",
    per_clip: bool = False,
    detail: bool = False,
    intervals: Callable[..., Mapping[str, Interval]] | None = None,
    several: bool = False,
) -> Callable[[Function], Function]:
    """Return a decorator that adds a metric to every report.

    The decorated function takes probabilities (clip, class) and targets (clip,).

    Parameters
    ----------
    name : str
        In the rows of a report.
    title : str
        In tables; by default the name.
    unit, better, detail, several
        See `Metric`.
    per_clip : bool
        Whether the function returns a value for each clip, (clip,), whose mean is the metric.
        Otherwise it returns one number, and the interval calls it once for each of 1000 resamples.
    intervals : callable, optional
        See `Metric`. By default the interval resamples whole recordings; that of values from 0 to
        1 for each clip, with the unit "share", is `bounded_mean`.

    Returns
    -------
    callable
        A decorator of the metric: from probabilities (clip, class) and targets (clip,)
        to a number, or values (clip,). It returns what it is
        given.

    Raises
    ------
    MetricError
        If the name is taken by another metric.

    Examples
    --------
    >>> import anymic
    >>> @anymic.register_metric("mean_confidence", unit="share", per_clip=True)
    ... def mean_confidence(probabilities, targets):
    ...     return probabilities.max(axis=1)
    """

    def decorate(function: Function) -> Function:
        def value(p: Floats, t: Targets) -> float:
            return float(_checked(name, function(p, t), (len(t),) if per_clip else ()).mean())

        def own(p: Floats, t: Targets, groups: Groups, *, seed: int) -> dict[str, Interval]:
            if not per_clip:
                found = bootstrap(lambda rows: value(p[rows], t[rows]), groups, n=len(t), seed=seed)
                return {name: found}
            values = _checked(name, function(p, t), (len(t),))
            if unit == "share":
                return {name: bounded_mean(values, groups)}
            return {name: resampled_mean(values, groups, seed=seed)}

        metric = Metric(
            name, title or name, unit, better, value, intervals or own, detail, several=several
        )
        METRICS.add(name, metric, made_by=function)
        return function

    return decorate


def score_all(
    probabilities: Floats, targets: Targets, groups: NDArray[Any], *, seed: int = 0
) -> dict[str, Interval]:
    """Return every metric that has a function, by name, in the order of registration.

    Parameters
    ----------
    probabilities, targets
        As `check_probabilities` returns them, or `check_scores` for several labels a clip.
    groups : (clip,)
        The source recording of each clip. A single recording gives numbers without intervals.
    seed : int
        Of the resamples.
    """
    recordings = len(set(groups.tolist()))
    several = targets.ndim == 2
    scored = [one for one in METRICS.specs() if one.function and one.several == several]
    found: dict[str, Interval] = {}
    for metric in scored:
        if recordings > 1 and metric.intervals is not None:
            if metric.name not in found:
                found.update(metric.intervals(probabilities, targets, groups, seed=seed))
        elif metric.function is not None:
            value = metric.function(probabilities, targets)
            found[metric.name] = Interval.unknown(value, len(targets))
    return {metric.name: found[metric.name] for metric in scored}


def _checked(name: str, result: Any, shape: tuple[int, ...]) -> Floats:
    values = np.asarray(result, dtype=np.float64)
    if values.shape != shape or not np.isfinite(values).all():
        raise MetricError(
            f"metric {name} returns {values.shape}"
            + ("" if np.isfinite(values).all() else ", not all of it finite"),
            expected=f"finite values {shape}" if shape else "one finite number",
            fix="correct the function, or how it is registered (`per_clip`)",
        )
    return values
