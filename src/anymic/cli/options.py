"""The options that several verbs have in common, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Clips = Annotated[Path, typer.Option(help="A manifest (CSV), or a folder of one folder per label.")]
Split = Annotated[
    str | None,
    typer.Option(
        help="Clips of this split only; all for every clip. "
        "[default: test where the manifest has a column split, else all]"
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Clips worked on at once. By default one a processor."),
]
Outcome = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")]
Rows = Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")]

# Of trainings.
Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings from a YAML file, in place of a preset."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in --out after an interruption.")
]
TrainingCache = Annotated[
    Path | None, typer.Option(help="Keep features here; runs may share it. [default: in --out]")
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a setting; repeatable: --set epochs=50 --set frontend.bands=64",
    ),
]
Trainer = Annotated[
    list[str] | None,
    typer.Option(
        "--trainer",
        metavar="KEY=VALUE",
        help="An argument of PyTorch Lightning's trainer; repeatable: --trainer accelerator=gpu "
        "--trainer devices=2 --trainer strategy=ddp --trainer precision=32-true",
    ),
]
