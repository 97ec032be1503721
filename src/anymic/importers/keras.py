"""Import checkpoints of Keras 2: the family of `10class-fcnn` (Hu 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from anymic._internal.optional import extra
from anymic._internal.process_state import left_as_found
from anymic._internal.reading import parsing
from anymic.bundle import Bundle, InputContract
from anymic.data.corpora.tau_mobile import SCENES
from anymic.errors import BundleError, counted
from anymic.features import Frontend, FrontendConfig
from anymic.importers.hdf5 import read_checkpoint
from anymic.importers.keras_layers import Layer, OtherNetworkError, Plan, plan
from anymic.models.fcnn import ClassAttention, Fcnn, fcnn

FRONTEND = FrontendConfig(
    rate_hz=44100,
    fft_size=2048,
    hop_samples=1024,
    bands=128,
    mel_scale="htk",
    mel_norm=None,
    power=2,
    log_offset=1e-8,
    scaling="clip",
)
TWO_MICROPHONES = 6  # channels: log-mel features, deltas, and deltas of these, of each microphone
WANTED = "a whole model of the family of Hu 2020, saved by Keras 2"
Arrays = Mapping[str, np.ndarray]


@left_as_found()
def import_keras(
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    clip_s: float = 10.0,
    frontend: FrontendConfig = FRONTEND,
) -> Bundle:
    """Read a network of the family, and return it with the front-end of the papers.

    Depth, widths, channels of the input, normalizations and the number of classes are read from the
    file. On the same features the network gives the same probabilities as in Keras. With 6 channels
    (the features of two microphones) it classifies arrays (batch, 6, band, frame) only; `load` and
    `predict` refuse it, because an audio file gives the features of one microphone.

    Parameters
    ----------
    path : path
        HDF5 with `model_config` and `model_weights`, as `Model.save` of Keras 2 writes it.
    labels : sequence of str, optional
        In the order of the classes; for ten classes, those of TAU by default.
    clip_s : float
        Length of the clips that the network was trained on, in seconds.
    frontend : FrontendConfig
        Its bands and deltas are set to those of the network.

    Raises
    ------
    BundleError
        If the file is not HDF5, not complete, of another network, or the number of labels is not
        that of its classes.
    DependencyError
        If h5py is not installed.

    Examples
    --------
    >>> bundle = import_keras("model.hdf5", labels=["indoor", "outdoor"])  # doctest: +SKIP
    >>> bundle.network(features).softmax(dim=1)  # (batch, class)  # doctest: +SKIP
    """
    path = Path(path)
    own, weights, version = read(path)
    classes, channels = own.classes, own.arguments["channels"]
    if labels is None and classes == len(SCENES):
        labels = SCENES
    if labels is None or len(labels) != classes:
        raise BundleError(
            f"{counted(len(labels or ()), 'label')} for the {classes} classes of {path}",
            expected=f"{classes} names, in the order of the classes",
            fix="pass the labels",
        )
    if channels > 3 and channels != TWO_MICROPHONES:
        raise BundleError(
            f"the input of {path} has {channels} channels",
            expected="1 to 3 channels (log-mel features, their deltas, and the deltas of these),"
            f" or {TWO_MICROPHONES}: these of two microphones",
            fix="choose another network",
        )
    deltas = 2 if channels == TWO_MICROPHONES else channels - 1
    config = replace(frontend, bands=own.bands, deltas=deltas)
    return Bundle(
        network=build(own, weights),
        frontend=Frontend(config),
        labels=tuple(labels),
        contract=InputContract(rate_hz=config.rate_hz, clip_s=clip_s),
        network_name="fcnn",
        network_arguments=own.arguments,
        training={"imported": {"file": path.name, "keras": version}},
    )


def read(path: Path) -> tuple[Plan, Mapping[str, Arrays], str]:
    """Return a checkpoint's network, its arrays by layer and name, and the version of Keras."""
    with extra("keras"):
        import h5py
    if not path.is_file():
        raise BundleError(f"no file {path}", expected=WANTED, fix="check the path")
    if not h5py.is_hdf5(path):
        raise BundleError(f"{path} is not an HDF5 file", expected=WANTED, fix="check the path")
    with parsing(
        path, BundleError, expected="a complete checkpoint of Keras 2", fix="copy it again"
    ):
        found = read_checkpoint(path)
    if found is None or not found.description:
        raise BundleError(
            f"{path} has no model_config or no model_weights",
            expected=WANTED,
            fix="save it with model.save, not with save_weights",
        )
    try:
        return plan(found.description), found.weights, found.version
    except OtherNetworkError as error:
        raise BundleError(
            f"{path} is of another network ({error})", expected=WANTED, fix="check the file"
        ) from error


def build(own: Plan, weights: Mapping[str, Arrays]) -> Fcnn:
    """Return the network with its weights."""
    network = fcnn(classes=own.classes, **own.arguments)
    modules = [module for part in network.convolutions for module in part.children()]
    kernels = [module for module in modules if isinstance(module, torch.nn.Conv2d)]
    normalizations = [module for module in modules if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        try:
            for kernel, layer in zip(kernels, own.kernels, strict=True):
                _fill(kernel.weight, weights[layer.name]["kernel"].transpose(3, 2, 0, 1))
            for module, layer in zip(normalizations, own.normalizations, strict=True):
                _normalization(module, weights[layer.name])
            _attention(network.attention, own.perceptron, weights)
        except KeyError as error:
            raise BundleError(
                f"the checkpoint has no weights of {error}", expected=WANTED, fix="check the file"
            ) from error
    return network


def _fill(tensor: torch.Tensor, values: np.ndarray) -> None:
    if tuple(tensor.shape) != values.shape:
        raise BundleError(
            f"some weights have shape {values.shape}",
            expected=f"{tuple(tensor.shape)}, as the description of the network says",
            fix="save the model again",
        )
    tensor.copy_(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)))


def _normalization(module: torch.nn.BatchNorm2d, arrays: Arrays) -> None:
    assert module.running_mean is not None
    assert module.running_var is not None
    _fill(module.running_mean, arrays["moving_mean"])
    _fill(module.running_var, arrays["moving_variance"])
    if module.affine:  # Keras may have one of the two only
        _fill(module.weight, arrays.get("gamma", np.ones(module.num_features)))
        _fill(module.bias, arrays.get("beta", np.zeros(module.num_features)))


def _attention(
    module: ClassAttention, layers: Sequence[Layer], weights: Mapping[str, Arrays]
) -> None:
    for linear, layer in zip((module.first, module.second), layers, strict=True):
        arrays = weights[layer.name]
        _fill(linear.weight, arrays["kernel"].T)
        _fill(linear.bias, arrays.get("bias", np.zeros(linear.out_features)))
