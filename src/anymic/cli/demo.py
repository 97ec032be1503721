"""``anymic demo``: train and evaluate on synthetic scenes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anymic.cli import options
from anymic.cli.printing import command_line, print_json

if TYPE_CHECKING:
    from anymic.demo import Demo


def demo(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the scenes and of training.", min=0)] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few scenes, one epoch: only a trial that it runs.")
    ] = False,
    as_json: options.Outcome = False,
) -> None:
    """Make ten urban scenes, train without and with spectrum correction, and report.

    Three devices record the scenes: A all training clips, B and C ten each. No download is needed;
    it takes about a minute on two cores. Audio in --out is used again.

    Example: anymic demo --out demo
    """
    from anymic.demo import QUICK, run_demo

    outcome = run_demo(out, seed=seed, command=command_line(), **(QUICK if quick else {}))
    show(outcome, as_json=as_json)


def show(outcome: Demo, *, as_json: bool) -> None:
    """Print the result, and where the files are."""
    from rich.console import Console

    from anymic.evaluation.report.tables import comparison_table, rich_table

    if as_json:
        print_json(
            {
                "finding": outcome.finding,
                "rows": [asdict(row) for row in outcome.rows],
                "paths": {name: str(path) for name, path in outcome.paths.items()},
                "seconds": {name: round(seconds, 1) for name, seconds in outcome.seconds.items()},
            }
        )
        return
    Console().print(rich_table(comparison_table(outcome.rows)))
    print(f"\n{outcome.finding}\n")
    for name, what in (
        ("html", "the report, with figures"),
        ("json", "the same in numbers"),
        ("corrected", "the model: see anymic predict --help"),
        ("manifest", "the clips"),
    ):
        print(f"{outcome.paths[name]}  {what}")
    print(f"{sum(outcome.seconds.values()):.0f} s in total")
