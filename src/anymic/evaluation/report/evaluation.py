"""From probabilities to rows: what `anymic evaluate` reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.evaluation.report.rows import Row, row
from anymic.metrics import (
    ACCURACY,
    RANKING,
    Interval,
    MetricError,
    accuracy,
    check_probabilities,
    device_contrasts,
    mean_average_precision_at,
    paired_difference,
    score_all,
)

Column = Sequence[Any] | NDArray[Any] | None
ANSWERS = 3  # the k of MAP@k where none is named; for as many labels or more


def evaluate(
    probabilities: ArrayLike,
    targets: ArrayLike,
    *,
    labels: Sequence[str],
    devices: Column = None,
    groups: Column = None,
    reference: str | None = None,
    map_at: int | None = None,
    seed: int = 0,
) -> list[Row]:
    """Return accuracy and every registered metric, each with its interval.

    Parameters
    ----------
    probabilities : (n, class)
        Each row sums to 1.
    targets : (n,) int
        The true class numbers.
    labels : sequence of str
        The name of each class, in the order of the columns.
    devices : (n,), optional
        The device of each clip (None: not known).
    groups : (n,), optional
        The source recording of each clip. Clips of one recording, and one moment heard by
        several devices, must share a group: intervals resample groups.
    reference : str, optional
        The device that the others are compared with; the first in sorted order if not named.
    map_at : int, optional
        The k of MAP@k; by default 3 where there are 3 labels or more, else it is left out.
    seed : int
        Of the resamples.

    Returns
    -------
    list of Row
        accuracy: of all clips ({}), of each device ({"device": d}), of each class
        ({"label": c}: the recall); mean_average_precision_at_3: of the same; macro_accuracy: the
        mean over devices; accuracy_difference: each device minus the reference
        ({"device": d, "against_device": r}); log_loss, brier_score, expected_calibration_error
        and what `anymic.register_metric` added: of all clips and of each device. A device or
        class without clips has no row; a metric over a single recording has a value without an
        interval, except accuracy and MAP@k, whose interval can still be stated.

    Raises
    ------
    MetricError
        If there are no clips, a probability is NaN, rows do not sum to 1, lengths differ, or there
        are fewer labels than `map_at`.
    """
    p, t = check_probabilities(probabilities, targets)
    if len(labels) != p.shape[1]:
        raise MetricError(
            f"there are {len(labels)} labels for {p.shape[1]} columns of probabilities",
            expected="one label for each column",
            fix="pass the labels of the bundle that made the probabilities",
        )
    source = np.arange(len(t)) if groups is None else np.asarray(groups)
    correct = p.argmax(axis=1) == t
    rows = [row(ACCURACY.name, accuracy(correct, source))]
    rows += _score_rows(p, t, source, seed)
    if devices is not None:
        rows += _device_rows(p, t, source, devices, reference, seed)
    for number, label in enumerate(labels):
        of_class = t == number
        if of_class.any():
            rows.append(
                row(ACCURACY.name, accuracy(correct[of_class], source[of_class]), label=label)
            )
    if map_at is not None or len(labels) >= ANSWERS:
        rows += _ranking_rows(p, t, source, labels, devices, ANSWERS if map_at is None else map_at)
    return rows


def compare(
    correct: Mapping[str, ArrayLike],
    *,
    against: str,
    key: str = "condition",
    devices: Column = None,
    groups: Column = None,
    seed: int = 0,
) -> list[Row]:
    """Return how much accuracy each condition gains against one of them, in pairs.

    Parameters
    ----------
    correct : mapping of condition to (n,) bool
        Row i of all of them is the same clip.
    against : str
        The condition that the others are compared with.
    key : str
        What the conditions are called: {key: condition, "against_<key>": against, "device": d}.
    devices, groups, seed
        As in `evaluate`.

    Returns
    -------
    list of Row
        accuracy_difference, over all clips and for each device.

    Raises
    ------
    MetricError
        If `against` is not among the conditions, or lengths differ.
    """
    if against not in correct:
        raise MetricError(
            f"there is no condition {against!r} to compare with",
            expected=f"one of {', '.join(map(repr, correct))}",
        )
    base = np.asarray(correct[against], dtype=np.float64)
    source = np.arange(base.size) if groups is None else np.asarray(groups)
    rows = []
    for name, hits in correct.items():
        if name == against:
            continue
        other = np.asarray(hits, dtype=np.float64)
        members = {"": np.ones(base.size, dtype=bool), **by_device(devices)}
        for device, kept in members.items():
            condition = {key: name, f"against_{key}": against}
            condition |= {"device": device} if device else {}
            if len(set(source[kept].tolist())) > 1:
                change = paired_difference(other[kept], base[kept], source[kept], seed=seed)
                rows.append(row(ACCURACY.difference, change, **condition))
    return rows


def _device_rows(
    p: NDArray[np.float64],
    t: NDArray[np.intp],
    source: NDArray[Any],
    devices: Sequence[Any] | NDArray[Any],
    reference: str | None,
    seed: int,
) -> list[Row]:
    if len(devices) != len(t):
        raise MetricError(
            f"there are {len(devices)} devices for {len(t)} clips", expected="one for each clip"
        )
    correct = p.argmax(axis=1) == t
    members = by_device(devices)
    if reference is not None and reference not in members:
        raise MetricError(
            f"unknown reference device {reference!r}",
            expected=f"one of {', '.join(members) or 'no device'}",
            fix="choose a device of these clips",
        )
    rows = []
    for device, kept in members.items():
        rows.append(row(ACCURACY.name, accuracy(correct[kept], source[kept]), device=device))
        rows += _score_rows(p[kept], t[kept], source[kept], seed, device=device)
    if len(members) > 1 and len(set(source.tolist())) > 1:
        first = reference or next(iter(members))
        macro, differences = device_contrasts(correct, devices, source, reference=first, seed=seed)
        rows.append(row(ACCURACY.over_devices, macro))
        for device, change in differences.items():
            rows.append(row(ACCURACY.difference, change, device=device, against_device=first))
    return rows


def _ranking_rows(
    p: NDArray[np.float64],
    t: NDArray[np.intp],
    source: NDArray[Any],
    labels: Sequence[str],
    devices: Column,
    k: int,
) -> list[Row]:
    """Return MAP@k of all clips, of each device and of each class."""
    parts: list[tuple[dict[str, str], NDArray[np.bool_]]] = [({}, np.ones(len(t), dtype=bool))]
    parts += [({"device": device}, kept) for device, kept in by_device(devices).items()]
    parts += [({"label": label}, t == number) for number, label in enumerate(labels)]
    return [
        row(
            f"{RANKING}{k}",
            mean_average_precision_at(p[kept], t[kept], source[kept], k=k),
            **condition,
        )
        for condition, kept in parts
        if kept.any()
    ]


def _score_rows(
    p: NDArray[np.float64], t: NDArray[np.intp], source: NDArray[Any], seed: int, **condition: str
) -> list[Row]:
    return [
        row(name, found, **condition)
        if isinstance(found, Interval)
        else Row(condition, name, found, None, None, len(t))
        for name, found in score_all(p, t, source, seed=seed).items()
    ]


def by_device(devices: Column) -> dict[str, NDArray[np.bool_]]:
    """Return which clips each device made, in sorted order; clips of no device are left out."""
    if devices is None:
        return {}
    names = np.array([_name(device) for device in devices], dtype=str)
    return {name: names == name for name in sorted(set(names.tolist()) - {""})}


def _name(device: Any) -> str:
    return "" if device is None or device != device else str(device)
