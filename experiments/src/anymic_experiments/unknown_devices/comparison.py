"""What a table states of each row: accuracies, the mean over unknown devices, and the spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anymic.evaluation.report.rows import Row, row
from anymic.metrics import expected_calibration_error, intervals
from anymic.metrics.intervals import Interval
from anymic_experiments.pooling import Pooled

MEAN = "unknown"  # how rows call the mean over the unknown devices
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


def compared(pooled: Pooled, name: str, against: str, unknown: Sequence[str]) -> list[Row]:
    """Return all that a table states of a row, and of its change against the row `against`.

    That is for each device the accuracy, its change and the calibration error, for the unknown
    devices together the mean, its change, and the mean calibration error, and for all devices the
    standard deviation of their accuracies.
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
    rest, place = pooled.on(*unknown), {"condition": name, "device": MEAN}
    hits = rest.hits(name)
    found.append(row("accuracy", over_devices(hits, rest.devices, rest.groups), **place))
    error = Interval.unknown(float(np.mean([errors[one] for one in unknown])), len(hits))
    found.append(row("expected_calibration_error", error, **place))
    if name != against:
        change = over_devices(hits - rest.hits(against), rest.devices, rest.groups)
        found.append(row("accuracy_difference", change, **place, against_condition=against))
    spread = Interval.unknown(float(np.std(list(accuracies.values()))), len(pooled.devices))
    found.append(row("spread", spread, condition=name, device=ALL))
    return found
