"""Read the description of a network by Keras 2: the family of `10class-fcnn`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from anymic.models.fcnn import Convolution

IGNORED = "Reshape"  # of pooled maps to (1, 1, class): sums and products stay the same


class OtherNetworkError(Exception):
    """The network is not a member of the family; the text says where it differs."""


@dataclass(frozen=True)
class Layer:
    """One layer: its kind, its name, and its settings."""

    kind: str
    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """A member of the family, and the layers that its weights belong to.

    Attributes
    ----------
    bands, classes : int
    arguments : dict
        Of `anymic.models.fcnn.fcnn`, besides `classes`.
    kernels, normalizations, perceptron : tuple of Layer
        In the order of the network.
    """

    bands: int
    classes: int
    arguments: dict[str, Any]
    kernels: tuple[Layer, ...]
    normalizations: tuple[Layer, ...]
    perceptron: tuple[Layer, ...]


def plan(description: Mapping[str, Any]) -> Plan:
    """Read a `model_config`; OtherNetworkError if it describes a network of another family."""
    try:
        graph = _Graph(description["config"]["layers"])
        shape = graph.first.config["batch_input_shape"]
        trunk, branch = graph.trunk()
        perceptron = _attention(graph, branch)
        return _plan(shape, _Chain(trunk), perceptron)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise OtherNetworkError(f"its description lacks {error}") from error


class _Graph:
    """Layers by name, and the layers that follow each."""

    def __init__(self, layers: list[dict[str, Any]]) -> None:
        self.layers = {
            each["config"]["name"]: Layer(
                each["class_name"], each["config"]["name"], each["config"]
            )
            for each in layers
        }
        self.following: dict[str, list[Layer]] = {name: [] for name in self.layers}
        for each in layers:
            layer = self.layers[each["config"]["name"]]
            for node in each["inbound_nodes"]:
                for source in node:
                    if layer not in self.following[source[0]]:
                        self.following[source[0]].append(layer)
        inputs = [layer for layer in self.layers.values() if layer.kind == "InputLayer"]
        _require(len(inputs) == 1, f"{len(inputs)} inputs")
        self.first = inputs[0]

    def trunk(self) -> tuple[list[Layer], Layer]:
        """Return the consecutive layers after the input, and the last of them, where it forks."""
        found, at = [], self.first
        while len(self.following[at.name]) == 1:
            at = self.following[at.name][0]
            found.append(at)
        _require(bool(self.following[at.name]), "no attention over the classes")
        return found, at

    def after(self, layer: Layer, kind: str) -> Layer:
        """Return the only layer after a layer; it must be of the kind."""
        following = self.following[layer.name]
        while len(following) == 1 and following[0].kind == IGNORED:
            following = self.following[following[0].name]
        _require(len(following) == 1 and following[0].kind == kind, f"no {kind} after {layer.name}")
        return following[0]


def _attention(graph: _Graph, branch: Layer) -> tuple[Layer, Layer]:
    """Return the two layers of the perceptron; follow them to the end of the network."""
    parts = {layer.kind: layer for layer in graph.following[branch.name]}
    wanted = {"GlobalAveragePooling2D", "GlobalMaxPooling2D", "Multiply"}
    _require(set(parts) == wanted, f"{', '.join(sorted(parts))} after {branch.name}")
    first = graph.after(parts["GlobalAveragePooling2D"], "Dense")
    _require(
        graph.after(parts["GlobalMaxPooling2D"], "Dense") == first,
        "a perceptron that is not shared",
    )
    second = graph.after(first, "Dense")
    functions = (first.config["activation"], second.config["activation"])
    _require(functions == ("relu", "linear"), f"a perceptron of {' and '.join(functions)}")
    gate = graph.after(graph.after(second, "Add"), "Activation")
    _require(gate.config["activation"] == "sigmoid", f"attention by {gate.config['activation']}")
    product = graph.after(gate, "Multiply")
    _require(product == parts["Multiply"], "attention to other maps")
    last = graph.after(graph.after(product, "GlobalAveragePooling2D"), "Activation")
    _require(last.config["activation"] == "softmax", f"{last.config['activation']} at its end")
    _require(not graph.following[last.name], f"layers after {last.name}")
    return first, second


class _Chain:
    """Consecutive layers, taken one by one."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers
        self.at = 0

    def take(self, kind: str) -> Layer | None:
        """Take the next layer if it is of the kind."""
        if self.at < len(self.layers) and self.layers[self.at].kind == kind:
            self.at += 1
            return self.layers[self.at - 1]
        return None

    def need(self, kind: str) -> Layer:
        """Take the next layer; it must be of the kind."""
        layer = self.take(kind)
        if layer is None:
            found = self.layers[self.at].name if self.at < len(self.layers) else "the end"
            raise OtherNetworkError(f"{found} where a {kind} should be")
        return layer


