"""Rows and tables of classifiers that name several labels a clip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.bundle.targets import THRESHOLD as USUAL
from anymic.bundle.targets import named
from anymic.errors import counted
from anymic.evaluation.report.cells import full
from anymic.evaluation.report.rows import Row, row
from anymic.evaluation.report.scored import Column, device_names
from anymic.evaluation.report.tables import Table
from anymic.metrics import (
    MetricError,
    check_scores,
    f1_intervals,
    metric_named,
    precision_intervals,
    score_all,
)
from anymic.metrics.several import F1, MEAN_F1, MEAN_PRECISION, PRECISION

THRESHOLD = "threshold"


def evaluate_labels(
    probabilities: ArrayLike,
    indicators: ArrayLike,
    *,
    labels: Sequence[str],
    thresholds: ArrayLike | None = None,
    devices: Column = None,
    groups: Column = None,
    seed: int = 0,
) -> list[Row]:
    """Return average precision and F1 with their intervals, as `evaluate` does for one label.

    Parameters
    ----------
    probabilities : (n, label)
        Independent scores, from 0 to 1.
    indicators : (n, label)
        1 where a clip has the label, else 0.
    labels : sequence of str
    thresholds : (label,) or (n, label), optional
        The probability from which each label is named; by default 0.5. The rows of several models
        have different ones; the row of a label is then their median over clips.
    devices, groups, seed
        As in `evaluate`.

    Returns
    -------
    list of Row
        mean_average_precision (mean over labels), macro_f1, and the metrics that were registered
        for several labels a clip: of all clips ({}) and of each device. average_precision, f1 and
        threshold of each label ({"label": l}), where n is the number of clips that have it. A label
        that no clip has, and a device whose clips have none, have no rows.

    Raises
    ------
    MetricError
        If there are no clips, arrays do not fit, or no clip has a label.
    """
    p, y = check_scores(probabilities, indicators)
    if len(labels) != p.shape[1]:
        raise MetricError(
            f"{counted(len(labels), 'label')} for {counted(p.shape[1], 'column')} of probabilities",
            expected="one label for each column",
        )
    if not y.any():
        raise MetricError(
            f"no clip has one of the labels ({counted(len(y), 'clip')})",
            expected="clips with labels, to rank them above the others",
            fix="measure on other clips",
        )
    limits = np.broadcast_to(USUAL if thresholds is None else thresholds, p.shape)
    recordings = np.arange(len(p)) if groups is None else np.asarray(groups)
    of_clip = device_names(devices, len(p))
    rows = _rows_of(p, y, limits, recordings, {}, seed)
    for device in sorted(set(of_clip.tolist()) - {""}):
        own = of_clip == device
        if y[own].any():
            rows += _rows_of(p[own], y[own], limits[own], recordings[own], {"device": device}, seed)
    _, precisions = precision_intervals(p, y, recordings, seed=seed)
    _, f1s = f1_intervals(named(p, limits), y, recordings, seed=seed)
    medians = np.median(limits, axis=0).tolist()
    for label, precision, f1, limit in zip(labels, precisions, f1s, medians, strict=True):
        if precision is not None and f1 is not None:
            rows.append(row(PRECISION, precision, label=label))
            rows.append(row(F1, f1, label=label))
            rows.append(Row({"label": label}, THRESHOLD, limit, None, None, precision.n))
    return rows


def _rows_of(
    p: NDArray[np.float64],
    y: NDArray[np.int64],
    thresholds: NDArray[np.float64],
    recordings: NDArray[Any],
    condition: dict[str, str],
    seed: int,
) -> list[Row]:
    mean, _ = f1_intervals(named(p, thresholds), y, recordings, seed=seed)
    scores = score_all(p, y, recordings, seed=seed)
    rows = [row(name, found, **condition) for name, found in scores.items()]
    return rows + ([] if mean is None else [row(MEAN_F1, mean, **condition)])


def label_table(rows: Iterable[Row]) -> Table:
    """Return average precision, F1 and threshold of each label, the lowest precision first."""
    metrics = (PRECISION, F1, THRESHOLD)
    found = {
        (row.metric, row.condition["label"]): row
        for row in rows
        if row.metric in metrics and "label" in row.condition
    }
    of_label = sorted(
        (row for (metric, _), row in found.items() if metric == PRECISION),
        key=lambda row: row.value,
    )
    lines = [
        (
            row.condition["label"],
            *(full(found[metric, row.condition["label"]]) for metric in metrics),
            str(row.n),
        )
        for row in of_label
    ]
    titles = [metric_named(metric).title for metric in metrics]
    return Table(("label", *titles, "n"), tuple(lines), "Average precision by label")


def label_device_table(rows: Iterable[Row]) -> Table:
    """Return mean average precision and mean F1 of each device, and of all clips together."""
    metrics = (MEAN_PRECISION, MEAN_F1)
    found = {
        (row.metric, row.condition.get("device", "")): row
        for row in rows
        if row.metric in metrics and "label" not in row.condition
    }
    devices = dict.fromkeys(device for _, device in found)
    lines = []
    for device in sorted(devices, key=[""].count):  # all clips are last
        measured = [found.get((metric, device)) for metric in metrics]
        n = str(next(row.n for row in measured if row is not None))
        cells = (full(row) if row is not None else "" for row in measured)
        lines.append((device or "all clips", *cells, n))
    titles = [metric_named(metric).title for metric in metrics]
    return Table(("device", *titles, "n"), tuple(lines), "Mean average precision by device")


def label_summary(rows: Iterable[Row]) -> str:
    """Return the finding in one or two sentences; "" where no such row is there."""
    found = list(rows)
    plain = {row.metric: row for row in found if not row.condition}
    mean = plain.get(MEAN_PRECISION)
    if mean is None:
        return ""
    text = f"Mean average precision is {full(mean)} over {counted(mean.n, 'clip')}"
    if f1 := plain.get(MEAN_F1):
        text += f", and mean F1 at the thresholds of the model {full(f1)}"
    of_label = [row for row in found if row.metric == PRECISION]
    if len(of_label) > 1:
        hardest = min(of_label, key=lambda row: row.value)
        text += f". The hardest label is {hardest.condition['label']}, at {full(hardest)}"
    return text + "."
