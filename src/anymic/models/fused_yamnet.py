"""YAMNet for prediction only: normalizations folded, run by onnxruntime or else by oneDNN.

Nine tenths of the time are the multiplications of the 1x1 convolutions. onnxruntime does them at
94 % of the processor's peak, and needs half of oneDNN's time for the other layers, so it is used
where the extra `onnx` is installed (`benchmarks/pretrained.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from anymic._internal.onnx_chain import Convolution, open_chain
from anymic.models.yamnet import BANDS, FRAMES, Normalization, YAMNet, reversed_patches

PIECE = 16  # patches that pass the network together: their maps have up to 6 MB


class _Layer(NamedTuple):
    """A convolution and its ReLU; `weight` is in oneDNN's own layout where there is oneDNN."""

    weight: Tensor
    bias: Tensor
    stride: list[int]
    padding: list[int]
    groups: int


class FusedYAMNet(nn.Module):
    """The embedding and logits of a `YAMNet`, in float32.

    a (w * x) + b = (a w) * x + b folds each normalization into the convolution before it: exact
    but for rounding, 1e-5 of the embedding. In bfloat16 the embedding of recordings would differ by
    1 %, scores by up to 0.09, and every twentieth label with the highest score would be another.

    Parameters
    ----------
    network : YAMNet
        A trained network on a CPU; it is not changed.
    """

    def __init__(self, network: YAMNet) -> None:
        super().__init__()
        self.channels, self.smallest_input = network.channels, network.smallest_input
        self.embedding_size = network.embedding_size
        self.require_size = network.require_size
        self.classifier = network.classifier
        folded, self.limited = folded_layers(network)
        chain = [_upright(one) for one in folded]
        self._chain = open_chain(chain, piece=PIECE, largest=6.0 if self.limited else None)
        self._layers: list[_Layer] = []
        shape = [PIECE, network.channels, FRAMES, BANDS]
        for convolution in folded if self._chain is None else ():
            shape = self._add(convolution, shape)

    def embed(self, features: Tensor) -> Tensor:
        """Return the embedding of patches: (batch, channel, 64, 96) to (batch, embedding)."""
        self.require_size(features)
        features = features.detach().float()
        if self._chain is not None:
            return torch.from_numpy(self._chain(features.numpy()))
        with torch.autocast(features.device.type, enabled=False):
            return torch.cat([self._pool(piece) for piece in torch.split(features, PIECE)])

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (batch, class), float32."""
        with torch.autocast(features.device.type, enabled=False):
            logits: Tensor = self.classifier(self.embed(features))
        return logits

    def _add(self, convolution: nn.Conv2d, shape: list[int]) -> list[int]:
        """Add a convolution for maps of a shape; return the shape of its output."""
        stride, padding = list(convolution.stride), [convolution.kernel_size[0] // 2] * 2
        weight = convolution.weight.to(memory_format=torch.channels_last)
        if _ONEDNN is not None:
            settings = (padding, stride, [1, 1], convolution.groups, shape)
            weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *settings)
        assert convolution.bias is not None
        self._layers.append(_Layer(weight, convolution.bias, stride, padding, convolution.groups))
        return [shape[0], convolution.out_channels, *(size // stride[0] for size in shape[2:])]

    def _pool(self, features: Tensor) -> Tensor:
        maps = reversed_patches(features)
        for layer in self._layers:
            maps = self._convolve(maps, layer)
        return maps.mean(dim=(2, 3))

    def _convolve(self, maps: Tensor, layer: _Layer) -> Tensor:
        weight, bias, stride, padding, groups = layer
        if _ONEDNN is None:
            maps = torch.conv2d(maps, weight, bias, stride, padding, groups=groups)
            return maps.clamp_(0, 6) if self.limited else maps.relu_()
        after, limits = ("hardtanh", [0.0, 6.0]) if self.limited else ("relu", [])
        return _ONEDNN(maps, weight, bias, padding, stride, [1, 1], groups, after, limits, "")


def folded_chain(network: YAMNet) -> tuple[list[Convolution], bool]:
    """Return the convolutions for patches (band, frame), and whether ReLU is limited to 6."""
    folded, limited = folded_layers(network)
    return [_upright(one) for one in folded], limited


def folded_layers(network: YAMNet) -> tuple[list[nn.Conv2d], bool]:
    """Return the convolutions with their normalizations, and whether ReLU is limited to 6."""
    limited = isinstance(network.layers[0][2], nn.ReLU6)  # type: ignore[index]
    return [one for layer in network.layers for one in _folded(layer)], limited


def _folded(layer: nn.Module) -> list[nn.Conv2d]:
    """Return the convolutions of a layer, each with the normalization after it folded into it."""
    children, folded = list(layer.children()), []
    for convolution, normalization in zip(children[0::3], children[1::3], strict=True):
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(normalization, Normalization)
        folded.append(fuse_conv_bn_eval(convolution, normalization).requires_grad_(False))
    return folded


def _upright(convolution: nn.Conv2d) -> Convolution:
    """Return a convolution for patches as they are: not reversed, (band, frame)."""
    stride, after = convolution.stride[0], convolution.kernel_size[0] // 2
    weight = convolution.weight.flip(2, 3).transpose(2, 3).contiguous()
    assert convolution.bias is not None
    return Convolution(
        weight.numpy(),
        convolution.bias.numpy(),
        stride,
        (after if stride == 1 else 0, after),
        convolution.groups,
    )


def _find_onednn() -> Callable[..., Tensor] | None:
    """Return oneDNN's convolution with ReLU, as torch.compile uses it; None where it is missing."""
    names = ("_convolution_pointwise", "_reorder_convolution_weight")
    there = torch.backends.mkldnn.is_available() and all(  # type: ignore[no-untyped-call]
        hasattr(torch.ops.mkldnn, name) for name in names
    )
    return torch.ops.mkldnn._convolution_pointwise if there else None


_ONEDNN = _find_onednn()
