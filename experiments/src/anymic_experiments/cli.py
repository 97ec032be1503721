"""`anymic reproduce`: an experiment of the documentation, from recordings to its page."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from anymic_experiments.kosmider2019 import cli as reproduce_kosmider2019
from anymic_experiments.nguyen2020 import cli as reproduce_nguyen2020
from anymic_experiments.peters2022 import cli as reproduce_peters2022
from anymic_experiments.xu2018 import cli as reproduce_xu2018

app = typer.Typer(
    help="Run an experiment of docs/results again.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def reproduce() -> None:
    """Run an experiment of docs/results again."""


@app.command("spectrum-correction")
def spectrum_correction(
    esc50: Annotated[Path, typer.Option(help="Folder of ESC-50, as published (or its ESC-10).")],
    responses: Annotated[Path, typer.Option(help="Folder of the MicIRP impulse responses.")],
    out: Annotated[Path, typer.Option(help="Folder for corpus, runs and report.")],
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds: 0, 1, ...")] = 2,
    workers: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 2,
    page: Annotated[
        Path | None, typer.Option(help="Also write the page and its figure into this folder.")
    ] = None,
) -> None:
    """Measure what spectrum correction wins back between microphones.

    Makes multi-microphone ESC-10 (A flat; B and C strongly coloured, ten aligned training clips
    each; D and E unknown to training), then trains basic1 without correction and with every
    estimator and reference, all folds and seeds. Can be interrupted: what is finished is kept.

    Example: anymic reproduce spectrum-correction --esc50 ESC-50 --responses micirp --out results
    """
    from anymic_experiments import correction_page
    from anymic_experiments import spectrum_correction as recipe

    command = shlex.join(["anymic", *sys.argv[1:]])
    folds = recipe.make_corpus(esc50, responses, out / "corpus")
    findings = recipe.run(folds, out / "runs", seeds=range(seeds), workers=workers)
    paths = correction_page.report(findings, out, page=page, command=command, seeds=seeds)
    typer.echo(correction_page.markdown(findings))
    for path in paths:
        typer.echo(path)


app.command("kosmider2019")(reproduce_kosmider2019.kosmider2019)
app.command("nguyen2020")(reproduce_nguyen2020.nguyen2020)
app.command("peters2022")(reproduce_peters2022.peters2022)
app.command("xu2018")(reproduce_xu2018.xu2018)
