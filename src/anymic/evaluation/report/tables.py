"""Rows as tables: the same cells in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anymic.evaluation.report.rows import Row
from anymic.metrics import ACCURACY, METRICS, RANKING, metric_named

if TYPE_CHECKING:
    from rich.table import Table as RichTable


@dataclass(frozen=True)
class Table:
    """Cells ready to be shown.

    Attributes
    ----------
    columns : tuple of str
        The first one names the rows; numbers stand in the others.
    rows : tuple of tuple of str
        One cell a column; a line break divides a value from its interval.
    title : str
        What the table is about.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


def number(row: Row, value: float) -> str:
    """Return a value of the row's metric in its unit: 83.3 (per cent), -14.0 (points), 0.712."""
    unit = metric_named(row.metric).unit
    if unit == "share":
        return f"{100 * value:.1f}"
    if unit == "difference":
        return f"{100 * value:+.1f}"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def estimate(row: Row) -> str:
    """Return the value alone: 83.3 %."""
    return number(row, row.value) + (" %" if metric_named(row.metric).unit == "share" else "")


def interval(row: Row) -> str:
    """Return the interval alone: [79.1, 86.8]; empty where there is none."""
    if row.low is None or row.high is None:
        return ""
    return f"[{number(row, row.low)}, {number(row, row.high)}]"


def describe(row: Row) -> str:
    """Return the row in one line: 83.3 % [79.1, 86.8] n=320; a difference is in points."""
    points = "points" if metric_named(row.metric).unit == "difference" else ""
    return " ".join(part for part in (estimate(row), interval(row), points, f"n={row.n}") if part)


def condition_name(row: Row, *, apart: str = "device") -> str:
    """Return under what the row holds, in words; class, baselines and `apart` left out."""
    return ", ".join(
        value
        for key, value in row.condition.items()
        if key not in (apart, "label") and not key.startswith("against_")
    )


