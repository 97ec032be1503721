"""Smaller ONNX models: convolutions and products in int8, or the network in float16.

The front-end, its logarithm, the softmax and what follows stay float32: `network_nodes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from numpy.typing import NDArray

from anymic._internal.files import atomic_path, write_bytes
from anymic._internal.onnx_session import require_onnxruntime
from anymic._internal.optional import extra
from anymic.errors import ConfigError
from anymic.exporters.float16 import halve
from anymic.exporters.graph_changes import (
    copied,
    equalize,
    products,
    shorten_names,
    store_sparsely,
)

if TYPE_CHECKING:
    from onnx import ModelProto

Form = Literal["int8", "dynamic", "float16"]
Inputs = Mapping[str, NDArray[Any]]  # of one run of a model, by name

PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")  # what onnxruntime calls it


def quantize(
    model: ModelProto, out: str | Path, form: Form, *, calibration: Iterable[Inputs] | None = None
) -> Path:
    """Write a smaller form of an exported model.

    Parameters
    ----------
    model : ModelProto
        Float32, with its front-end. It is not changed.
    out : path
        The .onnx file to write.
    form : {"int8", "dynamic", "float16"}
        int8: weights in 8 bits with a scale for each output channel, and activations in 8 bits
        with the ranges that they have for `calibration`. dynamic: weights in 8 bits, and
        activations with the range of each input, measured when the model runs. float16: weights
        and activations of the network in 16 bits. In every form, large constants that are mostly
        zeros are stored without them.
    calibration : iterable of mappings, optional
        The inputs of runs, by name, of clips that the model is not tested on; for int8 only.

    Raises
    ------
    ConfigError
        If the form is unknown, the calibration clips are missing, none, or not used by the form,
        or the model has no product with constant weights.
    DependencyError
        If onnx or onnxruntime is not installed.

    Notes
    -----
    Channels between convolutions are scaled first, which is exact (`equalize`). The network's first
    product stays float32: it has few weights, and most of the error in 8 bits is that of its input.
    Activations are signed, because products of unsigned and signed 8-bit numbers overflow on some
    processors (ONNX Runtime, *Quantize ONNX models*). In the form dynamic, where activations are
    unsigned, the weights are unsigned, too. The outputs of matrix products, and so the
    logits, stay float32.

    Examples
    --------
    >>> quantize(onnx.load("model.onnx"), "small.onnx", "dynamic")  # doctest: +SKIP
    PosixPath('small.onnx')
    """
    _check(form, calibration)
    require_onnxruntime()
    with extra("onnx"):
        import onnx
    changed = copied(model)
    equalize(changed.graph)
    chosen = products(changed.graph)
    if not chosen:
        raise ConfigError(
            "the model has no convolution or product with constant weights",
            expected="a classifier that was exported by anymic",
            fix="export it in float32",
        )
    if form == "float16":
        halve(changed)
        result = changed
    else:
        with atomic_path(out) as place:
            _integers(changed, place, chosen[1:] or chosen, calibration)
            result = onnx.load(place)
    store_sparsely(result.graph)
    shorten_names(result.graph)
    del result.metadata_props[:]
    result.metadata_props.extend(model.metadata_props)
    write_bytes(out, result.SerializeToString())
    return Path(out)


def _check(form: Form, calibration: Iterable[Inputs] | None) -> None:
    if form not in get_args(Form):
        raise ConfigError(
            f"the form is {form!r}",
            expected=", ".join(get_args(Form)),
            fix="name one of them",
        )
    if form == "int8" and calibration is None:
        raise ConfigError(
            "int8 without calibration clips",
            expected="clips from which the ranges of activations are measured",
            fix="give clips, such as those of the training split, or use dynamic",
        )
    if form != "int8" and calibration is not None:
        raise ConfigError(
            f"calibration clips for {form}",
            expected="them with int8 only",
            fix="leave them out",
        )


def _integers(
    model: ModelProto, place: Path, chosen: list[str], calibration: Iterable[Inputs] | None
) -> None:
    """Write a model whose chosen products have integer weights, and activations if calibrated."""
    from onnxruntime import quantization

    model.metadata_props.add(key=PREPARED[0], value=PREPARED[1])
    common = {
        "nodes_to_quantize": chosen,
        "per_channel": True,
        "weight_type": quantization.QuantType.QInt8,
    }
    if calibration is None:
        # without a sign: onnxruntime before 1.24 has no ConvInteger for others
        common["weight_type"] = quantization.QuantType.QUInt8
        quantization.quantize_dynamic(model, place, **common)
        return
    quantization.quantize_static(
        model,
        place,
        _reader(calibration),
        activation_type=quantization.QuantType.QInt8,
        extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"]},
        **common,
    )


def _reader(calibration: Iterable[Inputs]) -> Any:
    """Return what onnxruntime reads calibration inputs from."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self.runs = iter(calibration)
            self.count = 0

        def get_next(self) -> Inputs | None:
            found = next(self.runs, None)
            self.count += found is not None
            if found is None and not self.count:
                raise ConfigError(
                    "there is no calibration clip",
                    expected="at least one clip that the model can classify",
                    fix="check the table of clips",
                )
            return found

    return Reader()
