"""The report as one HTML page without other files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from anymic._internal.optional import extra
from anymic.errors import Failure
from anymic.evaluation.report.cells import estimate, interval
from anymic.evaluation.report.rows import Row, conditions
from anymic.evaluation.report.style import MINUS, embed
from anymic.evaluation.report.tables import (
    Table,
    class_table,
    comparison_table,
    coverage_tables,
    device_table,
    threshold_table,
)
from anymic.metrics import ACCURACY, BINS, EPS, METRICS, RANKING, metric_named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECTIONS = ("Devices", "Classes", "Confidence", "Corrections")
_TITLES = {
    ACCURACY.name: "accuracy, all clips",
    ACCURACY.over_devices: "accuracy, mean of devices",
}


@dataclass(frozen=True)
class ReportFigure:
    """A figure and its place on the page.

    Attributes
    ----------
    name : str
        The file's stem: figures/<name>.png.
    figure : matplotlib Figure
    section : str
        The heading above it: one of `SECTIONS`, or another one.
    caption : str
        How to read it, in one or two sentences.
    """

    name: str
    figure: Figure
    section: str
    caption: str = ""


def render(
    rows: Iterable[Row],
    *,
    title: str,
    header: Mapping[str, Any],
    finding: str,
    figures: Sequence[ReportFigure] = (),
    failures: Sequence[Failure] = (),
    tables: Mapping[str, Sequence[Table]] | None = None,
) -> str:
    """Return the page; parameters as for `anymic.evaluation.report.write_report`."""
    with extra("report"):
        from jinja2 import Environment, StrictUndefined

    found = list(rows)
    text = files("anymic.evaluation.report").joinpath("page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["typeset"] = _typeset
    facts = dict(header)
    return environment.from_string(text).render(
        title=title,
        finding=finding,
        headline=_headline(found),
        sections=_sections(figures, _tables(found) if tables is None else tables),
        failures=failures,
        command=str(facts.pop("command", "")),
        facts={_words(key): _value(value) for key, value in facts.items() if value is not None},
        bins=BINS,
        eps=f"{EPS:g}",
    )


def _sections(
    figures: Sequence[ReportFigure], tables: Mapping[str, Sequence[Table]]
) -> list[dict[str, Any]]:
    from markupsafe import Markup

    sections = []
    for name in dict.fromkeys([*SECTIONS, *(figure.section for figure in figures), *tables]):
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
            # tables that repeat a figure or the first table are folded
            unfolded = 0 if name == "Classes" and (drawn or len(shown) > 1) else 1
            sections.append({"name": name, "figures": drawn, "tables": shown, "unfolded": unfolded})
    return sections


def _tables(rows: Sequence[Row]) -> dict[str, list[Table]]:
    """Return the tables of each section; a table without rows is left out."""
    by_condition = conditions(rows)
    measured = {name: own for name, own in by_condition.items() if device_table(own).rows}
    devices = [comparison_table(rows)] if len(measured) > 1 else []
    classes: list[Table] = []
    for name, own in measured.items():
        suffix = f": {name}" if name else ""
        for table, into in ((device_table(own, full=True), devices), (class_table(own), classes)):
            if table.rows:
                into.append(replace(table, title=table.title + suffix))
    confidence = [table for table in (threshold_table(rows), *coverage_tables(rows)) if table.rows]
    return {"Devices": devices, "Classes": classes, "Confidence": confidence}


def _headline(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return the numbers of all clips; none if several conditions are compared."""
    plain = {row.metric: row for row in rows if not row.condition}
    ranking = [metric for metric in plain if metric.startswith(RANKING)]
    scores = [each.name for each in METRICS.specs() if each.function and not each.detail]
    headline = [
        {
            "name": _TITLES.get(metric, metric_named(metric).title),
            "value": estimate(plain[metric]),
            "interval": interval(plain[metric]),
        }
        for metric in (ACCURACY.name, ACCURACY.over_devices, *ranking, *scores)
        if metric in plain
    ]
    if plain:
        headline.append({"name": "clips", "value": str(plain[ACCURACY.name].n), "interval": ""})
    return headline


def _typeset(text: str) -> str:
    """Return the text with minus signs before digits, and with no line break before a unit."""
    text = re.sub(r"(?<![\w-])-(?=\d)", MINUS, text)
    return re.sub(r"(?<=\d) (?=%)", "\u00a0", text)


def _words(key: str) -> str:
    return key.replace("_", " ")


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(str(key))} {_value(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_value, value))
    return str(value)
