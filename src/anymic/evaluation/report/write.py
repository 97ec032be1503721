"""A report as a folder: report.json, report.html, figures/*.png."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from anymic._internal.files import write_text
from anymic._internal.machine import processors
from anymic.errors import Failure
from anymic.evaluation.report.evaluation import evaluate
from anymic.evaluation.report.page import ReportFigure, render
from anymic.evaluation.report.rows import ReportError, Row, write_json
from anymic.evaluation.report.scored import Column, ScoredClips, by_device
from anymic.evaluation.report.style import save_png
from anymic.evaluation.report.summary import summary
from anymic.evaluation.report.tables import Table
from anymic.metrics import confusion_matrix
from anymic.metrics.intervals import RESAMPLES, group_index

if TYPE_CHECKING:
    from anymic.devices.correction.profile import DeviceProfile

_VERSIONS = ("anymic", "torch", "numpy", "scikit-learn", "torchmetrics")


def run_header(**facts: Any) -> dict[str, Any]:
    """Return what is needed to repeat a run: `facts` in their order, versions, machine, date."""
    versions = {"python": platform.python_version()}
    for name in _VERSIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    machine = f"{platform.system()} {platform.machine()}, {processors()} processors"
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
        What was run: "command" is shown as code, the rest as a list of names and values.
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
    folder = Path(folder)
    found = list(rows)
    names = [figure.name for figure in figures]
    if len(set(names)) < len(names) or {"json", "html"} & set(names):
        raise ReportError(
            f"two figures have the same name: {', '.join(names)}", expected="different names"
        )
    finding = summary(found) if finding is None else finding
    page = render(
        found,
        title=title,
        header=header or {},
        finding=finding,
        figures=figures,
        failures=failures,
        tables=tables,
    )
    content = {"title": title, "summary": finding, **(header or {}), **(extra or {})}
    content["failures"] = [asdict(failure) for failure in failures]
    paths = {"json": write_json(found, folder / "report.json", **content)}
    paths["html"] = folder / "report.html"
    write_text(paths["html"], page)
    for item in figures:
        paths[item.name] = save_png(item.figure, folder / "figures" / f"{item.name}.png")
    return paths


def evaluation_rows(
    probabilities: ArrayLike,
    targets: ArrayLike,
    *,
    labels: Sequence[str],
    devices: Column = None,
    groups: Column = None,
    reference: str | None = None,
    map_at: int | None = None,
    min_confidence: float | None = None,
    seed: int = 0,
) -> list[Row]:
    """Return all rows of a report: those of `evaluate`, and accuracy by confidence.

    Parameters
    ----------
    probabilities, targets, labels, devices, groups, reference, map_at, seed
        As in `anymic.evaluation.report.evaluate`.
    min_confidence : float, optional
        Also measure how many clips are answered from this confidence on, and their accuracy.
    """
    from anymic.evaluation.report.selective import selective_rows, threshold_rows

    rows = evaluate(
        probabilities,
        targets,
        labels=labels,
        devices=devices,
        groups=groups,
        reference=reference,
        map_at=map_at,
        seed=seed,
    )
    rows += selective_rows(probabilities, targets, devices, groups)
    if min_confidence is not None:
        rows += threshold_rows(probabilities, targets, min_confidence, devices, groups)
    return rows


def write_evaluation(
    folder: str | Path,
    rows: Iterable[Row],
    probabilities: ArrayLike,
    targets: ArrayLike,
    *,
    labels: Sequence[str],
    devices: Column = None,
    groups: Column = None,
    seed: int = 0,
    title: str = "Evaluation",
    header: Mapping[str, Any] | None = None,
    failures: Sequence[Failure] = (),
    profile: DeviceProfile | None = None,
) -> dict[str, Path]:
    """Write the report of one model's probabilities, with all figures; return its paths.

    Parameters
    ----------
    folder, title, header, failures
        As in `write_report`.
    rows : iterable of Row
        As `evaluation_rows` returns them.
    probabilities, targets, labels, devices, groups, seed
        As for `evaluation_rows`.
    profile : DeviceProfile, optional
        The gains that the model corrects with, for their figure.
    """
    from anymic.evaluation.report.figures import (
        accuracy_by_class,
        accuracy_by_device,
        confusion,
        reliability,
    )
    from anymic.evaluation.report.gains import gains_figure
    from anymic.evaluation.report.selective import accuracy_over_coverage

    rows = list(rows)
    clips = ScoredClips.of(probabilities, targets)
    p, t = clips.probabilities, clips.targets
    counts = confusion_matrix(t, clips.predicted, classes=len(labels))
    figures = []
    if by_device(devices):
        figures.append(ReportFigure("accuracy_by_device", accuracy_by_device(rows), "Devices"))
    figures += [
        ReportFigure("accuracy_by_class", accuracy_by_class(rows), "Classes"),
        ReportFigure(
            "confusion",
            confusion(counts, labels),
            "Classes",
            "Numbers are clips, of all devices; the shade is their share of the true class.",
        ),
        ReportFigure(
            "reliability",
            reliability(p, t, devices, groups),
            "Confidence",
            "On the dashed line confidence equals accuracy; below it, the model is overconfident. "
            "The area of a dot is its number of clips, the line its 95 % interval.",
        ),
        ReportFigure(
            "accuracy_over_coverage",
            accuracy_over_coverage(p, t, devices),
            "Confidence",
            "Further left, more clips of low confidence are declined. If a line rises there, the "
            "confidence is informative. Marks are at 50, 80, 90 and 100 %.",
        ),
    ]
    if profile is not None:
        figures.append(
            ReportFigure(
                "device_gains",
                gains_figure(profile),
                "Corrections",
                "The factor that each frequency of a device is multiplied by. The band is one "
                "standard deviation over clips to either side.",
            )
        )
    recordings = "not stated: every clip counts by itself"
    facts = {
        **(header or {}),
        "clips": len(t),
        "recordings": recordings if groups is None else group_index(groups, len(t))[1],
        "resampling": f"{RESAMPLES} resamples, seed {seed}",
    }
    extra = {"confusion": {"labels": list(labels), "counts": counts.tolist()}}
    return write_report(
        folder, rows, title=title, header=facts, figures=figures, failures=failures, extra=extra
    )


def made(header: Mapping[str, Any]) -> str:
    """Return the last line of a page: date, machine and versions of a report's header."""
    named = ", ".join(f"{name} {version}" for name, version in header["versions"].items())
    return f"Made {header['created']}, {header['machine']}, {named}.\n"
