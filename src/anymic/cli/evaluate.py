"""``anymic evaluate``: measure a model on labelled clips, on each device by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anymic.cli import options
from anymic.cli.inputs import require_folders
from anymic.cli.printing import command_line, failures_as_json, finish, note, print_json

if TYPE_CHECKING:
    from anymic.evaluation.evaluate import Evaluation
    from anymic.evaluation.robustness import Robustness


def evaluate(
    model: options.Model,
    data: options.Clips,
    split: options.Split = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report. [default: MODEL/report]")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="The device to compare with. [default: the model's, else the first]"),
    ] = None,
    unstated: Annotated[
        bool,
        typer.Option(
            "--unstated",
            help="Do not state the devices to the model; the report is by device all the same.",
        ),
    ] = False,
    map_at: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The k of MAP@k, mean average precision. [default: 3 for 3 labels or more]",
        ),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            help="Also measure the share and accuracy of clips with at least this confidence."
        ),
    ] = None,
    cache: options.Cache = None,
    seed: Annotated[int, typer.Option(help="Seed of the resamples for the intervals.")] = 0,
    as_json: options.Rows = False,
) -> None:
    """Measure a model on labelled clips, on each device by itself.

    Accuracy for each device, their mean, accuracy for each class, log loss and calibration error,
    and for 3 labels or more MAP@3, all with n and 95 % intervals, are printed as a table and
    written as report.html (one page, with figures) and report.json. The manifest's columns device
    and group are used where they are there: clips of one group count as one recording. Clips of an
    unknown device are treated by the model's policy (`anymic devices policy`); they share their
    blind gains, unless --unstated leaves each by itself.

    A head on embeddings (`anymic train-head --embeddings`) is measured on embeddings: --data is
    then an .npz with labels.

    Probabilities are those of `anymic predict`: calibrated, where the model is. The report's header
    states it.

    The exit status is 1 if some files failed; they are listed, and left out of all numbers.

    Example: anymic evaluate run --data manifest.csv --split test --out report
    """
    from anymic.evaluation import evaluate as evaluation

    require_folders(out, cache)
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
    paths = found.write(out or model / "report", command=command_line())
    note(found.warning, found.device_policies)
    if as_json:
        print_json(as_mapping(found, paths))
    else:
        print_evaluation(found, paths)
    finish(found.failures)


def as_mapping(found: Evaluation | Robustness, paths: Mapping[str, Path]) -> dict[str, Any]:
    """Return what was measured as --json prints it."""
    return {
        "rows": [asdict(row) for row in found.rows],
        "failures": failures_as_json(found.failures),
        "paths": {name: str(path) for name, path in paths.items()},
    }


def print_evaluation(found: Evaluation, paths: Mapping[str, Path]) -> None:
    """Print the tables, and where the report is."""
    from rich.console import Console

    from anymic.evaluation.report.tables import (
        class_table,
        device_table,
        rich_table,
        threshold_table,
    )

    for table in (device_table, class_table, threshold_table):
        if (shown := table(found.rows)).rows:
            Console().print(rich_table(shown))
    print(found)
    print(f"{paths['html']}  the report, with figures")
    print(f"{paths['json']}  the same in numbers")
