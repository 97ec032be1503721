"""A chain of convolutions, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.onnx_session import load_session
from anymic._internal.threads import in_order

OPSET, IR_VERSION = 17, 8  # of the ONNX format: known to every onnxruntime since 1.12

Maps = NDArray[np.float32]


class Convolution(NamedTuple):
    """A convolution and its ReLU.

    Attributes
    ----------
    weight : array (out, in / groups, row, column), float32
    bias : array (out,), float32
    stride : int
    padding : (int, int)
        Zeros before and after the maps, in both directions.
    groups : int
    """

    weight: Maps
    bias: Maps
    stride: int
    padding: tuple[int, int]
    groups: int


def open_chain(
    layers: Sequence[Convolution], *, piece: int, largest: float | None = None
) -> Callable[[Maps], Maps] | None:
    """Return a function that passes maps through the layers and takes their mean at the end.

    It takes float32 maps (batch, channel, row, column), of which `piece` pass the chain together,
    and returns (batch, out). As many threads as torch's pass pieces at the same time; a session has
    none of its own, so it also works after a fork. None if the extra `onnx` is not installed.

    Parameters
    ----------
    layers : sequence of Convolution
    piece : int
    largest : float, optional
        What ReLU is limited to.
    """
    try:
        session = load_session(_graph(layers, largest), threads=1)
    except ModuleNotFoundError:
        return None

    def run(maps: Maps) -> Maps:
        means: Maps = session.run(None, {"maps": np.ascontiguousarray(maps)})[0]
        return means[:, :, 0, 0]

    def run_all(maps: Maps) -> Maps:
        threads = torch.get_num_threads()
        size = max(1, min(piece, -(-len(maps) // threads)))
        pieces = [maps[start : start + size] for start in range(0, max(1, len(maps)), size)]
        alone = min(threads, len(pieces)) == 1
        done = map(run, pieces) if alone else in_order(run, pieces, workers=threads)
        return np.concatenate(list(done))

    return run_all


def _graph(layers: Sequence[Convolution], largest: float | None) -> bytes:
    """Return the layers as the content of an ONNX file."""
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    constants: dict[str, Any] = {"zero": np.float32(0), "largest": np.float32(largest or 0)}
    maps = "maps"
    for number, layer in enumerate(layers):
        sums, after = f"sums {number}", f"maps {number}"
        weights = [f"weight {number}", f"bias {number}"]
        constants |= dict(zip(weights, (layer.weight, layer.bias), strict=True))
        settings: dict[str, Any] = {
            "strides": [layer.stride] * 2,
            "pads": [side for side in layer.padding for _ in range(2)],
            "group": layer.groups,
        }
        nodes.append(helper.make_node("Conv", [maps, *weights], [sums], **settings))
        rectified = ("Relu", [sums]) if largest is None else ("Clip", [sums, "zero", "largest"])
        nodes.append(helper.make_node(*rectified, [after]))
        maps = after
    nodes.append(helper.make_node("GlobalAveragePool", [maps], ["means"]))
    inputs, outputs = layers[0].weight.shape[1] * layers[0].groups, len(layers[-1].bias)
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", inputs, None, None])],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, ["n", outputs, 1, 1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return bytes(model.SerializeToString())
