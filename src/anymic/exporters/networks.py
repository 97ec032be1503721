"""Networks as nodes of a graph: those of the registry folded, others as torch exports them."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from anymic._internal.onnx_chain import Convolution
from anymic._internal.onnx_session import load_session
from anymic._internal.optional import extra
from anymic.bundle import Bundle
from anymic.errors import BundleError
from anymic.exporters.graph import OPSET, Graph
from anymic.models.basic import Basic
from anymic.models.fcnn import Fcnn
from anymic.models.fused_yamnet import folded_chain
from anymic.models.fusion import FusedBasic, fold
from anymic.models.network import Network
from anymic.models.tagger import Tagger
from anymic.models.yamnet import YAMNet

LARGEST_DIFFERENCE = 1e-3  # of a part that torch exports, relative to its largest output

Made = dict[nn.Module, Any]  # networks, and the models that torch made of them


class Answer(NamedTuple):
    """Values (batch, label) and (batch, feature); the second is "" where it is not wanted."""

    logits: str
    embedding: str = ""


def network_nodes(
    graph: Graph, member: Bundle, maps: str, *, made: Made, embeddings: bool = False
) -> Answer:
    """Add the logits, and the embedding where it is wanted, of maps (batch, channel, frame, band).

    What torch exports is kept in `made`, and taken from there if it is needed again.

    Raises
    ------
    BundleError
        If torch cannot export a network, or the result differs from the network's.
    """
    network, name = member.network, member.network_name or type(member.network).__name__
    channels, bands, frames = member.frontend.config.input_shape(member.contract.clip_samples)
    if isinstance(network, Basic):
        embedding = _basic(graph, network, maps)
        return Answer(_linear(graph, network.classifier, embedding), embedding)
    if isinstance(network, YAMNet):
        embedding = _yamnet(graph, network, maps)
        return Answer(_linear(graph, network.classifier, embedding), embedding)
    part: nn.Module = network
    if isinstance(network, Tagger):
        maps = _sequences(graph, network, maps, name, made)
        example = torch.zeros(2, 2, network.standardization.mean.numel())
        part, name, longer = network.head, f"{name}'s head", True
    else:
        maps = graph.add("Transpose", maps, perm=[0, 1, 3, 2])
        example = torch.zeros(2, channels, bands, frames)
        longer = getattr(network, "input_shape", None) is None
    if part not in made:
        made[part] = _by_torch(part, example, name, embeddings=embeddings, longer=longer)
    return Answer(*graph.insert(made[part], {"maps": maps}))


def _basic(graph: Graph, network: Basic, maps: str) -> str:
    """Add the embedding of a `Basic` network, as `FusedBasic` computes it."""
    fused = FusedBasic(network)
    for number, stride in enumerate(fused.strides):
        weight = fused.get_buffer(f"weight_{number}").float().contiguous().numpy()
        bias = fused.get_buffer(f"bias_{number}").numpy()
        maps = graph.add("Relu", graph.add("Conv", maps, weight, bias, strides=list(stride)))
    pooled = graph.add("Flatten", graph.add("GlobalAveragePool", maps))
    scaled = graph.add("Mul", pooled, fused.scale.numpy())
    return graph.add("Add", scaled, fused.shift.numpy())


def _yamnet(graph: Graph, network: YAMNet, maps: str) -> str:
    """Add the embedding of a `YAMNet`, as `FusedYAMNet` computes it."""
    layers, limited = folded_chain(network)
    for layer in layers:
        maps = _convolved(graph, maps, layer, limited=limited)
    return graph.add("Flatten", graph.add("GlobalAveragePool", maps))


def _convolved(graph: Graph, maps: str, layer: Convolution, *, limited: bool) -> str:
    # The kernels are for (band, frame), and the maps are (frame, band).
    weight = np.ascontiguousarray(layer.weight.transpose(0, 1, 3, 2))
    sums = graph.add(
        "Conv",
        maps,
        weight,
        layer.bias,
        strides=[layer.stride] * 2,
        pads=[side for side in layer.padding for _ in range(2)],
        group=layer.groups,
    )
    if limited:
        return graph.add("Clip", sums, np.float32(0), np.float32(6))
    return graph.add("Relu", sums)


def _linear(graph: Graph, layer: nn.Module, values: str) -> str:
    """Add a dense layer; the values themselves where there is none."""
    if not isinstance(layer, nn.Linear):
        return values
    weight = layer.weight.detach().numpy().T
    product = graph.add("MatMul", values, weight)
    return product if layer.bias is None else graph.add("Add", product, layer.bias.detach().numpy())


def _sequences(graph: Graph, network: Tagger, maps: str, name: str, made: Made) -> str:
    """Add standardized embeddings (batch, segment, feature) of the segments of maps."""
    size, hop, embedder = network.segment_frames, network.segment_hop_frames, network.embedder
    rest = graph.add("Sub", graph.size(maps, 2), [size])
    count = graph.add("Add", graph.add("Div", rest, [hop]), [1])
    numbers = graph.add("Range", 0, graph.add("Squeeze", count, [0]), 1)
    starts = graph.add("Mul", graph.add("Unsqueeze", numbers, [1]), [hop])
    places = graph.add("Add", starts, np.arange(size)[None])
    apart = graph.add("Gather", maps, places, axis=2)  # (batch, channel, segment, frame, band)
    apart = graph.add("Transpose", apart, perm=[0, 2, 1, 3, 4])
    bands = graph.size(maps, 3)
    together = graph.reshape(apart, -1, network.channels, size, bands)
    if isinstance(embedder, YAMNet):
        embedded = _yamnet(graph, embedder, together)
    elif isinstance(embedder, Basic):
        embedded = _basic(graph, embedder, together)
    else:
        turned = graph.add("Transpose", together, perm=[0, 1, 3, 2])
        if embedder not in made:
            example = torch.zeros(2, network.channels, _bands(embedder), size)
            name = f"{name}'s embedder"
            made[embedder] = _by_torch(_Embedding(embedder), example, name, longer=False)
        (embedded,) = graph.insert(made[embedder], {"maps": turned})
    width = network.standardization.mean.numel()
    sequence = graph.reshape(embedded, graph.size(maps, 0), -1, width)
    scale = 1 / network.standardization.scale.double().numpy()
    shift = -network.standardization.mean.double().numpy() * scale
    scaled = graph.add("Mul", sequence, scale.astype(np.float32))
    return graph.add("Add", scaled, shift.astype(np.float32))


def _bands(network: nn.Module) -> int:
    shape = getattr(network, "input_shape", None)
    return int(shape[0]) if shape else int(getattr(network, "smallest_input", 64))


class _Embedding(nn.Module):
    """The embedding of a network as its output."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        return self.network.embed(features)


