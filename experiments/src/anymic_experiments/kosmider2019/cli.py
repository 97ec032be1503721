"""`anymic reproduce kosmider2019`."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from anymic_experiments.options import Data, Esc50, Out, Page, Responses, Workers

if TYPE_CHECKING:
    from anymic_experiments.kosmider2019.experiment import Part


def kosmider2019(
    out: Out,
    data: Data = None,
    esc50: Esc50 = None,
    responses: Responses = None,
    scale: Annotated[
        str,
        typer.Option(
            help="paper: 10 s, 256 bands, 150 epochs. small: 5 s, 128 bands, 30 epochs, about an "
            "hour a seed on 2 cores."
        ),
    ] = "small",
    table: Annotated[list[int] | None, typer.Option(help="Only this table: 3.")] = None,
    figure: Annotated[list[int] | None, typer.Option(help="Only this figure: 1.")] = None,
    ensembles: Annotated[
        bool, typer.Option("--ensembles", help="Only the four kinds of ensemble.")
    ] = False,
    devices: Annotated[
        bool,
        typer.Option("--devices", help="Only unstated and unknown devices; needs --esc50."),
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds: 0, 1, ...")] = 2,
    workers: Workers = 2,
    page: Page = None,
) -> None:
    """Reproduce the winner of DCASE 2019 task 1B (Kosmider 2019).

    Table 3 and figure 1: two networks, each with and without augmentation, normalization and
    spectrum correction. The four kinds of ensemble. And what the report only touches: naming the
    device of a clip that nobody stated, and hearing one that no profile knows. Without --table,
    --figure, --ensembles or --devices: everything that the data allows.

    With --data it runs on your folds, such as TAU Urban Acoustic Scenes 2019 Mobile (anymic data
    prepare); with --esc50 on ESC-10 passed through measured microphones. Can be interrupted: what
    is finished is kept.

    Example: anymic reproduce kosmider2019 --esc50 ESC-50 --responses micirp --out results
    """
    from anymic.cli.inputs import one_corpus
    from anymic.errors import ConfigError
    from anymic_experiments.kosmider2019 import experiment

    if scale not in ("paper", "small"):
        raise ConfigError(f"--scale is {scale}", expected="paper or small")
    for name, chosen, known in (("table", table, 3), ("figure", figure, 1)):
        if chosen and set(chosen) != {known}:
            raise ConfigError(
                f"--{name} is {' '.join(map(str, chosen))}", expected=f"--{name} {known}"
            )
    one_corpus(data, esc50, responses, command="anymic reproduce kosmider2019")
    parts: set[Part] = set()
    if table or figure:
        parts.add("table")
    if ensembles:
        parts.add("ensembles")
    if devices:
        parts.add("devices")
    if esc50 is not None and responses is not None:
        more = not parts or "devices" in parts
        corpora = experiment.make(esc50, responses, out, devices=more)
    else:
        corpora = experiment.given(data or [])
    written, text = experiment.run(
        corpora,
        out,
        scale=scale,  # type: ignore[arg-type]
        parts=parts,
        seeds=range(seeds),
        workers=workers,
        page_folder=page,
        command=shlex.join(["anymic", *sys.argv[1:]]),
    )
    typer.echo(text)
    for path in written:
        typer.echo(path)
