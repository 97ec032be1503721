"""``anymic import keras``: a network that Keras trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anymic.cli import options
from anymic.cli.printing import print_outcome


def import_keras(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL.hdf5", help="What model.save of Keras 2 wrote.")
    ],
    out: options.NewModel,
    labels: Annotated[
        str | None,
        typer.Option(help="Names in the order of the classes: a,b,c. [default: ten are TAU's]"),
    ] = None,
    clip_s: Annotated[
        float, typer.Option(help="Length of the clips that it was trained on, in seconds.")
    ] = 10.0,
    as_json: options.Outcome = False,
) -> None:
    """Import a network of the family of Hu 2020 (`10class-fcnn`, and smaller ones).

    Depth, widths, channels of the input and the number of classes are read from the file; the
    front-end is that of the papers, for 44.1 kHz. The model predicts and is fine-tuned as any
    other; one with 6 channels (two microphones) classifies arrays in Python only. It needs h5py:
    pip install 'anymic[keras]'.

    Example: anymic import keras model.hdf5 --out scenes
    """
    from anymic.importers import keras

    names = None if labels is None else [name.strip() for name in labels.split(",")]
    bundle = keras.import_keras(model, labels=names, clip_s=clip_s)
    bundle.save(out)
    weights = bundle.network.state_dict().items()  # with running statistics, as Keras counts
    parameters = sum(value.numel() for name, value in weights if not name.endswith("tracked"))
    outcome = {
        "model": str(out),
        "labels": list(bundle.labels),
        "parameters": parameters,
        "network": bundle.network_arguments,
    }
    next_step = f"anymic predict FILES --model {out}"
    if bundle.network_arguments["channels"] == keras.TWO_MICROPHONES:
        next_step = "classify arrays of two microphones' features in Python (docs/finetuning.md)"
    listed = ", ".join(bundle.labels)
    print_outcome(
        outcome,
        f"{out}: {parameters:,} parameters, {len(bundle.labels)} labels: {listed}",
        f"next: {next_step}",
        as_json=as_json,
    )
