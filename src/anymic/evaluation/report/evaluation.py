"""From probabilities to rows: what `anymic evaluate` reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from anymic.errors import counted
from anymic.evaluation.report.rows import Row, row
from anymic.evaluation.report.scored import Column, ScoredClips, device_names
from anymic.metrics import (
    ACCURACY,
    RANKING,
    MetricError,
    accuracy,
    device_contrasts,
    mean_average_precision_at,
    paired_difference,
    score_all,
)
from anymic.metrics.coverage import coverage_curve

DEFAULT_K = 3  # of MAP@k, for as many labels or more
COVERAGES = (0.5, 0.8, 0.9, 1.0)


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
        The device of each clip; None if not known.
    groups : (n,), optional
        The source recording of each clip. Clips of one recording, and recordings of one moment
        by several devices, must share a group: intervals resample groups.
    reference : str, optional
        The device that the others are compared with; by default the first in sorted order.
    map_at : int, optional
        The k of MAP@k; by default 3 for 3 labels or more, else MAP@k is left out.
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
    clips = ScoredClips.of(probabilities, targets, devices, groups)
    if len(labels) != clips.probabilities.shape[1]:
        raise MetricError(
            f"{counted(len(labels), 'label')} for"
            f" {counted(clips.probabilities.shape[1], 'column')} of "
            "probabilities",
            expected="one label for each column",
            fix="pass the labels of the bundle that made the probabilities",
        )
    rows = [row(ACCURACY.name, clips.accuracy()), *_score_rows(clips, {}, seed)]
    if devices is not None:
        rows += _device_rows(clips, reference, seed)
    classes = [
        ({"label": label}, of_class)
        for number, label in enumerate(labels)
        if len(of_class := clips[clips.targets == number])
    ]
    rows += [row(ACCURACY.name, part.accuracy(), **condition) for condition, part in classes]
    if map_at is not None or len(labels) >= DEFAULT_K:
        k = DEFAULT_K if map_at is None else map_at
        for condition, part in [*clips.parts(), *classes]:
            found = mean_average_precision_at(
                part.probabilities, part.targets, part.recordings, k=k
            )
            rows.append(row(f"{RANKING}{k}", found, **condition))
    return rows


def selective_rows(clips: ScoredClips) -> list[Row]:
    """Return the accuracy of the 50, 80, 90 and 100 % of clips of highest confidence.

    Returns
    -------
    list of Row
        Of all clips and of each device, {"device": d, "coverage": "80 %"}. accuracy_at_coverage:
        n is the number of clips answered, which is more than the coverage says if several have
        the same confidence; the interval is that of accuracy, at this threshold.
        confidence_at_coverage: the threshold, which is the lowest confidence among them.
    """
    rows = []
    for condition, part in clips.parts():
        curve = coverage_curve(part.confidence, part.correct)
        for coverage in COVERAGES:
            threshold = float(curve.threshold[curve.at(coverage)])
            found = part[part.confidence >= threshold].accuracy()
            keys = {**condition, "coverage": f"{100 * coverage:.0f} %"}
            rows.append(row("accuracy_at_coverage", found, **keys))
            rows.append(Row(keys, "confidence_at_coverage", threshold, None, None, found.n))
    return rows


def threshold_rows(clips: ScoredClips, min_confidence: float) -> list[Row]:
    """Return how many clips are answered from a confidence on, and the accuracy of these.

    Parameters
    ----------
    clips : ScoredClips
    min_confidence : float
        A clip is answered if its most probable label has at least this probability.

    Returns
    -------
    list of Row
        Of all clips and of each device, {"device": d, "min_confidence": "0.8"}. coverage: the
        share of clips that are answered. accuracy_when_sure: that of these clips, n of them; no
        row if none is answered.
    """
    rows = []
    for condition, part in clips.parts():
        keys = {**condition, "min_confidence": f"{min_confidence:g}"}
        answered = part.confidence >= min_confidence
        rows.append(row("coverage", accuracy(answered, part.recordings), **keys))
        if answered.any():
            rows.append(row("accuracy_when_sure", part[answered].accuracy(), **keys))
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
    """Return the difference in accuracy of each condition to one of them, in pairs.

    Parameters
    ----------
    correct : mapping of condition to (n,) bool
        Row i of all of them is the same clip.
    against : str
        The condition that the others are compared with.
    key : str
        The rows' condition is {key: condition, "against_<key>": against, "device": d}.
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
    names = device_names(devices, base.size)
    rows = []
    for name in correct:
        if name == against:
            continue
        other = np.asarray(correct[name], dtype=np.float64)
        for device in ["", *sorted(set(names.tolist()) - {""})]:
            kept = names == device if device else np.ones(base.size, dtype=bool)
            condition = {key: name, f"against_{key}": against}
            condition |= {"device": device} if device else {}
            if len(set(source[kept].tolist())) > 1:
                change = paired_difference(other[kept], base[kept], source[kept], seed=seed)
                rows.append(row(ACCURACY.difference, change, **condition))
    return rows


def _device_rows(clips: ScoredClips, reference: str | None, seed: int) -> list[Row]:
    parts = clips.of_devices()
    names = list(parts)
    if reference is not None and reference not in names:
        raise MetricError(
            f"unknown reference device {reference!r}",
            expected=f"one of {', '.join(names) or 'no device'}",
            fix="choose a device of these clips",
        )
    rows = []
    for name, part in parts.items():
        rows.append(row(ACCURACY.name, part.accuracy(), device=name))
        rows += _score_rows(part, {"device": name}, seed)
    if len(names) > 1 and len(set(clips.recordings.tolist())) > 1:
        first = reference or names[0]
        macro, differences = device_contrasts(
            clips.correct, clips.devices, clips.recordings, reference=first, seed=seed
        )
        rows.append(row(ACCURACY.over_devices, macro))
        for device, change in differences.items():
            rows.append(row(ACCURACY.difference, change, device=device, against_device=first))
    return rows


def _score_rows(clips: ScoredClips, condition: dict[str, str], seed: int) -> list[Row]:
    found = score_all(clips.probabilities, clips.targets, clips.recordings, seed=seed)
    return [row(name, score, **condition) for name, score in found.items()]
