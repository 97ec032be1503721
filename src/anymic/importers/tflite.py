"""Read the weights of a TFLite file: those of its convolutions and dense layers, dequantized."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anymic._internal.optional import extra

if TYPE_CHECKING:
    from tflite import Model, SubGraph, Tensor

MOST_BYTES = 1 << 30
MOST_OPERATORS = 10_000
MOST_DIMENSIONS = 4


class Weights(NamedTuple):
    """The weights of an operator, float32, in the order of the file.

    The kernel of a convolution is (out, row, column, in), of a depthwise one (1, row, column,
    channel), of a dense layer (out, in). `relu6` is whether ReLU up to 6 follows.
    """

    operator: str
    relu6: bool
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]


def read_tflite(path: Path) -> list[Weights]:
    """Return the weights of every convolution and dense layer, in order; nothing is run.

    The file is read as bytes, and no part of it decides how much memory or time is used: numbers of
    operators and sizes of arrays are compared with the size of the file first. Raises a ValueError,
    or what the package `tflite` raises, if it cannot be read.
    """
    with extra("tflite"):
        import tflite

    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise ValueError("no TFLite file")
    model = tflite.Model.GetRootAs(data, 0)
    return list(_operators(model))


def _operators(model: Model) -> Iterator[Weights]:
    import tflite

    codes = tflite.BuiltinOperator
    kinds: dict[int, tuple[str, Any]] = {
        codes.CONV_2D: ("convolution", tflite.Conv2DOptions),
        codes.DEPTHWISE_CONV_2D: ("depthwise", tflite.DepthwiseConv2DOptions),
        codes.FULLY_CONNECTED: ("dense", tflite.FullyConnectedOptions),
    }
    graph = model.Subgraphs(0)
    if graph is None or graph.OperatorsLength() > MOST_OPERATORS:
        raise ValueError(f"no graph of at most {MOST_OPERATORS} operators")
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex())
        found = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if found in kinds:
            kind, options = kinds[found][0], kinds[found][1]()
            if (table := operator.BuiltinOptions()) is None:
                raise ValueError(f"operator {number} without options")
            options.Init(table.Bytes, table.Pos)
            relu6 = options.FusedActivationFunction() == tflite.ActivationFunctionType.RELU6
            inputs = [operator.Inputs(place) for place in range(min(3, operator.InputsLength()))]
            if len(inputs) < 3 or min(inputs) < 0:
                raise ValueError(f"operator {number} without weights or bias")
            kernel, bias = (_values(model, graph, place) for place in inputs[1:])
            yield Weights(kind, relu6, kernel, bias)


def _values(model: Model, graph: SubGraph, place: int) -> NDArray[np.float32]:
    """Return a tensor that is stored in the file, dequantized."""
    if place >= graph.TensorsLength():
        raise ValueError(f"tensor {place} of {graph.TensorsLength()}")
    tensor = graph.Tensors(place)
    if not 1 <= tensor.ShapeLength() <= MOST_DIMENSIONS:
        raise ValueError(f"a tensor of {tensor.ShapeLength()} dimensions")
    shape = [tensor.Shape(axis) for axis in range(tensor.ShapeLength())]
    raw: Any = model.Buffers(tensor.Buffer()).DataAsNumpy()
    kind = _DTYPES.get(tensor.Type())
    if kind is None or not isinstance(raw, np.ndarray):
        raise ValueError(f"a tensor of the type {tensor.Type()}, or without values")
    stored = np.frombuffer(raw.tobytes(), kind).reshape(shape)
    if kind == "<f4":
        return stored.astype(np.float32)
    return _dequantized(tensor, stored).astype(np.float32)


# TFLite's numbers of types.
_DTYPES = {0: "<f4", 2: "<i4", 3: "u1", 9: "i1"}


def _dequantized(tensor: Tensor, stored: NDArray[Any]) -> NDArray[np.float64]:
    """Return (stored - zero point) * scale, of the tensor or of each channel of an axis."""
    found = tensor.Quantization()
    count = 0 if found is None else found.ScaleLength()
    if not count or found.ZeroPointLength() != count:
        raise ValueError("integers without a scale")
    axis = found.QuantizedDimension() if count > 1 else 0
    if count > 1 and not (0 <= axis < stored.ndim and stored.shape[axis] == count):
        raise ValueError(f"{count} scales of a tensor {stored.shape}")
    shape = [count if each == axis else 1 for each in range(stored.ndim)]
    scale = np.array([found.Scale(place) for place in range(count)], np.float64).reshape(shape)
    zero = np.array([found.ZeroPoint(place) for place in range(count)], np.float64).reshape(shape)
    return (stored.astype(np.float64) - zero) * scale
