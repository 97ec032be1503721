"""A report as a folder: report.json, report.html, figures/*.png."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from functools import cache, cached_property
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic._internal.files import write_bytes, write_text
from anymic._internal.processors import processors
from anymic._version import version
from anymic.errors import Failure, counted
from anymic.evaluation.report.cells import estimate, interval
from anymic.evaluation.report.escaping import environment
from anymic.evaluation.report.label_rows import label_device_table, label_table
from anymic.evaluation.report.rows import ReportError, Row, conditions, write_json
from anymic.evaluation.report.style import MINUS, embed, laid_out, png
from anymic.evaluation.report.summary import summary
from anymic.evaluation.report.tables import (
    Table,
    class_table,
    comparison_table,
    coverage_tables,
    device_table,
    threshold_table,
)
from anymic.metrics import ACCURACY, BINS, EPS, METRICS, RANKING, metric_named
from anymic.metrics.several import MEAN_F1

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure

SECTIONS = ("Baseline", "All clips", "Devices", "Classes", "Confidence", "Corrections")
_TITLES = {
    ACCURACY.name: "accuracy, all clips",
    ACCURACY.over_devices: "accuracy, mean of devices",
}
LINE_CHARACTERS = 100  # of several values of one fact; more become lines of their own
_VERSIONS = ("torch", "numpy", "scikit-learn")


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

    @cached_property
    def drawn(self) -> tuple[str, bytes]:
        """The figure as markup for the page, in which every text is escaped, and as PNG."""
        with laid_out(self.figure):
            return embed(self.figure, label=self.caption or self.name), png(self.figure)


def run_header(**facts: Any) -> dict[str, Any]:
    """Return what is needed to repeat a run: `facts` in their order, versions, machine, date."""
    versions = {"python": platform.python_version(), "anymic": version()}
    for name in _VERSIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    machine = f"{platform.system()} {platform.machine()}, {counted(processors(), 'processor')}"
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {**facts, "versions": versions, "machine": machine, "created": created}


def write_report(
    folder: str | Path,
    rows: Iterable[Row],
    *,
    title: str,
    header: Mapping[str, Any] | None = None,
    figures: Sequence[ReportFigure] = (),
    failures: Sequence[Failure] = (),
    finding: str | None = None,
    extra: Mapping[str, Any] | None = None,
    tables: Mapping[str, Sequence[Table]] | None = None,
) -> dict[str, Path]:
    """Write a report and return its paths: "json", "html", and the name of each figure.

    Parameters
    ----------
    folder : path
        Made if it does not exist; a report already in it is replaced.
    rows : iterable of Row
        Of one condition, as `evaluate` returns them, or of several (then compared in one table).
    title : str
        The heading.
    header : mapping
        What was run: "command" is shown as code, the rest as a table of names and values.
    figures : sequence of ReportFigure
        In their order within a section.
    failures : sequence of Failure
        The clips that could not be used.
    finding : str, optional
        The sentence below the heading; by default `summary` of the rows.
    extra : mapping, optional
        More keys of report.json only (a confusion matrix, say).
    tables : mapping of section to sequence of Table, optional
        The tables of each section; by default those by device, by class and by coverage.

    Raises
    ------
    ReportError
        If two figures have one name, or a number is not finite (then nothing is written).
    """
    folder, found, header = Path(folder), list(rows), dict(header or {})
    names = [figure.name for figure in figures]
    if len(set(names)) < len(names) or {"json", "html"} & set(names):
        raise ReportError(
            f"two figures have the same name: {', '.join(names)}", expected="different names"
        )
    finding = summary(found) if finding is None else finding
    tables = tables_of(found) if tables is None else tables
    page = _template().render(
        title=title,
        finding=finding,
        headline=_headline(found),
        sections=dict.fromkeys([*SECTIONS, *(figure.section for figure in figures), *tables]),
        figures=figures,
        tables=tables,
        failures=failures,
        command=str(header.get("command", "")),
        facts=list(_facts({key: header[key] for key in header if key != "command"})),
        bins=BINS,
        eps=f"{EPS:g}",
    )
    content = {"title": title, "summary": finding, **header, **(extra or {})}
    content["failures"] = [asdict(failure) for failure in failures]
    paths = {"json": write_json(found, folder / "report.json", **content)}
    paths["html"] = folder / "report.html"
    write_text(paths["html"], page)
    for item in figures:
        paths[item.name] = folder / "figures" / f"{item.name}.png"
        write_bytes(paths[item.name], item.drawn[1])
    return paths


def made(header: Mapping[str, Any]) -> str:
    """Return the last line of a page: date, machine and versions of a report's header."""
    named = ", ".join(f"{name} {version}" for name, version in header["versions"].items())
    return f"Made {header['created']}, {header['machine']}, {named}.\n"


@cache  # compiling it takes longer than filling it in
def _template() -> Template:
    text = files("anymic.evaluation.report").joinpath("page.html").read_text(encoding="utf-8")
    made = environment(html=True)
    made.filters["typeset"] = _typeset
    return made.from_string(text)


def tables_of(rows: Sequence[Row]) -> dict[str, list[Table]]:
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
    devices += [table for table in (label_device_table(rows),) if table.rows]
    classes += [table for table in (label_table(rows),) if table.rows]
    by_device = len(measured) > 1 or any("device" in row.condition for row in rows)
    overall = "Devices" if by_device else "All clips"
    return {overall: devices, "Classes": classes, "Confidence": confidence}


def _headline(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Return (name, value, interval) of all clips; none if several conditions are compared."""
    plain = {row.metric: row for row in rows if not row.condition}
    ranking = [metric for metric in plain if metric.startswith(RANKING)]
    scores = [each.name for each in METRICS.specs() if each.function and not each.detail]
    headline = []
    for metric in (ACCURACY.name, ACCURACY.over_devices, *ranking, *scores, MEAN_F1):
        if row := plain.get(metric):
            title = _TITLES.get(metric, metric_named(metric).title)
            headline.append((title, estimate(row), interval(row)))
    if plain:
        headline.append(("clips", str(next(iter(plain.values())).n), ""))
    return headline


def _typeset(text: str) -> str:
    """Return the text with minus signs before digits, and with no line break before a unit."""
    text = re.sub(r"(?<![\w-])-(?=\d)", MINUS, text)
    return re.sub(r"(?<=\d) (?=%)", "\u00a0", text)


def _facts(values: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[int, str, str]]:
    """Yield (depth, name, value) of each fact that has a value; parts of a long one follow it."""
    for key, value in values.items():
        name, text = str(key).replace("_", " "), _value(value)
        if isinstance(value, Mapping) and len(text) > LINE_CHARACTERS:
            yield depth, name, ""
            yield from _facts(value, depth + 1)
        elif text:
            yield depth, name, text


def _value(value: Any) -> str:
    """Return a fact in words; "" for None, which is not shown."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text}" for _, name, text in _facts(value) if text)
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return str(value)
