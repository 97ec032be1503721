"""``anymic evaluate``: measure a model on labelled clips, on each device by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic.cli.inputs import place_of
from anymic.cli.printing import Outcome, command_line, failures_as_json, note

if TYPE_CHECKING:
    from anymic.evaluation.result import Evaluation
    from anymic.evaluation.robustness import Robustness


def evaluate(
    model: Path,
    *,
    data: Path,
    split: str | None = None,
    out: Path | None = None,
    reference: str | None = None,
    unstated: bool = False,
    map_at: int | None = None,
    min_confidence: float | None = None,
    cache: Path | None = None,
    seed: int = 0,
) -> Outcome:
    """Measure a model on labelled clips, for each device.

    Accuracy for each device, their mean, accuracy for each class, log loss and calibration error,
    and for 3 labels or more MAP@3, all with n and 95 % intervals, are printed as a table and
    written as report.html (one page, with figures) and report.json. The manifest's columns device
    and group are used where they are there: clips of one group count as one recording. Clips of an
    unknown device are treated by the model's policy (`anymic devices policy`); they share their
    blind gains, unless --unstated leaves each by itself.

    A head on embeddings (`anymic train-head --embeddings`) is measured on embeddings: --data is
    then an .npz with labels.

    For a model of several labels a clip it is mean average precision, and for each label average
    precision and F1 at the model's threshold.

    Probabilities are those of `anymic predict`: calibrated, where the model is. The report's header
    states it.

    The exit status is 1 if some files failed; they are listed, and left out of all numbers.

    Example: anymic evaluate run --data manifest.csv --split test --out report
    """
    from anymic.evaluation import evaluate as evaluation

    target = place_of(model, out, "report")
    found = evaluation.evaluate(
        model,
        data,
        split=split,
        reference=reference,
        unstated=unstated,
        map_at=map_at,
        min_confidence=min_confidence,
        cache=cache,
        seed=seed,
        progress=True,
    )
    paths = found.write(target, command=command_line())
    note(found.warning, found.device_policies)
    return Outcome(as_mapping(found, paths), evaluation_lines(found, paths), found.failures)


def as_mapping(found: Evaluation | Robustness, paths: Mapping[str, Path]) -> dict[str, Any]:
    """Return what was measured as --json prints it."""
    baseline = getattr(found, "baseline", None)
    rows = found.rows if baseline is None else (*found.rows, *baseline.rows)
    return {
        "rows": [asdict(row) for row in rows],
        "failures": failures_as_json(found.failures),
        "paths": {name: str(path) for name, path in paths.items()},
    }


def evaluation_lines(found: Evaluation, paths: Mapping[str, Path]) -> list[Any]:
    """Return the tables, and where the report is."""
    from anymic.evaluation.report import tables
    from anymic.evaluation.report.label_rows import label_device_table, label_table

    kinds = [tables.device_table, tables.class_table, tables.threshold_table]
    kinds += [label_device_table, label_table]
    shown = [table for kind in kinds if (table := kind(found.rows)).rows]
    if found.baseline is not None:
        shown.append(found.baseline.table())
    return [
        *map(tables.rich_table, shown),
        str(found),
        f"{paths['html']}  the report, with figures",
        f"{paths['json']}  the same in numbers",
    ]
