"""``anymic import``: weights that were trained elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from anymic.cli import options

app = typer.Typer(no_args_is_help=True, help="Make a model of weights that were trained elsewhere.")


@app.callback()
def _group() -> None:
    pass


@app.command()
def vggish(
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
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
        bool, typer.Option("--random", help="In place of WEIGHTS: random ones, for trials.")
    ] = False,
    width: Annotated[
        float, typer.Option(help="With --random: so many times the channels of VGGish.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="With --random: of the weights.")] = 0,
    linear: Annotated[
        bool,
        typer.Option(
            "--linear", help="Leave the embedding unrectified, as later TensorFlow code does."
        ),
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option(help="To be fine-tuned: with two fresh layers for a manifest's labels."),
    ] = None,
    as_json: options.Outcome = False,
) -> None:
    """Make a model of VGGish's public weights, which describes 0.96 s of sound by 128 numbers.

    The model has no labels: it is for `anymic embed`, and for training classifiers on what that
    writes. It hears at 16 kHz with the front-end that was published with VGGish. Only tensors are
    read; a file with code in it is refused. With --labels it gets a layer of 100 and one of the
    manifest's labels, for `anymic finetune --preset xu2018` on patches (`anymic data cut`).

    Example: anymic import vggish vggish-10086976.pth --out vggish
    """
    from anymic.cli.inputs import read_manifest
    from anymic.errors import ConfigError
    from anymic.importers.vggish import fetch, import_vggish
    from anymic.training.heads import with_labels

    chosen = [weights is not None, download is not None, random]
    if sum(chosen) != 1:
        raise ConfigError(
            "none of WEIGHTS, --download and --random" if not any(chosen) else "several weights",
            expected="one of them",
            fix="see anymic import vggish --help",
        )
    if width != 1 and not random:
        raise ConfigError(
            f"--width {width:g} without --random", expected="both", fix="weights have their width"
        )
    path = fetch(download) if download is not None else weights
    bundle = import_vggish(path, width=width, seed=seed, embedding_relu=not linear)
    if labels is not None:
        bundle = with_labels(bundle, read_manifest(labels).labels, seed=seed)
    bundle.save(out)
    count = sum(value.numel() for value in bundle.network.parameters())
    if as_json:
        print(json.dumps({"out": str(out), "weights": count, "from": bundle.training["imported"]}))
    else:
        then = "finetune" if labels is not None else "embed"
        print(f"{out}  VGGish, {count:,} weights; see anymic {then} --help")


@app.command()
def keras(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL.hdf5", help="What model.save of Keras 2 wrote.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    labels: Annotated[
        str | None,
        typer.Option(help="Names in the order of the classes: a,b,c. [default: ten are TAU's]"),
    ] = None,
    clip_s: Annotated[
        float, typer.Option(help="Length of the clips that it was trained on, in seconds.")
    ] = 10.0,
    as_json: options.Outcome = False,
) -> None:
    """Take over a network of the family of Hu 2020 (`10class-fcnn`, and smaller ones).

    Depth, widths, channels of the input and the number of classes are read from the file; the
    front-end in front of it is that of the papers, for 44.1 kHz. The model predicts and is
    fine-tuned like any other. Needs h5py: pip install 'anymic[keras]'.

    Example: anymic import keras model.hdf5 --out scenes
    """
    from anymic.importers.keras import import_keras

    names = None if labels is None else [name.strip() for name in labels.split(",")]
    bundle = import_keras(model, labels=names, clip_s=clip_s)
    bundle.save(out)
    weights = bundle.network.state_dict().items()  # with running statistics, as Keras counts
    parameters = sum(value.numel() for name, value in weights if not name.endswith("tracked"))
    if as_json:
        outcome = {
            "model": str(out),
            "labels": list(bundle.labels),
            "parameters": parameters,
            "network": bundle.network_arguments,
        }
        print(json.dumps(outcome, indent=2, allow_nan=False))
        return
    listed = ", ".join(bundle.labels)
    print(f"{out}: {parameters:,} parameters, {len(bundle.labels)} labels: {listed}")
    print(f"next: anymic predict FILES --model {out}")
