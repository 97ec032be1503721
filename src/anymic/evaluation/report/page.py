"""The report as one HTML page that needs nothing but itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from anymic._internal.optional import extra
from anymic.errors import Failure
from anymic.evaluation.report.rows import Row
from anymic.evaluation.report.style import embed
from anymic.evaluation.report.summary import summary
from anymic.evaluation.report.tables import (
    Table,
    class_table,
    comparison_table,
    conditions,
    coverage_tables,
    device_table,
    estimate,
    interval,
    threshold_table,
)
from anymic.metrics import ACCURACY, BINS, EPS, METRICS, RANKING, metric_named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECTIONS = ("Devices", "Classes", "Confidence", "Corrections")
_MINUS = "\u2212"
_TITLES = {
    ACCURACY.name: "accuracy, all clips",
    ACCURACY.over_devices: "accuracy, mean of devices",
}


@dataclass(frozen=True)
class ReportFigure:
    """A figure and where it stands.

    Attributes
    ----------
    name : str
        The file's stem: figures/<name>.png.
    figure : matplotlib Figure
    section : str
        The heading it stands under: one of `SECTIONS`, or one of its own.
    caption : str
        How to read it, one sentence or two.
    """

    name: str
    figure: Figure
    section: str
    caption: str = ""


def render(
    rows: Iterable[Row],
    *,
    title: str,
    header: Mapping[str, Any] | None = None,
    figures: Sequence[ReportFigure] = (),
    failures: Sequence[Failure] = (),
    finding: str | None = None,
    tables: Mapping[str, Sequence[Table]] | None = None,
) -> str:
    """Return the page.

    Parameters
    ----------
    rows : iterable of Row
        Of one condition, as `evaluate` returns them, or of several (then compared in one table).
    title : str
        The heading.
    header : mapping
        What was run: "command" is shown as code, the rest as a list of names and values.
    figures : sequence of ReportFigure
        In the order in which they stand in their sections.
    failures : sequence of Failure
        The clips that could not be used.
    finding : str, optional
        The sentence on top; `summary` of the rows if not given.
    tables : mapping of section to sequence of Table, optional
        What stands in each section; by default the rows by device, by class and by coverage.
    """
    with extra("report"):
        from jinja2 import Environment, StrictUndefined

    found = list(rows)
    text = files("anymic.evaluation.report").joinpath("page.html").read_text(encoding="utf-8")
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True
    ).from_string(text)
    facts = dict(header or {})
    return template.render(
        title=title,
        finding=_typeset(summary(found) if finding is None else finding),
        headline=_headline(found),
        sections=_sections(found, figures, tables),
        failures=failures,
        command=str(facts.pop("command", "")),
        facts={_words(key): _value(value) for key, value in facts.items() if value is not None},
        bins=BINS,
        eps=f"{EPS:g}",
    )


def _sections(
    rows: Sequence[Row],
    figures: Sequence[ReportFigure],
    given: Mapping[str, Sequence[Table]] | None,
) -> list[dict[str, Any]]:
    from markupsafe import Markup

    tables = _tables(rows) if given is None else _typeset_tables(given)
    names = [*SECTIONS, *(figure.section for figure in figures), *tables]
    sections = []
    for name in dict.fromkeys(names):
        drawn = [
            {
                # our own markup: every text in it was escaped where it was drawn
                "markup": Markup(embed(item.figure, label=item.caption or item.name)),
                "caption": item.caption,
            }
            for item in figures
            if item.section == name
        ]
        shown = tables.get(name, [])
        if drawn or shown:
            # what a figure or the first table says already is there for those who ask
            unfolded = 0 if name == "Classes" and (drawn or len(shown) > 1) else 1
            sections.append({"name": name, "figures": drawn, "tables": shown, "unfolded": unfolded})
    return sections


def _tables(rows: Sequence[Row]) -> dict[str, list[Table]]:
    """Return the tables of each section; a table without rows is left out."""
    by_condition = conditions(rows)
    measured = {name: own for name, own in by_condition.items() if device_table(own).rows}
    devices: list[Table] = []
    classes: list[Table] = []
    if len(measured) > 1:
        devices.append(comparison_table(rows))
    for name, own in measured.items():
        suffix = f": {name}" if name else ""
        for table, into in ((device_table(own, full=True), devices), (class_table(own), classes)):
            if table.rows:
                into.append(Table(table.columns, table.rows, table.title + suffix))
    return {
        "Devices": [_typeset_table(table) for table in devices],
        "Classes": [_typeset_table(table) for table in classes],
        "Confidence": [
            _typeset_table(table)
            for table in (threshold_table(rows), *coverage_tables(rows))
            if table.rows
        ],
    }


def _headline(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return the numbers of all clips; none where several conditions are compared."""
    plain = {row.metric: row for row in rows if not row.condition}
    ranking = [metric for metric in plain if metric.startswith(RANKING)]
    scores = [each.name for each in METRICS.specs() if each.function and not each.detail]
    return [
        {
            "name": _TITLES.get(metric, metric_named(metric).title),
            "value": _typeset(estimate(plain[metric])),
            "interval": _typeset(interval(plain[metric])),
        }
        for metric in (ACCURACY.name, ACCURACY.over_devices, *ranking, *scores)
        if metric in plain
    ] + ([{"name": "clips", "value": str(plain[ACCURACY.name].n), "interval": ""}] if plain else [])


def _typeset(text: str) -> str:
    """Return the text with true minus signs before digits, and no break before a unit."""
    text = re.sub(r"(?<![\w-])-(?=\d)", _MINUS, text)
    return re.sub(r"(?<=\d) (?=%)", "\u00a0", text)


def _typeset_tables(tables: Mapping[str, Sequence[Table]]) -> dict[str, list[Table]]:
    return {name: [_typeset_table(table) for table in own] for name, own in tables.items()}


def _typeset_table(table: Table) -> Table:
    rows = tuple((cells[0], *map(_typeset, cells[1:])) for cells in table.rows)
    return Table(table.columns, rows, table.title)


def _words(key: str) -> str:
    return key.replace("_", " ")


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(str(key))} {_value(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_value, value))
    return str(value)
