"""`anymic reproduce peters2022`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anymic_experiments.options import Out, Page, Workers

if TYPE_CHECKING:
    from anymic_experiments.peters2022.experiment import Part


def peters2022(
    data: Annotated[
        Path,
        typer.Option(help="A manifest of clean clips with a column split (train, test) or fold."),
    ],
    out: Out,
    experiment: Annotated[
        list[str] | None,
        typer.Option(help="A: all of the network, table 2. B: one segment alone, figure 2."),
    ] = None,
    table: Annotated[list[int] | None, typer.Option(help="Only this table: 2.")] = None,
    figure: Annotated[list[int] | None, typer.Option(help="Only this figure: 2.")] = None,
    scalings: Annotated[
        bool, typer.Option("--scalings", help="Only the comparison of two scalings of features.")
    ] = False,
    scale: Annotated[
        str,
        typer.Option(
            help="paper: fine-tunes --model. small: a narrow FCNN, trained here first, about 40 "
            "minutes a seed on 2 cores."
        ),
    ] = "small",
    model: Annotated[
        Path | None,
        typer.Option(help="The model to fine-tune, such as anymic import keras writes."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds: 0, 1, ...")] = 2,
    workers: Workers = 2,
    page: Page = None,
) -> None:
    """Reproduce fine-tuning for audio codecs (Peters 2022).

    The corpus is encoded by every codec of the paper. Experiment A, table 2: accuracy by codec
    while all of a network is fine-tuned. Experiment B, figure 2: each segment alone. And what
    codecs cost with two scalings of the features. Without --experiment, --table, --figure or
    --scalings: all of it. Can be interrupted: what is finished is kept.

    Example: anymic reproduce peters2022 --data esc10.csv --out results
    """
    from anymic.errors import ConfigError
    from anymic_experiments.peters2022.experiment import Experiment

    if scale not in ("paper", "small"):
        raise ConfigError(f"--scale is {scale}", expected="paper or small")
    parts: set[Part] = {"scalings"} if scalings else set()
    names: dict[str, Part] = {"A": "table 2", "B": "figure 2"}
    for name in experiment or ():
        if name.upper() not in names:
            raise ConfigError(
                f"--experiment is {name}", expected="--experiment A or --experiment B"
            )
        parts.add(names[name.upper()])
    for kind, chosen in (("table", table), ("figure", figure)):
        for number in chosen or ():
            if number != 2:
                raise ConfigError(f"--{kind} is {number}", expected=f"--{kind} 2")
            parts.add(f"{kind} 2")  # type: ignore[arg-type]
    found = Experiment(
        data=data,
        out=out,
        scale=scale,  # type: ignore[arg-type]
        seeds=tuple(range(seeds)),
        model=model,
        workers=workers,
    )
    command = shlex.join(["anymic", *sys.argv[1:]])
    written, text = found.run(parts, page_folder=page, command=command)
    typer.echo(text)
    for path in written:
        typer.echo(path)
