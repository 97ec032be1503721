"""Read the HDF5 file of a Keras checkpoint, in a process of its own.

On some damaged files the library of HDF5 never returns, or it ends the process.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anymic._internal.limited_process import output_of, work_on
from anymic._internal.reading import parse_json, refuse_bomb

if TYPE_CHECKING:
    import h5py

LONGEST_CPU_S = 2
INDEX = "index"  # the array of names in what the process writes


class Checkpoint(NamedTuple):
    """A checkpoint's description, its arrays by layer and name, and the version of Keras.

    What `save_weights` wrote has no description. The names are kernel (row, column, in, out),
    gamma, beta, moving_mean, and so on.
    """

    description: dict[str, Any]
    weights: dict[str, dict[str, NDArray[Any]]]
    version: str


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None if the file has no weights of Keras.

    Raises a ValueError that says why it cannot be read.
    """
    found = output_of(__name__, path, name="HDF5", cpu_s=LONGEST_CPU_S)
    with np.load(io.BytesIO(found), allow_pickle=False) as arrays:
        index = json.loads(str(arrays[INDEX]))
        if not index:
            return None
        weights: dict[str, dict[str, NDArray[Any]]] = {layer: {} for layer in index["layers"]}
        for number, (layer, name) in enumerate(index["arrays"]):
            weights[layer][name] = arrays[str(number)]
    return Checkpoint(parse_json(index["description"]), weights, index["version"])


def _write(path: Path) -> None:
    """Write the arrays of a checkpoint as .npz to stdout, and an index of their names."""
    import h5py

    index: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    with h5py.File(path, "r") as file:
        layers = file.get("model_weights", file)
        if "layer_names" in layers.attrs:
            names = [_text(name) for name in layers.attrs["layer_names"]]
            found = [pair for name in names for pair in _arrays(name, layers[name])]
            refuse_bomb(path.stat().st_size, (dataset.nbytes for _, dataset in found))
            arrays = {str(number): np.asarray(data) for number, (_, data) in enumerate(found)}
            index = {
                "description": _text(file.attrs.get("model_config", "{}")),
                "version": _text(file.attrs.get("keras_version", "")),
                "layers": names,
                "arrays": [pair for pair, _ in found],
            }
    # numpy before 2.1 would write an argument allow_pickle as an array; the reader allows none
    np.savez(sys.stdout.buffer, **{INDEX: np.array(json.dumps(index)), **arrays})


def _arrays(layer: str, group: h5py.Group) -> list[tuple[tuple[str, str], h5py.Dataset]]:
    """Return a layer's arrays, with the last part of their names, without ":0"."""
    names = [_text(name) for name in group.attrs["weight_names"]]
    return [((layer, n.rpartition("/")[2].partition(":")[0]), group[n]) for n in names]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    work_on(_write)