def _plan(shape: list[int | None], chain: _Chain, perceptron: tuple[Layer, Layer]) -> Plan:
    _, bands, _, channels = shape
    if bands is None or channels is None:
        raise OtherNetworkError(f"an input of {shape}")
    normalizations = [chain.need("BatchNormalization")]
    kernels, convolutions = [], []
    while chain.layers[chain.at :]:
        paddings = []
        while (padding := chain.take("ZeroPadding2D")) is not None:
            paddings.append(padding)
        kernel = chain.need("Conv2D")
        normalizations.append(chain.need("BatchNormalization"))
        function = chain.need("Activation").config["activation"]
        _require(function == "relu", f"{function} after {kernel.name}")
        kernels.append(kernel)
        convolutions.append(_convolution(paddings, kernel, normalizations[-1], chain))
        if last := chain.take("BatchNormalization"):
            normalizations.append(last)
            break
    _require(chain.at == len(chain.layers), "layers between the classes and their attention")
    *front, to_classes = convolutions
    wanted = Convolution(to_classes.width, kernel=1, affine=to_classes.affine)
    _require(to_classes == wanted, "no 1x1 convolution to the classes")
    _require(len(normalizations) == len(kernels) + 2, "no normalization of the class maps")
    affine = _affine(normalizations[-1])
    _require(affine == to_classes.affine, "normalizations of the classes that differ")
    epsilons = {float(layer.config["epsilon"]) for layer in normalizations}
    _require(len(epsilons) == 1, f"epsilons {sorted(epsilons)}")
    _require(perceptron[1].config["units"] == to_classes.width, "attention to other classes")
    arguments = {
        "channels": channels,
        "convolutions": [asdict(each) for each in front],
        "hidden": perceptron[0].config["units"],
        "affine_input": _affine(normalizations[0]),
        "affine_classes": affine,
        "epsilon": epsilons.pop(),
    }
    return Plan(
        bands=bands,
        classes=to_classes.width,
        arguments=arguments,
        kernels=tuple(kernels),
        normalizations=tuple(normalizations),
        perceptron=perceptron,
    )


def _convolution(
    paddings: Sequence[Layer], layer: Layer, normalization: Layer, chain: _Chain
) -> Convolution:
    """Read a convolution, and take the pooling and dropout that follow it."""
    config, padded = layer.config, [each.config for each in paddings]
    size, stride = config["kernel_size"][0], config["strides"][0]
    usual = (
        set(config["kernel_size"]) == {size}
        and set(config["strides"]) == {stride}
        and (config["padding"] == "valid" or (config["padding"] == "same" and stride == 1))
        and set(config.get("dilation_rate", [1])) == {1}
        and not config["use_bias"]
        and config["activation"] == "linear"
        and all(each.get("data_format") != "channels_first" for each in (config, *padded))
    )
    _require(usual, f"{layer.name} with other settings")
    pool, dropout = 1, 0.0
    while (found := chain.take("MaxPooling2D") or chain.take("Dropout")) is not None:
        if found.kind == "Dropout":
            dropout = float(found.config["rate"])
            continue
        pool = found.config["pool_size"][0]
        sizes = {*found.config["pool_size"], *found.config["strides"]}
        plain = sizes == {pool} and found.config["padding"] == "valid"
        _require(plain, f"{found.name} with other settings")
    return Convolution(
        config["filters"],
        size,
        stride,
        pool,
        dropout,
        affine=_affine(normalization),
        padding=_total_padding(config, padded),
    )


def _total_padding(
    config: Mapping[str, Any], padded: Sequence[Mapping[str, Any]]
) -> list[int] | None:
    """Add up the zeros on the four sides; None where they are half the kernel."""
    size = config["kernel_size"][0]
    same = size - 1 if config["padding"] == "same" else 0
    total = np.array([[same // 2, same - same // 2]] * 2)
    for each in padded:
        total += np.array(each["padding"])
    sides: list[int] = total.ravel().tolist()
    return None if sides == [size // 2] * 4 else sides


def _affine(layer: Layer) -> bool:
    axis = layer.config["axis"]
    _require(axis in (-1, 3, [3], [-1]), f"{layer.name} along axis {axis}")
    return bool(layer.config["center"] or layer.config["scale"])


def _require(condition: bool, difference: str) -> None:
    if not condition:
        raise OtherNetworkError(difference)
