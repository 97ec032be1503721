"""What a table states of each row: accuracies, the mean over unknown devices, and the spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anymic.evaluation.report.rows import Row, row
from anymic.metrics import expected_calibration_error, intervals
from anymic.metrics.intervals import Interval
from anymic.metrics.recovery import recovered_share
from anymic_experiments.pooling import Pooled

MEAN = "unknown"  # how rows call the mean over the unknown devices
FARTHEST = "farthest"  # and over those of them whose responses differ most from a flat one
ALL = "all"


def over_devices(
    values: NDArray[np.float64], devices: NDArray[np.str_], groups: NDArray[np.str_]
) -> Interval:
    """Return the mean over devices of their mean, with an interval over devices and recordings.

    Both are resampled, independently of each other, so that the interval is that of another
    device with other recordings. It is made wider for the number of devices, which is small.

    Parameters
    ----------
    values, devices, groups : (clip,)
        Every device recorded the same clips; `groups` are the recordings that they were cut from.

    Raises
    ------
    MetricError
        If there are fewer than two devices or recordings.
    """
    names = sorted(set(devices.tolist()))
    member = devices[:, None] == np.array(names)
    columns = np.concatenate([values[:, None] * member, member], axis=1).astype(np.float64)
    totals = intervals.resampled_totals(columns, groups)
    means = totals[:, : len(names)] / totals[:, len(names) :]
    times = np.concatenate(list(intervals.resampled_counts(len(names), len(means), seed=1)))
    resampled = (times * means).sum(axis=1) / len(names)
    value = float(np.mean([values[devices == name].mean() for name in names]))
    count = min(len(names), len(set(groups.tolist())))
    return intervals.percentile_interval(value, resampled, groups=count, n=len(values))


def compared(
    pooled: Pooled,
    name: str,
    against: str,
    unknown: Sequence[str],
    *,
    farthest: Sequence[str] = (),
) -> list[Row]:
    """Return all that a table states of a row, and of its change against the row `against`.

    That is for each device the accuracy, its change and the calibration error; for the unknown
    devices together, and for those of them that are `farthest`, the mean, its change, and the mean
    calibration error; and the standard deviation of the accuracies, of all devices and, where some
    are `farthest`, of these and of all that are not unknown.
    """
    found, devices = [], list(dict.fromkeys(pooled.devices.tolist()))
    accuracies, errors = {}, {}
    for device in devices:
        own, place = pooled.on(device), {"condition": name, "device": device}
        accuracy = own.accuracy(name)
        accuracies[device] = accuracy.value
        errors[device] = expected_calibration_error(own.probabilities[name], own.targets)
        found.append(row("accuracy", accuracy, **place))
        error = Interval.unknown(errors[device], accuracy.n)
        found.append(row("expected_calibration_error", error, **place))
        if name != against:
            change = own.gain(name, against)
            found.append(row("accuracy_difference", change, **place, against_condition=against))
    known = [device for device in devices if device not in unknown]
    spreads = {ALL: devices}
    for mean, members in {MEAN: unknown, FARTHEST: farthest}.items():
        if not members:
            continue
        rest, place = pooled.on(*members), {"condition": name, "device": mean}
        hits = rest.hits(name)
        found.append(row("accuracy", over_devices(hits, rest.devices, rest.groups), **place))
        error = Interval.unknown(float(np.mean([errors[one] for one in members])), len(hits))
        found.append(row("expected_calibration_error", error, **place))
        if name != against:
            change = over_devices(hits - rest.hits(against), rest.devices, rest.groups)
            found.append(row("accuracy_difference", change, **place, against_condition=against))
        if mean == FARTHEST:
            spreads[FARTHEST] = [*known, *members]
    for mean, members in spreads.items():
        deviation = float(np.std([accuracies[device] for device in members]))
        spread = Interval.unknown(deviation, len(pooled.on(*members).devices))
        found.append(row("spread", spread, condition=name, device=mean))
    return found


def changed_by(
    pooled: Pooled, name: str, against: str, *, reference: str, unknown: Sequence[str]
) -> list[Row]:
    """Return what happens to the clips of unknown devices between the rows `against` and `name`.

    That is the shares that become wrong and right, and the share of the loss against the reference
    device, as `against` classifies it, that is recovered.
    """
    right, before = pooled.hits(name) > 0, pooled.hits(against) > 0
    member = np.isin(pooled.devices, list(unknown))
    place = {"condition": name, "device": MEAN, "against_condition": against}
    share = recovered_share(
        right, before, pooled.devices, pooled.groups, reference=reference, others=unknown
    )
    found = [row("recovered_share", share, **place)]
    for metric, change in {
        "become_wrong": before & ~right,
        "become_right": ~before & right,
    }.items():
        share = intervals.accuracy(change[member], pooled.groups[member])
        found.append(row(metric, share, **place))
    return found