def conditions(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows by condition, in order of appearance; "" is no condition."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(condition_name(row), []).append(row)
    return found


def device_table(rows: Iterable[Row], *, full: bool = False) -> Table:
    """Return accuracy and the other metrics of each device, their mean, and all clips together.

    Parameters
    ----------
    rows : rows of one condition, as `evaluate` returns them.
    full : bool
        With metrics that are a detail, and with intervals for every number.
    """
    found = {_place(row): row for row in rows if "label" not in row.condition}
    ranking = list(dict.fromkeys(m for m, _, _ in found if m.startswith(RANKING)))
    own = [each for each in METRICS.specs() if each.function is not None]
    scores = ranking + [each.name for each in own if full or not each.detail]
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
        cells = [name, _stacked(first)]
        if reference:
            cells.append(_stacked(found.get((difference, device, reference))))
        measured = scores if metric == main else []  # a mean of devices has none
        cells += [
            (_stacked if full or score in ranking else _estimate)(found.get((score, device, "")))
            for score in measured
        ]
        cells += [""] * (len(scores) - len(measured))
        lines.append((*cells, str(first.n)))
    columns = ["device", ACCURACY.title, *([f"against {reference},\npoints"] if reference else [])]
    columns += [metric_named(score).title for score in scores] + ["n"]
    return Table(tuple(columns), tuple(lines), "Accuracy by device")


def class_table(rows: Iterable[Row]) -> Table:
    """Return the accuracy of each class (its recall) and MAP@k, the hardest first."""
    found = [row for row in rows if "label" in row.condition]
    of_class = [row for row in found if row.metric == ACCURACY.name]
    of_class.sort(key=lambda row: row.value)
    ranking = {
        name: metric_named(name).title
        for name in dict.fromkeys(row.metric for row in found)
        if name.startswith(RANKING)
    }
    also = {(row.metric, row.condition["label"]): row for row in found}
    lines = []
    for row in of_class:
        label = row.condition["label"]
        more = [_cell(also.get((metric, label))) for metric in ranking]
        lines.append((label, _cell(row), *more, str(row.n)))
    columns = ("class", ACCURACY.title, *ranking.values(), "n")
    return Table(columns, tuple(lines), "Accuracy by class")


def comparison_table(
    rows: Iterable[Row], *, metric: str = ACCURACY.name, column: str = "device"
) -> Table:
    """Return one metric for several conditions (rows) and devices (columns).

    Parameters
    ----------
    rows : rows of several conditions
    metric : str
        Where it has a mean over devices, this has a column as well.
    column : str
        The key of a row's condition that makes the columns; the other keys name the rows.
    """
    rows = list(rows)
    cells: dict[tuple[str, str], Row] = {}
    for row in rows:
        mean = row.metric == metric_named(metric).over_devices
        if (row.metric == metric or mean) and "label" not in row.condition:
            place = "mean of devices" if mean else row.condition.get(column, "all clips")
            cells[condition_name(row, apart=column), place] = row
    columns = list(dict.fromkeys(place for _, place in cells))
    if "mean of devices" in columns:  # says more than all clips together, which it stands beside
        columns = [name for name in columns if name not in ("mean of devices", "all clips")]
        columns.append("mean of devices")
    heads = []
    for name in columns:
        counts = {row.n for (_, place), row in cells.items() if place == name}
        head = f"{column} {name}" if name.isdecimal() else name  # a bare number says nothing
        heads.append(f"{head}\nn={counts.pop()}" if len(counts) == 1 else head)
    lines = []
    for name in dict.fromkeys(name for name, _ in cells):
        found = [cells.get((name, place)) for place in columns]
        lines.append((name or "all", *(_stacked(row) for row in found)))
    return Table(
        ("condition", *heads),
        tuple(lines),
        f"{_sentence(metric_named(metric).title)} by condition",
    )


def coverage_tables(rows: Iterable[Row]) -> list[Table]:
    """Return the accuracy of the surest clips of each device, and the confidences they begin at."""
    found = list(rows)
    tables = []
    for metric, title in (
        ("accuracy_at_coverage", "Accuracy when so many clips are answered, the surest"),
        ("confidence_at_coverage", "The confidence from which so many are answered"),
    ):
        own = [row for row in found if row.metric == metric]
        cells = {
            (condition_name(row, apart="coverage"), row.condition["coverage"]): row for row in own
        }
        columns = list(dict.fromkeys(column for _, column in cells))
        show = describe if metric_named(metric).unit == "share" else estimate
        lines = [
            (name or "all clips", *(show(cells[name, column]) for column in columns))
            for name in sorted(dict.fromkeys(name for name, _ in cells), key=[""].count)
        ]
        tables.append(Table(("device", *columns), tuple(lines), title))
    return tables


def threshold_table(rows: Iterable[Row]) -> Table:
    """Return how many clips of each device are answered at the confidence asked for, and how."""
    found = [row for row in rows if "min_confidence" in row.condition]
    cells = {(row.condition.get("device", ""), row.metric): row for row in found}
    metrics = ("coverage", "accuracy_when_sure")
    lines = [
        (name or "all clips", *(describe(cells[key]) if key in cells else "none" for key in keys))
        for name in sorted(dict.fromkeys(name for name, _ in cells), key=[""].count)
        for keys in [[(name, metric) for metric in metrics]]
    ]
    least = found[0].condition["min_confidence"] if found else ""
    columns = ("device", *(metric_named(metric).title for metric in metrics))
    return Table(columns, tuple(lines), f"Answered where the confidence is {least} or more")


def rich_table(table: Table) -> RichTable:
    """Return the table for the terminal."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table as RichTable

    shown = RichTable(
        title=escape(table.title) or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )
    for place, name in enumerate(table.columns):
        # a narrow terminal folds a cell over lines; it never cuts a number short
        shown.add_column(escape(name), justify="right" if place else "left", overflow="fold")
    words = [word for row in table.rows for word in row[0].split()]
    shown.columns[0].min_width = max(map(len, words), default=1)
    for cells in table.rows:
        shown.add_row(*(escape(cell) for cell in cells))
    return shown


def _place(row: Row) -> tuple[str, str, str]:
    return row.metric, row.condition.get("device", ""), row.condition.get("against_device", "")


def _estimate(row: Row | None) -> str:
    return "" if row is None else estimate(row)


def _cell(row: Row | None) -> str:
    return "" if row is None else f"{estimate(row)} {interval(row)}".strip()


def _sentence(words: str) -> str:
    """Return words with a capital at their beginning; MAP@3 keeps all of its own."""
    return words[:1].upper() + words[1:]


def _stacked(row: Row | None) -> str:
    return "" if row is None else f"{estimate(row)}\n{interval(row)}".strip()
