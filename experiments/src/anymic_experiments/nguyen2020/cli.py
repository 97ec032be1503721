"""`anymic reproduce nguyen2020`."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from anymic_experiments.options import Data, Esc50, Out, Page, Responses, Workers

if TYPE_CHECKING:
    from anymic_experiments.nguyen2020.experiment import Part


def nguyen2020(
    out: Out,
    data: Data = None,
    esc50: Esc50 = None,
    responses: Responses = None,
    scale: Annotated[
        str,
        typer.Option(
            help="paper: 10 s, 256 bands, 150 epochs. small: 5 s, 128 bands, 30 or 60 epochs, "
            "about an hour a seed on 2 cores."
        ),
    ] = "small",
    table: Annotated[list[int] | None, typer.Option(help="Only this table: 2 or 3.")] = None,
    figure: Annotated[list[int] | None, typer.Option(help="Only this figure: 2 or 3.")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Only calibration errors by device.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds: 0, 1, ...")] = 3,
    ablation_seeds: Annotated[
        int, typer.Option(min=1, help="Of these, how many table 2 and the ablation get.")
    ] = 2,
    workers: Workers = 2,
    page: Page = None,
) -> None:
    """Reproduce heated-up softmax with spectrum correction (Nguyen 2020).

    Table 3 and figure 3: accuracy over the temperature of training, for two corrections and none.
    Table 2: focal loss and cross-entropy; with it gains on magnitudes against gains on log-mel
    bands. Figure 2: the pooled features in two dimensions. And calibration errors by device,
    before and after calibration. Without --table, --figure or --trust: all of it.

    With --data it runs on your folds, such as TAU Urban Acoustic Scenes 2019 Mobile (anymic data
    prepare); with --esc50 on ESC-10 passed through measured microphones. Can be interrupted: what
    is finished is kept, and runs of another experiment in the same folder are used where settings
    and clips are the same.

    Example: anymic reproduce nguyen2020 --esc50 ESC-50 --responses micirp --out results
    """
    from anymic.cli.inputs import one_corpus
    from anymic.errors import ConfigError
    from anymic_experiments.nguyen2020.experiment import Experiment
    from anymic_experiments.spectrum_correction import make_corpus

    if scale not in ("paper", "small"):
        raise ConfigError(f"--scale {scale}", expected="paper or small")
    parts: set[Part] = {"trust"} if trust else set()
    for name, chosen in (("table", table), ("figure", figure)):
        for number in chosen or ():
            if number not in (2, 3):
                raise ConfigError(f"--{name} {number}", expected=f"--{name} 2 or --{name} 3")
            parts.add(f"{name} {number}")  # type: ignore[arg-type]
    one_corpus(data, esc50, responses, command="anymic reproduce nguyen2020")
    made = esc50 is not None and responses is not None
    if esc50 is not None and responses is not None:
        folds = make_corpus(esc50, responses, out / "corpus")
    else:
        folds = list(data or [])
    experiment = Experiment(
        folds=tuple(folds),
        out=out,
        scale=scale,  # type: ignore[arg-type]
        seeds=tuple(range(seeds)),
        ablation_seeds=ablation_seeds,
        workers=workers,
        made=made,
    )
    command = shlex.join(["anymic", *sys.argv[1:]])
    written, text = experiment.run(parts, page_folder=page, command=command)
    typer.echo(text)
    for path in written:
        typer.echo(path)
