"""Import YAMNet from its public weights: arrays, the Keras weight file, or a TFLite model."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymic import models
from anymic._internal.files import file_digest
from anymic._internal.npz import read_arrays
from anymic._internal.optional import extra
from anymic._internal.process_state import left_as_found
from anymic._internal.reading import parsing
from anymic.bundle import Bundle, InputContract
from anymic.errors import BundleError
from anymic.features import Frontend
from anymic.features.patches import YAMNET, patch_distance_s, patch_length_s
from anymic.importers import downloads
from anymic.importers.hdf5 import read_checkpoint
from anymic.importers.tflite import read_tflite
from anymic.models.yamnet import EPSILON, FRAMES, HOP_FRAMES, STRIDES

# The float32 weights in the storage of AudioSet, to which the TensorFlow Models project refers, and
# the quantized model in the public tests of TFLite Support, with their SHA-256.
FLOAT32 = (
    "https://storage.googleapis.com/audioset/yamnet.h5",
    "13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744",
)
QUANTIZED = (
    "https://raw.githubusercontent.com/tensorflow/tflite-support/"
    "dd3362ea685bb7ab1f7268c81ec567d3b720ae57/tensorflow_lite_support/cc/test/testdata/task/audio/"
    "yamnet_audio_classifier_with_metadata.tflite",
    "10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de",
)
LABELS = Path(__file__).with_name("yamnet_labels.csv")  # and the logits of `check_sound`
ANSWERS = ("float32", "quantized")  # the columns of logits; the two were trained separately
TOLERANCE = 0.05  # root mean square over the labels; that of other weights is above 3

LAYERS = 1 + 2 * len(STRIDES)  # convolutions
DENSE = 2 * LAYERS  # the number of the last layer in the arrays
STATISTICS = ("beta", "moving_mean", "moving_variance")
_WANTED = (
    "YAMNet as arrays by layer (00/kernel, 01/beta, ... .npz), the Keras weight file (yamnet.h5), "
    "or a TFLite model (.tflite)"
)
Arrays = Mapping[str, NDArray[Any]]
Found = tuple[dict[str, NDArray[Any]], dict[str, Any]]


@left_as_found()
def import_yamnet(
    weights: str | Path | None = None, *, width: float = 1.0, seed: int = 0
) -> Bundle:
    """Return YAMNet with its own front-end: a model of the 521 sounds of AudioSet.

    A file is cut into patches of 0.975 s that begin every 0.48 s. Each gives an embedding of 1024
    numbers and an independent score for each label; a file's are the means over its patches. The
    model then classifies a synthetic sound, and other weights than those of YAMNet are refused
    because its answers differ from those that are stored with this package.

    Parameters
    ----------
    weights : path, optional
        .npz, .h5 or .tflite. None draws random weights, for trials without the file.
    width : float
        Of a YAMNet with random weights; 1 has 3.7 million weights.
    seed : int
        Of random weights.

    Raises
    ------
    BundleError
        If the file cannot be read, or is not YAMNet.
    """
    labels, answers = _labels()
    arguments: dict[str, Any] = {} if width == 1 else {"width": width}
    origin: dict[str, Any] = {"weights": "random", "seed": seed}
    if weights is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = models.build("yamnet", classes=len(labels), **arguments)
    else:
        path = Path(weights)
        origin = {"weights": path.name, "sha256": file_digest(path) if path.is_file() else ""}
        state, arguments = read_state(path)
        with torch.device("meta"):  # without random weights, which the file replaces
            network = models.build("yamnet", classes=len(labels), **arguments)
        for name, value in network.state_dict().items():
            if state[name].shape != value.shape:
                raise _of_another(path, f"{name} has shape {tuple(state[name].shape)}")
        network.load_state_dict(state, assign=True)
    bundle = Bundle(
        network=network,
        frontend=Frontend(YAMNET),
        labels=labels,
        contract=InputContract(
            rate_hz=YAMNET.rate_hz,
            clip_s=patch_length_s(YAMNET),
            hop_s=patch_distance_s(YAMNET, frames=HOP_FRAMES),
        ),
        network_name="yamnet",
        network_arguments=arguments,
        training={"imported": origin},
        targets="several",
    )
    if weights is not None:
        _check(bundle, answers, Path(weights))
    return bundle


def check_sound() -> NDArray[np.float32]:
    """Return the sound of the built-in check, (sample,): a rising tone, a hum, and ten clicks."""
    time_s = np.arange(YAMNET.samples(FRAMES)) / YAMNET.rate_hz
    tone = np.sin(2 * np.pi * (300.0 * time_s + 1200.0 * time_s**2))
    hum = np.sin(2 * np.pi * 120.0 * time_s) * (1 + np.sin(2 * np.pi * 7.0 * time_s))
    clicks = np.exp(-300.0 * (time_s % 0.1)) * np.sin(2 * np.pi * 3100.0 * time_s)
    return np.asarray(0.2 * tone + 0.1 * hum + 0.4 * clicks, dtype=np.float32)


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights of a file as the state of `YAMNet`, and its arguments but `classes`.

    BundleError if the file cannot be read, or does not have the layers of YAMNet.
    """
    if not path.is_file():
        raise BundleError(f"no file {path}", expected=_WANTED, fix="check the path")
    readers = {".npz": _read_npz, ".h5": _read_keras, ".hdf5": _read_keras, ".tflite": _read_lite}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BundleError(
            f"the file {path} is no file of weights",
            expected=_WANTED,
            fix="pass one of these files",
        )
    fix = "download it again: it is incomplete or damaged"
    with parsing(f"the weights {path}", BundleError, expected=_WANTED, fix=fix):
        arrays, arguments = reader(path)
    wanted = set(_names())
    if differences := sorted(wanted.symmetric_difference(arrays)):
        name = differences[0]
        raise _of_another(path, f"{'no ' if name in wanted else ''}{name}")
    with parsing(f"the weights {path}", BundleError, expected=_WANTED, fix=fix):
        return _state(arrays), arguments