class _Both(nn.Module):
    """The logits and the embedding of a network."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(features), self.network.embed(features).flatten(1)


def _by_torch(
    network: nn.Module,
    example: Tensor,
    name: str,
    *,
    embeddings: bool = False,
    longer: bool = True,
) -> Any:
    """Return a network as torch exports it, after a comparison with other sizes of its input."""
    if isinstance(network, Fcnn):
        network = fold(network)
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    module: nn.Module = _Both(network) if embeddings else network  # type: ignore[arg-type]
    module.eval()
    # of random numbers, with other sizes than the example: a size that is fixed in the graph fails
    generator = torch.Generator().manual_seed(0)
    sizes = [(3, *example.shape[1:])]
    if longer:
        shape = list(example.shape[1:])
        axis = -1 if example.ndim == 4 else 0
        shape[axis] = 2 * shape[axis] + 1
        sizes.append((1, *shape))
    trials = [torch.randn(size, generator=generator) for size in sizes]
    reasons = []
    for export in (_traced, _captured):
        try:
            model = export(module, example, longer=longer)
            _compare(model, module, trials)
        except Exception as error:  # torch and onnxruntime raise errors of any class
            reasons.append(" ".join(str(error).split())[:160] or type(error).__name__)
            continue
        return model
    raise BundleError(
        f"the network {name} cannot be exported ({reasons[0]})",
        expected="operators that ONNX has, for any number of clips and any length",
        fix="write its forward with such operators, or use the model in Python",
    )


def _traced(module: nn.Module, example: Tensor, *, longer: bool) -> Any:
    """Return a model by tracing: whatever depends on sizes must be an operator."""
    names = ["logits", "embedding"] if isinstance(module, _Both) else ["logits"]
    axes: dict[str, dict[int, str]] = {"maps": {0: "batch"}, **{one: {0: "batch"} for one in names}}
    if longer:
        axes["maps"][example.ndim - 1 if example.ndim == 4 else 1] = "frame"
    return _exported(
        module, example, dynamo=False, dynamic_axes=axes, output_names=names,
        do_constant_folding=True,
    )  # fmt: skip


def _captured(module: nn.Module, example: Tensor, *, longer: bool) -> Any:
    """Return a model of torch's graph capture, which knows sizes as symbols."""
    names = ["logits", "embedding"] if isinstance(module, _Both) else ["logits"]
    dynamic = {0: torch.export.Dim.DYNAMIC}
    if longer:
        dynamic[example.ndim - 1 if example.ndim == 4 else 1] = torch.export.Dim.DYNAMIC
    return _exported(
        module, example, dynamo=True, dynamic_shapes=(dynamic,), output_names=names,
        external_data=False,
    )  # fmt: skip


def _exported(module: nn.Module, example: Tensor, **settings: Any) -> Any:
    with extra("onnx"):
        import onnx
    content: Any = io.BytesIO()
    with _quietly(), torch.no_grad():
        torch.onnx.export(
            module, (example,), content, input_names=["maps"], opset_version=OPSET, **settings
        )
    model = onnx.load_from_string(content.getvalue())
    own = {one.domain: one.version for one in model.opset_import}
    if own.get("", OPSET) != OPSET or any(node.domain for node in model.graph.node):
        raise ValueError(f"it needs the operators {own}")
    return model


@contextmanager
def _quietly() -> Iterator[None]:
    """Neither print nor warn: torch does both while it exports."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _compare(model: Any, module: Callable[[Tensor], Any], trials: Sequence[Tensor]) -> None:
    """Raise ValueError if a model and its module differ."""
    session = load_session(model.SerializeToString(), threads=1)
    for trial in trials:
        with torch.inference_mode():
            expected = module(trial)
        each = expected if isinstance(expected, tuple) else (expected,)
        for found, wanted in zip(session.run(None, {"maps": trial.numpy()}), each, strict=True):
            reference = wanted.float().numpy()
            if found.shape != reference.shape:
                raise ValueError(f"its output is {found.shape} for {tuple(trial.shape)}")
            largest = float(np.abs(found - reference).max())
            if not largest <= LARGEST_DIFFERENCE * max(1.0, float(np.abs(reference).max())):
                raise ValueError(f"its output differs by {largest:.2g}")
