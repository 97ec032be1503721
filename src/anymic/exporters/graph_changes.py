"""Find and change the nodes of an ONNX graph: the network, and forms of fewer bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

Floats: TypeAlias = "NDArray[np.float64]"

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
SPARSE_VALUES, SPARSE_SHARE = 1024, 0.4  # of a constant that is stored without its zeros


def name_nodes(graph: GraphProto) -> None:
    """Give every node without a name one; quantizers choose nodes by their names."""
    taken = {node.name for node in graph.node}
    for number, node in enumerate(graph.node):
        if not node.name:
            name = f"{node.op_type}_{number}"
            node.name = name if name not in taken else f"{name}_unnamed"


def constants(graph: GraphProto) -> dict[str, NDArray[np.generic]]:
    """Return the values of the initializers by name."""
    from onnx import numpy_helper

    return {one.name: numpy_helper.to_array(one) for one in graph.initializer}


def network_nodes(graph: GraphProto) -> set[str]:
    """Return the names of the network's nodes: those after a logarithm and before a Softmax.

    The logarithm ends the front-end. In a graph without one, whose network takes the waveform, no
    node belongs to the front-end. What follows a Softmax combines probabilities.
    """
    logs = any(node.op_type == "Log" for node in graph.node)
    after_log, after_softmax, found = set[str](), set[str](), set[str]()
    for node in graph.node:  # in topological order
        sources = set(node.input)
        cooled = node.op_type == "Softmax" or bool(sources & after_softmax)
        logged = node.op_type == "Log" or bool(sources & after_log)
        if cooled:
            after_softmax.update(node.output)
        elif logged or not logs:
            after_log.update(node.output)
            if node.op_type != "Log":
                found.add(node.name)
    return found


def products(graph: GraphProto) -> list[str]:
    """Return the names of the network's convolutions and products with constant weights."""
    known = {one.name for one in graph.initializer}
    network = network_nodes(graph)
    return [
        node.name
        for node in graph.node
        if node.op_type in PRODUCTS and node.name in network and known & set(node.input)
    ]


def equalize(graph: GraphProto) -> None:
    """Scale the channels between two convolutions so that the second one weighs them equally.

    With h > 0, w * relu(v * x + d) = (w / h) * relu(h (v * x + d)): exact. Here h of a channel is
    the norm of the second convolution's weights for it. All channels share one scale of 8 bits,
    whose rounding errors then count equally (Nagel 2019, *Data-free quantization through weight
    equalization and bias correction*, section 4.1).
    """
    values = constants(graph)
    for relu in [node for node in graph.node if node.op_type == "Relu"]:
        first = next((node for node in graph.node if relu.input[0] in node.output), None)
        second = _only_reader(graph, relu.output[0])
        if first is None or second is None or _only_reader(graph, relu.input[0]) is None:
            continue
        if not (_is_plain(first, values) and _is_plain(second, values)):
            continue
        before, bias = _weights(first, values)
        after, after_bias = _weights(second, values)
        norms = np.sqrt(np.square(after).sum(axis=(0, 2, 3)))
        norms[norms == 0] = 1.0
        values |= _set_weights(graph, first, before * norms[:, None, None, None], bias * norms)
        values |= _set_weights(graph, second, after / norms[None, :, None, None], after_bias)
    remove_unused(graph)


