"""The options that reproduced papers have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Folder for corpora, runs and report.")]
Data = Annotated[
    list[Path] | None,
    typer.Option(
        help="A manifest with devices A, B, C and the splits train and test; repeated, one a fold."
    ),
]
Esc50 = Annotated[
    Path | None,
    typer.Option(help="In place of --data: ESC-50, to make multi-microphone ESC-10 from."),
]
Responses = Annotated[
    Path | None, typer.Option(help="With --esc50: folder of the MicIRP impulse responses.")
]
Workers = Annotated[int, typer.Option(min=1, help="Trainings at a time.")]
Page = Annotated[
    Path | None, typer.Option(help="Also write the page and its figures into this folder.")
]