def _names() -> list[str]:
    """Return the name of every array, in the order of the network."""
    names = []
    for layer in range(LAYERS):
        kernel = "depthwise_kernel" if layer % 2 else "kernel"
        names += [f"{2 * layer:02d}/{kernel}", *(f"{2 * layer + 1:02d}/{s}" for s in STATISTICS)]
    return [*names, f"{DENSE}/kernel", f"{DENSE}/bias"]


def _state(arrays: Arrays) -> dict[str, Tensor]:
    """Return arrays with TensorFlow's axes as the state of the network.

    Kernels are (row, column, in, out), depthwise ones (row, column, channel, 1); rows are frames.
    Both axes are reversed, as the network reverses its features.
    """
    found = {}
    for layer in range(LAYERS):
        number, place = divmod(layer + 1, 2)
        name = f"layers.{number}.{0 if layer == 0 else 3 * place}"
        kernel = arrays[f"{2 * layer:02d}/{'depthwise_kernel' if layer % 2 else 'kernel'}"]
        order = (2, 3, 0, 1) if layer % 2 else (3, 2, 0, 1)
        found[f"{name}.weight"] = kernel.transpose(order)[:, :, ::-1, ::-1]
        parent, _, index = name.rpartition(".")
        after = f"{parent}.{int(index) + 1}"
        beta, mean, variance = (arrays[f"{2 * layer + 1:02d}/{one}"] for one in STATISTICS)
        found |= {f"{after}.bias": beta, f"{after}.running_mean": mean}
        found |= {f"{after}.running_var": variance}
        found[f"{after}.num_batches_tracked"] = np.array(0, np.int64)
    found["classifier.weight"] = arrays[f"{DENSE}/kernel"].T
    found["classifier.bias"] = arrays[f"{DENSE}/bias"]
    return {
        name: torch.from_numpy(
            np.array(value, dtype=np.int64 if value.dtype == np.int64 else np.float32, order="C")
        )
        for name, value in found.items()
    }


