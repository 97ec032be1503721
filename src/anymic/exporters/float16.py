"""Let the network of an exported ONNX model compute in float16."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anymic.exporters.graph_changes import constants, network_nodes, remove_unused

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def halve(model: ModelProto) -> None:
    """Let the network's nodes compute in float16, in place.

    What they read from the front-end is cast to float16, and what others read from them is cast to
    float32. Inputs and outputs of the model stay as they are.
    """
    from onnx import TensorProto, helper, shape_inference

    graph = model.graph
    inferred = shape_inference.infer_shapes(model).graph
    floats = {
        one.name
        for one in (*inferred.value_info, *inferred.input, *inferred.output)
        if one.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    network, nodes = network_nodes(graph), list(graph.node)
    written = {name for node in nodes if node.name in network for name in node.output}
    left: set[str] = {one.name for one in graph.output}
    left |= {name for node in nodes if node.name not in network for name in node.input}
    names = _half_constants(graph, network)
    changed: list[NodeProto] = []
    for node in nodes:
        if node.name not in network:
            changed.append(node)
            continue
        for number, name in enumerate(node.input):
            if name in floats and name not in written and name not in names:
                names[name] = f"{name}/half"
                to = TensorProto.FLOAT16
                changed.append(helper.make_node("Cast", [name], [names[name]], names[name], to=to))
            node.input[number] = names.get(name, name)
        _half_attributes(node)
        changed.append(node)
        for number, name in enumerate(node.output):
            if name in left and name in floats:
                names[name] = node.output[number] = f"{name}/half"
                cast = helper.make_node(
                    "Cast", [names[name]], [name], f"{name}/full", to=TensorProto.FLOAT
                )
                changed.append(cast)
    del graph.node[:]
    graph.node.extend(changed)
    remove_unused(graph)


def _half_constants(graph: GraphProto, network: set[str]) -> dict[str, str]:
    """Add the network's float32 constants as float16; return their new names by the old ones."""
    from onnx import numpy_helper

    read = {name for node in graph.node if node.name in network for name in node.input}
    names = {}
    for name, value in constants(graph).items():
        if name in read and value.dtype == np.float32:
            names[name] = f"{name}/half"
            half = value.astype(np.float16)
            graph.initializer.append(numpy_helper.from_array(half, names[name]))
    return names


def _half_attributes(node: NodeProto) -> None:
    """Change the constants and types in a node's attributes to float16."""
    from onnx import TensorProto, numpy_helper

    for attribute in node.attribute:
        if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
        if attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT:
            half = numpy_helper.to_array(attribute.t).astype(np.float16)
            attribute.t.CopyFrom(numpy_helper.from_array(half))
