"""``anymic import vggish``: make a model of the weights of VGGish."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anymic.cli import options
from anymic.cli.printing import print_outcome
from anymic.errors import ConfigError


def import_vggish(
    out: options.NewModel,
    weights: Annotated[
        Path | None,
        typer.Argument(
            help="PyTorch state dict (.pth, .safetensors), or TensorFlow's variables (.npz)."
        ),
    ] = None,
    download: Annotated[
        Path | None,
        typer.Option(help="In place of WEIGHTS: fetch the public ones (289 MB) into this folder."),
    ] = None,
    random: Annotated[
        bool, typer.Option("--random", help="In place of WEIGHTS: random ones, for tests.")
    ] = False,
    width: Annotated[
        float, typer.Option(help="With --random: factor on the channels of VGGish.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="With --random: seed of the weights.")] = 0,
    linear: Annotated[
        bool,
        typer.Option(
            "--linear", help="Leave the embedding unrectified, as later TensorFlow code does."
        ),
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option(help="For fine-tuning: add two new layers for this manifest's labels."),
    ] = None,
    as_json: options.Outcome = False,
) -> None:
    """Make a model of VGGish's public weights, an embedding of 0.96 s of sound in 128 numbers.

    The model has no labels: it is for `anymic embed`, and for training classifiers on its
    embeddings. It works at 16 kHz with the front-end that was published with VGGish. Only tensors
    are read; a file with code in it is refused. With --labels it gets a layer of 100 and one of the
    manifest's labels, for `anymic finetune --preset xu2018` on patches (`anymic data cut`).

    Example: anymic import vggish vggish-10086976.pth --out vggish
    """
    from anymic.data.reading import as_manifest
    from anymic.importers import vggish
    from anymic.training.heads import with_labels

    chosen = [weights is not None, download is not None, random]
    if sum(chosen) != 1:
        raise ConfigError(
            ("no" if not any(chosen) else "more than one") + " source of weights is given",
            expected="one of WEIGHTS, --download and --random",
            fix="see anymic import vggish --help",
        )
    if width != 1 and not random:
        raise ConfigError(
            f"--width {width:g} is given without --random", expected="both", fix="leave --width out"
        )
    path = vggish.fetch(download) if download is not None else weights
    bundle = vggish.import_vggish(path, width=width, seed=seed, embedding_relu=not linear)
    if labels is not None:
        bundle = with_labels(bundle, as_manifest(labels).labels, seed=seed)
    bundle.save(out)
    count = sum(value.numel() for value in bundle.network.parameters())
    outcome = {"out": str(out), "weights": count, "from": bundle.training["imported"]}
    then = "finetune" if labels is not None else "embed"
    line = f"{out}  VGGish, {count:,} weights; see anymic {then} --help"
    print_outcome(outcome, line, as_json=as_json)
