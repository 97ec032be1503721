"""Import VGGish from its public weights: a PyTorch state dict, or variables of TensorFlow."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anymic import models
from anymic._internal.files import file_digest
from anymic._internal.npz import read_arrays
from anymic._internal.process_state import left_as_found
from anymic._internal.reading import parsing
from anymic.bundle import Bundle, InputContract
from anymic.errors import BundleError
from anymic.features import Frontend
from anymic.features.patches import VGGISH, patch_distance_s, patch_length_s
from anymic.importers import downloads

# torchvggish 0.1 (Apache-2.0), converted from the checkpoint that Google published. As for
# torch.hub, the name ends in the first eight digits of the file's SHA-256.
URL = "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth"
POSTPROCESSOR = "pproc."  # of the same project: quantization, not part of the network
FULL_WIDTH = 64  # channels of the first convolution

# The variables of the TensorFlow checkpoint, and the layers of the public state dict.
VARIABLES = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3/conv3_1": "features.6",
    "conv3/conv3_2": "features.8",
    "conv4/conv4_1": "features.11",
    "conv4/conv4_2": "features.13",
    "fc1/fc1_1": "embeddings.0",
    "fc1/fc1_2": "embeddings.2",
    "fc2": "embeddings.4",
}
_WANTED = (
    "VGGish as a PyTorch state dict (features.0.weight, ..., .pth or .safetensors), or the "
    "TensorFlow checkpoint's variables (vggish/conv1/weights, ...) as .npz"
)


@left_as_found()
def import_vggish(
    weights: str | Path | None = None,
    *,
    width: float = 1.0,
    seed: int = 0,
    embedding_relu: bool = True,
) -> Bundle:
    """Return VGGish with its own front-end: a model that computes embeddings and has no labels.

    A file is cut into patches of 0.975 s that begin every 0.96 s (they overlap by 15 ms, because
    the windows have 25 ms), and each gives 128 numbers. Files shorter than a patch are padded with
    silence, so that every file gives at least one row; a rest at the end of a file is padded as
    well if it is at least half a patch, else left out.

    Parameters
    ----------
    weights : path, optional
        .pth or .pt, .safetensors, or .npz, also of a narrower VGGish. None draws random weights,
        for trials without the checkpoint.
    width : float
        Of a VGGish with random weights; 1 has 72 million weights.
    seed : int
        Of random weights.
    embedding_relu : bool
        See `anymic.models.vggish.VGGish`.

    Raises
    ------
    BundleError
        If the file cannot be read, contains code, or is not VGGish.
    """
    arguments: dict[str, Any] = {} if embedding_relu else {"embedding_relu": False}
    origin: dict[str, Any]
    if weights is None:
        origin = {"weights": "random", "seed": seed}
        arguments |= {} if width == 1 else {"width": width}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = models.build("vggish", classes=0, **arguments)
    else:
        path = Path(weights)
        state = read_state(path)
        own = len(state["features.0.weight"]) / FULL_WIDTH
        arguments |= {} if own == 1 else {"width": own}
        with torch.device("meta"):  # without random weights, which the file replaces
            network = models.build("vggish", classes=0, **arguments)
        for name, value in network.state_dict().items():
            if state[name].shape != value.shape:
                raise _other_shapes(path, name, state[name].shape, f"{tuple(value.shape)}")
        network.load_state_dict(state, assign=True)
        origin = {"weights": path.name, "sha256": file_digest(path)}
    return Bundle(
        network=network,
        frontend=Frontend(VGGISH),
        labels=(),
        contract=InputContract(
            rate_hz=VGGISH.rate_hz, clip_s=patch_length_s(), hop_s=patch_distance_s()
        ),
        network_name="vggish",
        network_arguments=arguments,
        training={"imported": origin},
    )


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the weights of a file by their public names, float32; code in it is never run."""
    if not path.is_file():
        raise BundleError(f"no file {path}", expected=_WANTED, fix="check the path")
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
    fix = "download it again: it is incomplete or damaged, or contains more than weights"
    with parsing(f"the weights {path}", BundleError, expected=_WANTED, fix=fix):
        found = readers.get(path.suffix.lower(), _read_torch)(path)
    if any(name.startswith("vggish/") for name in found):
        found = _from_tensorflow(path, found)
    found = {name: value for name, value in found.items() if not name.startswith(POSTPROCESSOR)}
    wanted = [f"{layer}.{part}" for layer in VARIABLES.values() for part in ("weight", "bias")]
    differences = [
        f"{word} {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        for word, names in (
            ("without", [name for name in wanted if name not in found]),
            ("with", [name for name in found if name not in wanted]),
        )
        if names
    ]
    if differences:
        raise BundleError(
            f"{path} {' and '.join(differences)}",
            expected=_WANTED,
            fix="download the weights of VGGish",
        )
    if found["features.0.weight"].ndim != 4:
        shape = found["features.0.weight"].shape
        raise _other_shapes(path, "features.0.weight", shape, "of a kernel of 3 x 3")
    return {name: found[name].float().contiguous() for name in wanted}


def fetch(folder: str | Path, *, url: str = URL) -> Path:
    """Download the public weights into a folder, once; check them by the hash in their name.

    Raises
    ------
    AnymicError
        If there is no network, or the file has another hash.
    """
    expected = Path(url).stem.rpartition("-")[2]
    return downloads.fetch(url, folder, sha256=expected)


def _read_torch(path: Path) -> dict[str, Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about how a file was pickled
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except KeyError as error:  # a byte that no pickle begins with
            raise ValueError("not what torch.save writes") from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    tensors = isinstance(found, Mapping) and all(isinstance(v, Tensor) for v in found.values())
    if not tensors or not found:
        raise BundleError(
            f"{path} contains {type(found).__name__} and not tensors by name", expected=_WANTED
        )
    return {str(name): value for name, value in found.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _read_npz(path: Path) -> dict[str, Tensor]:
    return {
        name.removesuffix(":0"): torch.from_numpy(array)
        for name, array in read_arrays(path).items()
        if array.dtype.kind == "f"
    }


def _from_tensorflow(path: Path, variables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return TensorFlow's variables by their public names, in PyTorch's order of axes.

    In TensorFlow kernels are (row, column, in, out), matrices (in, out); rows are frames in both.
    """
    found: dict[str, Tensor] = {}
    for scope, layer in VARIABLES.items():
        for old, new in (("weights", "weight"), ("biases", "bias")):
            value = variables.get(f"vggish/{scope}/{old}")
            if value is None:
                raise BundleError(
                    f"{path} has no vggish/{scope}/{old}",
                    expected="all variables of the checkpoint",
                    fix="save them again",
                )
            if value.ndim == 4:
                value = value.permute(3, 2, 0, 1)
            found[f"{layer}.{new}"] = value.T if value.ndim == 2 else value
    return found


def _other_shapes(path: Path, name: str, shape: torch.Size, wanted: str) -> BundleError:
    return BundleError(
        f"{name} of {path} has shape {tuple(shape)}",
        expected=f"the shape {wanted}",
        fix="download the weights of VGGish, because these are of another network",
    )