def store_sparsely(graph: GraphProto) -> None:
    """Store large constants that are mostly zeros, such as mel filters, without their zeros.

    ONNX Runtime computes the full constant once, when it loads the model: the values are the same.
    """
    from onnx import helper

    added: list[NodeProto] = []
    for name, value in constants(graph).items():
        chosen = np.flatnonzero(value)
        if value.dtype != np.float32 or value.size < SPARSE_VALUES:
            continue
        if len(chosen) > SPARSE_SHARE * value.size or value.size > np.iinfo(np.int32).max:
            continue
        _remove(graph, name)
        steps = np.diff(chosen, prepend=0)  # small numbers, of two bytes
        narrow = np.uint16 if steps.max() <= np.iinfo(np.uint16).max else np.int32
        _add(graph, f"{name}/values", value.ravel()[chosen])
        _add(graph, f"{name}/steps", steps.astype(narrow))
        _add(graph, f"{name}/size", np.array([value.size]))
        _add(graph, f"{name}/shape", np.array(value.shape))
        _add(graph, f"{name}/axis", np.array(0))
        for operator, inputs, output in (
            ("Cast", ["steps"], "wide"),
            ("CumSum", ["wide", "axis"], "places"),
            ("ConstantOfShape", ["size"], "zeros"),
            ("ScatterElements", ["zeros", "places", "values"], "flat"),
            ("Reshape", ["flat", "shape"], ""),
        ):
            target = f"{name}/{output}" if output else name
            sources = [f"{name}/{one}" for one in inputs]
            extra: dict[str, Any] = {"to": 7} if operator == "Cast" else {}  # int64
            added.append(helper.make_node(operator, sources, [target], name=target, **extra))
    nodes = [*added, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def remove_unused(graph: GraphProto) -> None:
    """Remove constants that no node reads, in place."""
    read = {name for node in graph.node for name in node.input}
    for one in [one for one in graph.initializer if one.name not in read]:
        graph.initializer.remove(one)


def copied(model: ModelProto) -> ModelProto:
    """Return a copy of a model whose nodes all have names, without notes of its exporter."""
    from onnx import ModelProto

    other = ModelProto()
    other.CopyFrom(model)
    name_nodes(other.graph)
    del other.graph.value_info[:]
    for node in other.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    return other


def _only_reader(graph: GraphProto, name: str) -> NodeProto | None:
    readers = [node for node in graph.node if name in node.input]
    outputs = {one.name for one in graph.output}
    return readers[0] if len(readers) == 1 and name not in outputs else None


def _weights(node: NodeProto, values: dict[str, NDArray[np.generic]]) -> tuple[Floats, Floats]:
    """Return the weights and biases of a convolution in float64."""
    weights = values[node.input[1]].astype(np.float64)
    if len(node.input) < 3:
        return weights, np.zeros(len(weights))
    return weights, values[node.input[2]].astype(np.float64)


def _set_weights(
    graph: GraphProto, node: NodeProto, weights: Floats, bias: Floats
) -> dict[str, NDArray[np.generic]]:
    """Give a convolution constants of its own; return them by name."""
    source, name = node.input[0], f"{node.name}/equal"
    added = {f"{name}/weights": weights.astype(np.float32), f"{name}/bias": bias.astype(np.float32)}
    for kind, value in added.items():
        _remove(graph, kind)
        _add(graph, kind, value)
    del node.input[:]
    node.input.extend([source, *added])
    return dict(added)


def shorten_names(graph: GraphProto) -> None:
    """Replace the long names of values within the graph by numbers, and remove those of nodes."""
    kept = {one.name for one in (*graph.input, *graph.output)}
    names = {name: name for name in kept} | {"": ""}
    for one in graph.initializer:
        one.name = names.setdefault(one.name, f"{len(names):x}")
    for node in graph.node:
        node.name = ""
        for listed in (node.input, node.output):
            for number, name in enumerate(listed):
                listed[number] = names.setdefault(name, f"{len(names):x}")
    del graph.value_info[:]


def _is_plain(node: NodeProto, values: dict[str, NDArray[np.generic]]) -> bool:
    """Return whether a node is a 2-D convolution of constants without groups."""
    if node.op_type != "Conv" or not set(node.input[1:]) <= set(values):
        return False
    grouped = any(one.name == "group" and one.i != 1 for one in node.attribute)
    return values[node.input[1]].ndim == 4 and not grouped


def _add(graph: GraphProto, name: str, value: NDArray[np.generic]) -> None:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(value, name))


def _remove(graph: GraphProto, name: str) -> None:
    for one in [one for one in graph.initializer if one.name == name]:
        graph.initializer.remove(one)
