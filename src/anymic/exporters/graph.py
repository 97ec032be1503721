"""Write an ONNX graph node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from anymic._internal.optional import extra

OPSET, IR_VERSION = 18, 8  # of the ONNX format: known to every onnxruntime since 1.14

# The name of a value, or a constant: whole numbers become int64, others float32.
Value: TypeAlias = "str | int | float | Sequence[int] | NDArray[Any] | np.generic"


class Graph:
    """Nodes and constants of a graph; every value has a name.

    Examples
    --------
    >>> graph = Graph()
    >>> doubled = graph.add("Mul", "samples", 2.0)
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def name(self, kind: str) -> str:
        """Return a new name."""
        self._count += 1
        return f"{kind}_{self._count}"

    def constant(self, value: Value) -> str:
        """Return the name of a constant; equal constants are stored once."""
        array = np.asarray(value)
        if type(value) is float:
            array = array.astype(np.float32)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.name("constant")
            self.constants[self._known[key]] = np.ascontiguousarray(array).reshape(array.shape)
        return self._known[key]

    def add(self, operator: str, *inputs: Value, **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        return self.add_several(operator, 1, *inputs, **attributes)[0]

    def add_several(
        self, operator: str, outputs: int, *inputs: Value, **attributes: Any
    ) -> list[str]:
        """Add a node with so many outputs; return their names."""
        from onnx import helper

        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        found = [self.name(operator.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(operator, names, found, name=found[0], **attributes))
        return found

    def size(self, value: str, axis: int) -> str:
        """Return the size of an axis, int64 (1,)."""
        return self.add("Shape", value, start=axis, end=axis + 1)

    def reshape(self, value: str, *sizes: int | str) -> str:
        """Reshape to sizes, each a number (0: as before, -1: the rest) or an int64 (1,)."""
        if all(isinstance(one, int) for one in sizes):
            return self.add("Reshape", value, np.array(sizes, dtype=np.int64))
        each = [one if isinstance(one, str) else [one] for one in sizes]
        return self.add("Reshape", value, self.add("Concat", *each, axis=0))

    def slice(self, value: str, first: Value, last: Value, axis: int) -> str:
        """Return the part of an axis from `first` to before `last`, each int64 (1,)."""
        return self.add("Slice", value, first, last, [axis])

    def insert(self, model: Any, inputs: Mapping[str, str]) -> list[str]:
        """Insert the graph of a model, whose inputs are values of this one; return its outputs."""
        from onnx import compose, numpy_helper

        prefix = self.name("part") + "/"
        part = compose.add_prefix(model, prefix).graph
        for one in part.initializer:
            self.constants[one.name] = numpy_helper.to_array(one)
        self._identities({prefix + one: value for one, value in inputs.items()})
        self.nodes += part.node
        return [one.name for one in part.output]

    def _identities(self, values: Mapping[str, str]) -> None:
        from onnx import helper

        for name, value in values.items():
            self.nodes.append(helper.make_node("Identity", [value], [name], name=f"to {name}"))

    def model(
        self,
        inputs: Mapping[str, tuple[Any, Sequence[Any]]],
        outputs: Mapping[str, tuple[str, Sequence[Any]]],
        metadata: Mapping[str, str],
    ) -> Any:
        """Return the checked model.

        Parameters
        ----------
        inputs : mapping of a name to its numpy type and axes
        outputs : mapping of a name to its value, float32, and axes
        metadata : mapping of texts
        """
        with extra("onnx"):
            from onnx import checker, helper, numpy_helper

        self._identities({name: value for name, (value, _) in outputs.items()})
        kinds = {name: helper.np_dtype_to_tensor_dtype(np.dtype(kind))
                 for name, (kind, _) in inputs.items()}  # fmt: skip
        single = helper.np_dtype_to_tensor_dtype(np.dtype(np.float32))
        graph = helper.make_graph(
            self.nodes,
            "anymic",
            [
                helper.make_tensor_value_info(name, kinds[name], list(axes))
                for name, (_, axes) in inputs.items()
            ],
            [
                helper.make_tensor_value_info(name, single, list(axes))
                for name, (_, axes) in outputs.items()
            ],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="anymic"
        )
        helper.set_model_props(model, dict(metadata))
        checker.check_model(model, full_check=True)
        return model
