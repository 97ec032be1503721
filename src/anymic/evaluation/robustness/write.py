"""The robustness report: table, heat map, report.json, report.html."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anymic.evaluation.report import ReportFigure, run_header, write_report
from anymic.evaluation.report.cells import counted, percent, plain, points
from anymic.evaluation.report.tables import Table
from anymic.evaluation.robustness.conditions import CLEAN
from anymic.evaluation.robustness.figures import heat_map
from anymic.evaluation.robustness.findings import Findings
from anymic.metrics import Interval
from anymic.metrics.intervals import RESAMPLES

_SECTION = "Conditions"
_CAPTION = (
    "Devices down, codecs and kbps across; wav is not encoded. The same clips in every cell: "
    "accuracy, and below it the difference to the clean clips in points, bold if its interval "
    "leaves out zero. The shade is the loss."
)


def write_findings(
    findings: Findings,
    folder: str | Path,
    *,
    title: str = "Robustness",
    header: Mapping[str, Any] | None = None,
) -> dict[str, Path]:
    """Write report.json, report.html and figures/heat_map.png; return their paths.

    Parameters
    ----------
    findings : Findings
    folder : path
        Made if it does not exist; a report already in it is replaced.
    title : str
    header : mapping, optional
        What was run, as `anymic.evaluation.report.run_header` takes it.
    """
    facts = run_header(
        **dict(header or {}),
        clips=len(findings.targets),
        recordings=len(set(findings.recordings.tolist())),
        conditions=len(findings.conditions),
        resampling=f"{RESAMPLES} resamples, seed {findings.seed}",
    )
    return write_report(
        folder,
        findings.rows,
        title=title,
        header=facts,
        figures=[ReportFigure("heat_map", heat_map(findings), _SECTION, _CAPTION)],
        failures=findings.failures,
        finding=sentence(findings),
        tables={_SECTION: [condition_table(findings, full=True)]},
        extra={"labels": list(findings.labels)},
    )


def condition_table(findings: Findings, *, full: bool = False) -> Table:
    """Return a line for each condition: accuracy, difference, calibration error, flips.

    Parameters
    ----------
    findings : Findings
    full : bool
        With the intervals of the last two, the bitrate, and each condition's hardest class.
    """
    lines = []
    for number, condition in enumerate(findings.conditions):
        error, flips = findings.calibration_error(number), findings.flips(number)
        cells = [
            condition.name,
            _share(findings.accuracy(number)),
            points(findings.difference(number)) if number else "",
            plain(error) if full else f"{error.value:.3f}",
            (_share(flips) if full else f"{100 * flips.value:.1f} %") if number else "",
        ]
        if full:
            kbps, hardest = float(findings.kbps[number]), findings.hardest(number)
            cells.append(f"{kbps:.1f}" if kbps == kbps else "")
            cells.append(f"{hardest.label} {100 * hardest.accuracy.value:.0f} %")
        lines.append(tuple(cells))
    columns = ["condition", "accuracy", f"against {CLEAN},\npoints", "ECE", "flips"]
    columns += ["measured\nkbps", "hardest class"] if full else []
    title = f"The same {len(findings.targets)} clips in every condition"
    return Table(tuple(columns), tuple(lines), title)


def sentence(findings: Findings) -> str:
    """Return the finding: accuracy on clean clips, on average, in the worst condition."""
    text = (
        f"Accuracy on the clean clips is {_share(findings.accuracy(0))}, and "
        f"{_share(findings.mean)} on average over the other "
        f"{counted(len(findings.conditions) - 1, 'condition')}. "
    )
    worst = findings.worst
    if worst == 0:
        return text + "None is worse than the clean clips."
    hardest = findings.hardest(worst)
    taken = f", most often taken for {hardest.taken_for}" if hardest.taken_for else ""
    return text + (
        f"The worst is {findings.conditions[worst].name}: {_share(findings.accuracy(worst))}, "
        f"{points(findings.difference(worst))} points against clean; "
        f"{100 * findings.flips(worst).value:.1f} % of its answers differ from those for the "
        f"clean clips. Its hardest class is {hardest.label}, at {_share(hardest.accuracy)}{taken}."
    )


def _share(found: Interval) -> str:
    return percent(found, unit=" %")
