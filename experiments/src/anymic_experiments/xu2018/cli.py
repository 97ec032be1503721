"""`anymic reproduce xu2018`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from anymic_experiments.options import Page, Workers


def xu2018(
    data: Annotated[
        Path, typer.Option(help="A manifest with a column split (train and test) or fold.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for clips, extractors, heads and report.")],
    table: Annotated[
        list[int] | None, typer.Option(help="Only this table: 2, 3 or 4; may be repeated.")
    ] = None,
    scale: Annotated[
        str,
        typer.Option(help="paper: VGGish's weights, fine-tuned. small: a narrow VGGish, ESC-10."),
    ] = "small",
    weights: Annotated[
        Path | None, typer.Option(help="VGGish's public weights, for --scale paper.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds: 0, 1, ...")] = 2,
    workers: Workers = 2,
    page: Page = None,
) -> None:
    """Reproduce audio tagging with VGGish and multi-level attention (Xu 2018).

    Table 2: four extractors and their geometric mean. Table 3: heads, pitch shift and mixup.
    Table 4: the number of segments. A corpus with folds is tested fold by fold. Can be
    interrupted: what is finished is kept, and embeddings are shared by all heads.

    Example: anymic reproduce xu2018 --data esc10.csv --out results
    """
    from anymic.errors import ConfigError
    from anymic_experiments.xu2018.experiment import Experiment

    if scale not in ("paper", "small"):
        raise ConfigError(f"--scale is {scale}", expected="paper or small")
    if wrong := set(table or ()) - {2, 3, 4}:
        raise ConfigError(f"--table is {min(wrong)}", expected="2, 3 or 4")
    experiment = Experiment(
        data=data,
        out=out,
        scale=scale,  # type: ignore[arg-type]
        seeds=tuple(range(seeds)),
        weights=weights,
        workers=workers,
    )
    command = shlex.join(["anymic", *sys.argv[1:]])
    written, text = experiment.run(table or (), page_folder=page, command=command)
    typer.echo(text)
    for path in written:
        typer.echo(path)