def _read_npz(path: Path) -> Found:
    return read_arrays(path), {}


def _read_keras(path: Path) -> Found:
    """Return the arrays of the Keras weight file, whose layers have names."""
    with extra("keras"):
        import h5py

    if not h5py.is_hdf5(path):
        raise ValueError("no HDF5 file")
    checkpoint = read_checkpoint(path)
    if checkpoint is None:
        raise ValueError("no weights of Keras")
    numbers = {"layer1/conv": 0, "layer1/conv/bn": 1}
    for block in range(len(STRIDES)):
        for place, kind in enumerate(("depthwise_conv", "pointwise_conv")):
            name, layer = f"layer{block + 2}/{kind}", 2 * block + place + 1
            numbers |= {name: 2 * layer, f"{name}/bn": 2 * layer + 1}
    arrays = {
        f"{numbers.get(layer, DENSE):02d}/{name}": array
        for layer, own in checkpoint.weights.items()
        for name, array in own.items()
    }
    return arrays, {}


def _read_lite(path: Path) -> Found:
    """Return the arrays of a TFLite model, in which normalizations are part of the kernels."""
    layers = read_tflite(path)
    while layers and layers[0].operator == "dense":  # the mel filters
        del layers[0]
    wanted = ["depthwise" if layer % 2 else "convolution" for layer in range(LAYERS)] + ["dense"]
    if [layer.operator for layer in layers] != wanted:
        raise ValueError(f"{len(layers)} layers, not those of YAMNet")
    found: dict[str, NDArray[Any]] = {}
    for number, layer in enumerate(layers[:-1]):
        order, name = ((1, 2, 3, 0), "kernel")
        if layer.operator == "depthwise":
            name = "depthwise_kernel"
        found[f"{2 * number:02d}/{name}"] = layer.kernel.transpose(order)
        ones = np.ones_like(layer.bias)
        values = (layer.bias, 0 * ones, (1 - EPSILON) * ones)
        found |= {f"{2 * number + 1:02d}/{s}": v for s, v in zip(STATISTICS, values, strict=True)}
    found |= {f"{DENSE}/kernel": layers[-1].kernel.T, f"{DENSE}/bias": layers[-1].bias}
    return found, {"relu6": True} if layers[0].relu6 else {}


def _labels() -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the names of the classes, and the logits (`ANSWERS`, label) of `check_sound`."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    answers = [[float(row[name]) for row in rows] for name in ANSWERS]
    return tuple(row["label"] for row in rows), np.array(answers)


@torch.inference_mode()
def _check(bundle: Bundle, answers: NDArray[np.float64], path: Path) -> None:
    """Raise BundleError if the logits of `check_sound` differ from all stored answers."""
    logits = bundle.network(bundle.frontend(torch.from_numpy(check_sound())[None]))
    differences = np.sqrt(np.mean((logits.double().numpy() - answers) ** 2, axis=1))
    if not differences.min() <= TOLERANCE:  # nor if one is not a number
        raise _of_another(path, f"logits of a test sound differ by {differences.min():.2f}")


def _of_another(path: Path, why: str) -> BundleError:
    return BundleError(
        f"{path} is of another network ({why})",
        expected="the weights of YAMNet for 521 labels",
        fix="download the weights of YAMNet",
    )


def fetch(folder: str | Path, *, quantized: bool = False) -> Path:
    """Download the public weights into a folder, once; verify them by their SHA-256.

    Parameters
    ----------
    folder : path
    quantized : bool
        The TFLite model (4 MB, 8 bits) in place of the float32 weights (15 MB).

    Raises
    ------
    AnymicError
        If there is no network, or the file has another hash.
    """
    url, sha256 = QUANTIZED if quantized else FLOAT32
    return downloads.fetch(url, folder, sha256=sha256)
