"""VGGish from its public weights: a PyTorch state dict, or the variables of TensorFlow's."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anymic import models
from anymic._internal.files import file_digest
from anymic._internal.optional import extra
from anymic.bundle import Bundle, InputContract
from anymic.errors import AnymicError, BundleError
from anymic.features import Frontend
from anymic.features.patches import VGGISH, patch_distance_s, patch_length_s

# torchvggish 0.1 (Apache-2.0), converted from the checkpoint that Google published. As is the
# custom of torch.hub, the name ends in the first eight digits of the file's SHA-256.
URL = "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth"
POSTPROCESSOR = "pproc."  # of the same project: quantization, which is no part of the network
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


def import_vggish(
    weights: str | Path | None = None,
    *,
    width: float = 1.0,
    seed: int = 0,
    embedding_relu: bool = True,
) -> Bundle:
    """Return VGGish behind its own front-end: a model that embeds, and has no labels.

    A file is cut into patches of 0.975 s that begin every 0.96 s (the last 15 ms are the next
    one's first: the windows of 25 ms reach so far), and each gives 128 numbers. What is shorter
    than a patch is followed by silence up to one, so every file gives at least one row; a rest at
    a file's end counts if it is at least half a patch, and is lengthened likewise.

    Parameters
    ----------
    weights : path, optional
        .pth or .pt, .safetensors, or .npz; a narrower VGGish in the same layout too. None draws
        random weights, for trials without the checkpoint.
    width : float
        Of a VGGish with random weights; 1 is 72 million of them.
    seed : int
        Of random weights.
    embedding_relu : bool
        Whether the embedding is rectified, as the public PyTorch code does; see `models.vggish`.

    Raises
    ------
    BundleError
        If the file cannot be read, holds code, or is not VGGish.
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
        with torch.device("meta"):  # no weights are drawn that are not kept
            network = models.build("vggish", classes=0, **arguments)
        _require_shapes(path, state, network.state_dict())
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
    """Return the weights of a file by their public names, float32; no code in it is ever run.

    Raises
    ------
    BundleError
        If the file is missing, damaged or holds more than tensors, or they are not VGGish's.
    """
    if not path.is_file():
        raise BundleError(f"no file {path}", expected=_WANTED, fix="check the path")
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
    found = readers.get(path.suffix.lower(), _read_torch)(path)
    if any(name.startswith("vggish/") for name in found):
        found = _from_tensorflow(path, found)
    found = {name: value for name, value in found.items() if not name.startswith(POSTPROCESSOR)}
    wanted = [f"{layer}.{part}" for layer in VARIABLES.values() for part in ("weight", "bias")]
    missing = [name for name in wanted if name not in found]
    foreign = [name for name in found if name not in wanted]
    if missing or foreign:
        told = [f"without {missing[0]}" + _more(missing)] if missing else []
        told += [f"with {foreign[0]}" + _more(foreign)] if foreign else []
        raise BundleError(
            f"{path} {' and '.join(told)}", expected=_WANTED, fix="download the weights of VGGish"
        )
    if found["features.0.weight"].ndim != 4:
        raise _other_shapes(path, "features.0.weight", found["features.0.weight"].shape)
    return {name: found[name].float().contiguous() for name in wanted}


def fetch(folder: str | Path, *, url: str = URL) -> Path:
    """Fetch the public weights into a folder, once, and check them by the hash in their name.

    Raises
    ------
    AnymicError
        If there is no network, or the file is not the one that its name says.
    """
    with extra("download"):
        import pooch

    pooch.get_logger().setLevel("WARNING")
    name = url.rpartition("/")[2]
    path = Path(folder) / name
    try:
        pooch.retrieve(url, known_hash=None, fname=name, path=folder)
    except (OSError, ValueError) as error:
        raise AnymicError(
            f"{url} cannot be downloaded ({' '.join(str(error).split())[:120]})",
            expected=f"the file {name}",
            fix="check the network, or download the file and pass its path",
        ) from error
    promised = Path(name).stem.rpartition("-")[2]
    digest = file_digest(path)
    if not digest.startswith(promised):
        os.replace(path, path.with_suffix(".damaged"))
        raise AnymicError(
            f"{name} from {url} has the SHA-256 {digest[:8]}...",
            expected=f"{promised}...",
            fix="run this again; if the error persists, the file was damaged or replaced",
        )
    return path


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice on how a file was pickled
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling fails in as many ways as there are wrong bytes
        raise _unreadable(path, error) from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    tensors = isinstance(found, Mapping) and all(isinstance(v, Tensor) for v in found.values())
    if not tensors or not found:
        raise BundleError(
            f"{path} contains {type(found).__name__} and not tensors by name", expected=_WANTED
        )
    return {str(name): value for name, value in found.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {
                name.removesuffix(":0"): torch.from_numpy(np.array(arrays[name]))
                for name in arrays.files
                if arrays[name].dtype.kind == "f"
            }
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise _unreadable(path, error) from error


def _from_tensorflow(path: Path, variables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return TensorFlow's variables by their public names, in PyTorch's order of axes.

    Kernels are (row, column, in, out) there, matrices (in, out); rows are frames in both.
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


def _require_shapes(path: Path, found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    for name, value in own.items():
        if found[name].shape != value.shape:
            raise _other_shapes(path, name, found[name].shape, value.shape)


def _other_shapes(
    path: Path, name: str, shape: torch.Size, wanted: torch.Size | None = None
) -> BundleError:
    return BundleError(
        f"{name} of {path} has shape {tuple(shape)}",
        expected=f"the shape {tuple(wanted)}" if wanted else "a kernel of 3 x 3",
        fix="download the weights of VGGish, because these are of another network",
    )


def _unreadable(path: Path, error: BaseException) -> BundleError:
    # A KeyError is a byte that no pickle begins with, and its number says nothing.
    said = "not what torch.save writes" if isinstance(error, KeyError) else str(error)
    reason = " ".join(said.split())[:120] or type(error).__name__
    return BundleError(
        f"{path} cannot be read as weights ({reason})",
        expected=_WANTED,
        fix="download the file again: it is incomplete or damaged, or contains more than weights",
    )


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
