"""``anymic import keras``: a network that Keras trained."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.inputs import read_names
from anymic.cli.printing import Outcome
from anymic.errors import counted


def import_keras(
    model: Path,
    *,
    out: Path,
    labels: str | None = None,
    clip_s: float = 10.0,
) -> Outcome:
    """Import a network of the family of Hu 2020 (`10class-fcnn`, and smaller ones).

    Depth, widths, channels of the input and the number of classes are read from the file; the
    front-end is that of the papers, for 44.1 kHz. The model predicts and is fine-tuned as any
    other; one with 6 channels (two microphones) classifies arrays in Python only. It needs h5py:
    pip install 'anymic[keras]'.

    Example: anymic import keras model.hdf5 --out scenes
    """
    from anymic.importers import keras

    bundle = keras.import_keras(model, labels=read_names(labels), clip_s=clip_s)
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
    lines = [
        f"{out}: {parameters:,} parameters, {counted(len(bundle.labels), 'label')}: {listed}",
        f"next: {next_step}",
    ]
    return Outcome(outcome, lines)
