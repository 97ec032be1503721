"""The options that several verbs have in common, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Models.
Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="The folder of a trained model or an ensemble.")
]
WithModel = Annotated[
    Path, typer.Option("--model", help="The model: the folder that `anymic train` wrote.")
]
ChangedModel = Annotated[
    Path | None, typer.Option(help="Write a new model here. [default: change MODEL]")
]
NewModel = Annotated[Path, typer.Option(help="Folder for the model.")]
Device = Annotated[
    str | None, typer.Option(help="The device that recorded the files, as the model names it.")
]
Batch = Annotated[
    int | None, typer.Option(min=1, help="Windows in one pass of the network. [default: 4 to 32]")
]
Accelerator = Annotated[
    str, typer.Option(help="auto, cpu or cuda; auto is a GPU where there is one.")
]
Cache = Annotated[
    Path | None, typer.Option(help="Keep features in this folder, for the next time.")
]

# Clips and files.
Files = Annotated[
    list[str],
    typer.Argument(metavar="PATH...", help="Files, folders, or patterns such as 'in/*.wav'."),
]
Clips = Annotated[Path, typer.Option(help="A manifest (CSV), or a folder of one folder per label.")]
Labelled = Annotated[
    Path,
    typer.Argument(
        help="CSV of clips: path, label, perhaps split; or a folder of one folder per label."
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Clips of this split only; all for every clip. "
        "[default: test where the manifest has a column split, else all]"
    ),
]
Channel = Annotated[
    str, typer.Option(help="How channels become one: mean, left, right, only, or a number.")
]
DEVICES = typer.Option(
    help="YAML of virtual devices, or the name of a preset: microphones, scenes."
)
CODECS = typer.Option(help="YAML of codecs and bitrates, or the name of a preset: codecs.")
Responses = Annotated[
    Path | None,
    typer.Option(help="Folder of the impulse responses. [default: that of the devices' YAML]"),
]
Corpus = Annotated[Path, typer.Option(help="Folder for the audio and the tables.")]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Clips worked on at once. By default one a processor."),
]

# What is printed.
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
