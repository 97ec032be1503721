"""Rows as tables: the same cells in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anymic._internal.terminal import cell
from anymic.evaluation.report import cells
from anymic.evaluation.report.rows import Row, condition_name
from anymic.metrics import ACCURACY, METRICS, RANKING, metric_named

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_MEAN = "mean of devices"


@dataclass(frozen=True)
class Table:
    """Cells ready to be shown.

    Attributes
    ----------
    columns : tuple of str
        The first one names the rows; the others hold numbers.
    rows : tuple of tuple of str
        One cell a column; a line break divides a value from its interval.
    title : str
        What the table is about.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


def device_table(rows: Iterable[Row], *, full: bool = False) -> Table:
    """Return accuracy and the other metrics of each device, their mean, and all clips together.

    Without devices, the table has all clips only.

    Parameters
    ----------
    rows : rows of one condition, as `evaluate` returns them.
    full : bool
        With metrics that are a detail, and with intervals for every number.
    """
    found = {
        (row.metric, row.condition.get("device", ""), row.condition.get("against_device", "")): row
        for row in rows
        if "label" not in row.condition
    }
    ranking = list(dict.fromkeys(m for m, _, _ in found if m.startswith(RANKING)))
    scores = ranking + [
        each.name
        for each in METRICS.specs()
        if each.function and not each.several and (full or not each.detail)
    ]
    reference = next((against for _, _, against in found if against), "")
    main, mean, difference = ACCURACY.name, ACCURACY.over_devices, ACCURACY.difference
    devices = [device for metric, device, _ in found if metric == main and device]
    places = [(device, main, device) for device in devices]
    places += [("their mean", mean, ""), ("all clips", main, "")]

    lines = []
    for name, metric, device in places:
        first = found.get((metric, device, ""))
        if first is None:
            continue
        line = [name, _stacked(first)]
        if reference:
            line.append(_stacked(found.get((difference, device, reference))))
        for score in scores:
            # a mean of devices has no other metric than accuracy
            item = found.get((score, device, "")) if metric == main else None
            value = cells.estimate(item) if item else ""
            line.append(_stacked(item) if full or score in ranking else value)
        lines.append((*line, str(first.n)))
    columns = ["device" if devices else "clips", ACCURACY.title]
    columns += [f"against {reference},\npoints"] if reference else []
    columns += [metric_named(score).title for score in scores] + ["n"]
    return Table(tuple(columns), tuple(lines), "Accuracy by device" if devices else "Accuracy")


def class_table(rows: Iterable[Row]) -> Table:
    """Return the accuracy of each class (its recall) and MAP@k, the lowest accuracy first."""
    found = {(row.metric, row.condition["label"]): row for row in rows if "label" in row.condition}
    ranking = list(dict.fromkeys(metric for metric, _ in found if metric.startswith(RANKING)))
    of_class = [row for (metric, _), row in found.items() if metric == ACCURACY.name]
    lines = []
    for row in sorted(of_class, key=lambda row: row.value):
        label = row.condition["label"]
        measured = [row, *(found.get((metric, label)) for metric in ranking)]
        lines.append((label, *(cells.full(one) if one else "" for one in measured), str(row.n)))
    titles = [metric_named(metric).title for metric in ranking]
    return Table(("class", ACCURACY.title, *titles, "n"), tuple(lines), "Accuracy by class")


def comparison_table(
    rows: Iterable[Row], *, metric: str = ACCURACY.name, column: str = "device"
) -> Table:
    """Return one metric for several conditions (rows) and devices (columns).

    Parameters
    ----------
    rows : rows of several conditions
    metric : str
        If it has a mean over devices, the table has a column of it as well.
    column : str
        The key of a row's condition that makes the columns; the other keys name the rows.
    """
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        mean = row.metric == metric_named(metric).over_devices
        if (row.metric == metric or mean) and "label" not in row.condition:
            place = _MEAN if mean else row.condition.get(column, "all clips")
            found[condition_name(row, apart=column), place] = row
    columns = list(dict.fromkeys(place for _, place in found))
    if _MEAN in columns:  # replaces the column of all clips
        columns = [name for name in columns if name not in (_MEAN, "all clips")] + [_MEAN]
    heads = []
    for name in columns:
        counts = {row.n for (_, place), row in found.items() if place == name}
        head = f"{column} {name}" if name.isdecimal() else name
        heads.append(f"{head}\nn={counts.pop()}" if len(counts) == 1 else head)
    lines = [
        (name or "all", *(_stacked(found.get((name, place))) for place in columns))
        for name in dict.fromkeys(name for name, _ in found)
    ]
    title = metric_named(metric).title
    title = f"{title[:1].upper()}{title[1:]} by condition"  # MAP@3 keeps its capitals
    return Table(("condition", *heads), tuple(lines), title)


def coverage_tables(rows: Iterable[Row]) -> list[Table]:
    """Return two tables by device and coverage: accuracy, and the lowest confidence."""
    found = list(rows)
    tables = []
    for metric, title in (
        ("accuracy_at_coverage", "Accuracy when so many clips are answered, the surest"),
        ("confidence_at_coverage", "The confidence from which so many are answered"),
    ):
        measured = {
            (condition_name(row, apart="coverage"), row.condition["coverage"]): row
            for row in found
            if row.metric == metric
        }
        columns = list(dict.fromkeys(column for _, column in measured))
        show = cells.describe if metric_named(metric).unit == "share" else cells.estimate
        lines = [
            (name or "all clips", *(show(measured[name, column]) for column in columns))
            for name in _all_clips_last([name for name, _ in measured])
        ]
        first = "device" if any(name for name, _ in measured) else "clips"
        tables.append(Table((first, *columns), tuple(lines), title))
    return tables


def threshold_table(rows: Iterable[Row]) -> Table:
    """Return the share and the accuracy of the clips answered at `min_confidence`, by device."""
    found = {
        (row.condition.get("device", ""), row.metric): row
        for row in rows
        if "min_confidence" in row.condition
    }
    metrics = ("coverage", "accuracy_when_sure")
    lines = []
    for name in _all_clips_last([name for name, _ in found]):
        measured = [found.get((name, metric)) for metric in metrics]
        shown = [cells.describe(row) if row else "none" for row in measured]
        lines.append((name or "all clips", *shown))
    least = next((row.condition["min_confidence"] for row in found.values()), "")
    columns = ("device", *(metric_named(metric).title for metric in metrics))
    return Table(columns, tuple(lines), f"Answered where the confidence is {least} or more")


def rich_table(table: Table) -> RichTable:
    """Return the table for the terminal."""
    from rich import box
    from rich.table import Table as RichTable

    shown = RichTable(
        title=cell(table.title) if table.title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )
    for place, name in enumerate(table.columns):
        # a narrow terminal folds a cell over lines; it never cuts a number short
        shown.add_column(cell(name), justify="right" if place else "left", overflow="fold")
    words = [word for row in table.rows for word in row[0].split()]
    shown.columns[0].min_width = max(map(len, words), default=1)
    for line in table.rows:
        shown.add_row(*map(cell, line))
    return shown


def _all_clips_last(names: Sequence[str]) -> list[str]:
    """Return the names once each; "", which stands for all clips, is last."""
    return sorted(dict.fromkeys(names), key=[""].count)


def _stacked(row: Row | None) -> str:
    return f"{cells.estimate(row)}\n{cells.interval(row)}".strip() if row else ""
