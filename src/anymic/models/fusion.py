"""Networks with their batch normalization folded into other layers: for prediction only."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from anymic._internal.process_state import default_torch
from anymic.models.basic import Basic
from anymic.models.fcnn import Fcnn
from anymic.models.fused_yamnet import FusedYAMNet
from anymic.models.network import Network
from anymic.models.tagger import Tagger
from anymic.models.yamnet import YAMNet

Maps = Callable[[Tensor], Tensor]

PIECE_BYTES = 8 * 2**20  # of the largest maps: about a core's share of the cache


class FusedBasic(nn.Module):
    """A `Basic` network whose normalizations are folded into the layers after them: exact.

    A block is convolution, ReLU, batch normalization; a trained normalization is r -> a r + b with
    constants a, b of each channel. The next convolution has no padding, so
    w * (a r + b) + c = (w a) * r + (c + sum of w b); after the last block, the mean over band and
    frame commutes with a r + b. Convolution and ReLU remain, which oneDNN computes in one pass over
    memory. Maps lie in memory frame by frame, as the front-end computes them, and clips are
    computed in pieces of about the size of the cache.

    In bfloat16, whose products are summed in float32, nearly all of the rounding error of the
    probabilities comes from the few weights of the first convolution: up to 0.05 in 24 trained
    networks. These are therefore split into two parts, w = w1 + w2, with the features as two
    channels, one for each part. That leaves an error of 0.01; splitting the features as well does
    not change it. Matrix units need many channels, so on a CPU two neighbouring bands go through
    the first layer as one place with twice the channels. Parameters as for `fuse`.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        network: Basic,
        *,
        dtype: torch.dtype = torch.float32,
        mean: Tensor | None = None,
        scale: Tensor | None = None,
        paired: bool = True,
    ) -> None:
        super().__init__()
        self.dtype, self.paired = dtype, paired
        self.smallest_input = network.smallest_input
        self.strides: list[tuple[int, ...]] = []
        factor, shift = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        for number, block in enumerate(network.blocks):
            convolution, _, normalization = block.children()
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(normalization, nn.BatchNorm2d)
            weight, bias = _fold(convolution, factor, shift)
            weight = weight.transpose(2, 3)  # (..., frame, band)
            if number == 0:
                weight = self._enter(weight, bias)
            weight = weight.to(dtype, memory_format=torch.channels_last)
            self.register_buffer(f"weight_{number}", weight)
            self.register_buffer(f"bias_{number}", bias.float())
            self.strides.append(convolution.stride[::-1])
            factor, shift = _affine(normalization)
        self.register_buffer("scale", factor.float())
        self.register_buffer("shift", shift.float())
        self.standardizes = mean is not None and scale is not None
        if mean is not None and scale is not None:
            inverse = 1 / scale.detach().double()
            self.register_buffer("band_factor", inverse.float())
            self.register_buffer("band_shift", (-mean.detach().double() * inverse).float())
        self.classifier = copy.deepcopy(network.classifier)
        self.eval().requires_grad_(False)

    def embed(self, features: Tensor) -> Tensor:
        """Return the pooled features: (batch, 1, band, frame) to (batch, channel), float32."""
        by_frame = features[:, 0].transpose(1, 2)
        clips = len(by_frame)
        if by_frame.device.type == "cpu":
            maps = len(self.get_buffer("bias_0")) * self.dtype.itemsize
            clips = max(1, PIECE_BYTES // (maps * by_frame[0].numel()))
        pooled = [self._pool(piece) for piece in torch.split(by_frame, clips)]
        return torch.cat(pooled) * self.scale + self.shift

    def forward(self, features: Tensor) -> Tensor:
        """Return logits: (batch, 1, band, frame) to (batch, classes), float32."""
        logits: Tensor = self.classifier(self.embed(features))
        return logits

    def _enter(self, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the first layer's weight for the input of `_first`; store the paired one."""
        if self.dtype == torch.float32:
            return weight
        high = weight.to(self.dtype)
        weight = torch.cat([high, (weight - high).to(self.dtype)], dim=1)
        if self.paired:
            pair = _for_pairs(weight).to(self.dtype, memory_format=torch.channels_last)
            self.register_buffer("weight_pair", pair)
            self.register_buffer("bias_pair", bias.float().repeat(2))
        return weight

    def _pool(self, by_frame: Tensor) -> Tensor:
        """Return the mean of the last maps for features (batch, frame, band)."""
        if self.standardizes:
            shift, factor = self.get_buffer("band_shift"), self.get_buffer("band_factor")
            by_frame = torch.addcmul(shift, by_frame, factor)
        maps = self._first(by_frame)
        for number, stride in enumerate(self.strides[1:], start=1):
            maps = _convolve_relu(maps, *self._layer(str(number)), stride)
        if self.dtype != torch.float32 and maps.device.type == "cpu":
            # Four times as fast as a mean in float32. Only the mean of each frame is rounded.
            frames = nn.functional.adaptive_avg_pool2d(maps, (maps.shape[2], 1))
            return frames.float().mean(dim=(2, 3))
        return maps.mean(dim=(2, 3), dtype=torch.float32)

    def _first(self, by_frame: Tensor) -> Tensor:
        """Return the maps after the first layer: (batch, channel, frame, band)."""
        stride = self.strides[0]
        if self.dtype == torch.float32:
            maps = by_frame.contiguous().unsqueeze(-1).permute(0, 3, 1, 2)  # channels-last
            return _convolve_relu(maps, *self._layer("0"), stride)
        rounded = by_frame.to(self.dtype, memory_format=torch.contiguous_format)
        clips, frames, bands = rounded.shape
        if not self.paired or bands % 2 or tuple(stride) != (1, 1):
            maps = torch.stack([rounded, rounded], dim=-1).permute(0, 3, 1, 2)
            return _convolve_relu(maps, *self._layer("0"), stride)
        # Two bands are four bytes: copied as integers, which is faster.
        pairs = rounded.view(torch.int32)
        pairs = torch.stack([pairs, pairs], dim=-1).view(self.dtype).permute(0, 3, 1, 2)
        maps = _convolve_relu(pairs, *self._layer("pair"), stride).permute(0, 2, 3, 1)
        return maps.reshape(clips, frames - 2, bands - 2, -1).permute(0, 3, 1, 2)

    def _layer(self, name: str) -> tuple[Tensor, Tensor]:
        return self.get_buffer(f"weight_{name}"), self.get_buffer(f"bias_{name}")


def can_fuse(network: nn.Module) -> bool:
    """Return whether `fuse` makes a `FusedBasic` of a network: a `Basic` with one channel."""
    return isinstance(network, Basic) and network.channels == 1


@default_torch()
def fuse(
    network: nn.Module,
    *,
    dtype: torch.dtype = torch.float32,
    mean: Tensor | None = None,
    scale: Tensor | None = None,
    paired: bool = True,
    maps: Maps | None = None,
) -> nn.Module:
    """Return a faster network with the same logits, for prediction only.

    An `Fcnn` gets its normalizations folded (`fold`). It is called as before: under autocast where
    it should compute in bfloat16. A `YAMNet` on a CPU, also as the embedder of a `Tagger`, becomes
    a `FusedYAMNet`. Other networks stay as they are.

    Parameters
    ----------
    network : nn.Module
        A trained network; it is not changed.
    dtype : torch.dtype
        Of the convolutions of a `FusedBasic`, float32 or bfloat16; the rest of it is float32.
    mean, scale : Tensor (band,), optional
        The standardization, where it is not part of the features of a `FusedBasic`.
    paired : bool
        Whether two bands go through its first layer as one, where their number is even.
    maps : callable, optional
        What makes the network's input (batch, channel, band, frame) of log-mel features (batch,
        band, frame): its front-end's standardization and deltas. A `FusedBasic` with a
        standardization of its own does not need it.
    """
    if can_fuse(network):
        basic = cast("Basic", network)
        fused = FusedBasic(basic, dtype=dtype, mean=mean, scale=scale, paired=paired)
        return fused if fused.standardizes or maps is None else Entered(fused, maps)
    if isinstance(network, Fcnn):
        network = fold(network)
    elif all(one.device.type == "cpu" for one in network.parameters()):
        network = _with_fused_yamnet(network)
    return network if maps is None else Entered(network, maps)


def fold(network: Fcnn) -> Fcnn:
    """Return a copy whose normalizations after convolutions are part of these: exact.

    a (w * x) + b = (a w) * x + b. The normalization of the input stays, because the first
    convolution pads its output with zeros; so do those after ReLU. Maps are in the memory format
    channels last, which on a CPU saves a third to a half of the time.
    """
    folded = copy.deepcopy(network).eval().requires_grad_(False)
    for part in folded.convolutions:
        layers: list[nn.Module] = list(part.children())
        for place, (layer, after) in enumerate(pairwise(layers)):
            if isinstance(layer, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                part[place] = fuse_conv_bn_eval(layer, after)  # type: ignore[operator]
                part[place + 1] = nn.Identity()  # type: ignore[operator]
    folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return folded


def _with_fused_yamnet(network: nn.Module) -> nn.Module:
    if isinstance(network, YAMNet):
        return FusedYAMNet(network)
    if not (isinstance(network, Tagger) and isinstance(network.embedder, YAMNet)):
        return network
    tagger = Tagger(
        cast("Network", FusedYAMNet(network.embedder)),
        network.head,
        segment_frames=network.segment_frames,
        segment_hop_frames=network.segment_hop_frames,
        inputs=network.embedder.embedding_size,
    )
    tagger.standardization = network.standardization
    return tagger.eval()


class Entered(nn.Module):
    """A network and the function that makes its input of log-mel features."""

    def __init__(self, network: nn.Module, maps: Maps) -> None:
        super().__init__()
        self.network, self.maps = network, maps

    def forward(self, features: Tensor) -> Tensor:
        """Return logits: log-mel features (batch, 1, band, frame) to (batch, classes)."""
        logits: Tensor = self.network(self.maps(features[:, 0]))
        return logits


def _affine(normalization: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return a, b (channel,), float64, of the trained normalization r -> a r + b."""
    assert normalization.running_mean is not None
    assert normalization.running_var is not None
    deviation = (normalization.running_var.detach().double() + normalization.eps).sqrt()
    scale = normalization.weight.detach().double() / deviation
    mean = normalization.running_mean.detach().double()
    return scale, normalization.bias.detach().double() - mean * scale


def _fold(convolution: nn.Conv2d, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weight and bias that give for r what the convolution gives for scale r + shift."""
    weight = convolution.weight.detach().double()
    scale, shift = scale.to(weight.device), shift.to(weight.device)
    bias = weight.new_zeros(len(weight))
    if convolution.bias is not None:
        bias = convolution.bias.detach().double()
    bias = bias + (weight * shift[:, None, None]).sum(dim=(1, 2, 3))
    return weight * scale[:, None, None], bias


def _for_pairs(weight: Tensor) -> Tensor:
    """Return the weight (2 channel, 2 part, frame, 2) for pairs of neighbouring bands.

    From a weight (channel, part, frame, band): the inputs are, for each part, an even band and the
    odd one above it; the outputs the channels of the even band, then those of the odd one.
    """
    outputs, parts, frames, taps = weight.shape
    paired = weight.new_zeros(2, outputs, parts, 2, frames, 2)
    for place in range(2):
        for tap in range(taps):
            block, band = divmod(place + tap, 2)
            paired[place, :, :, band, :, block] = weight[:, :, :, tap]
    return paired.reshape(2 * outputs, 2 * parts, frames, 2)


def _convolve_relu(maps: Tensor, weight: Tensor, bias: Tensor, stride: Sequence[int]) -> Tensor:
    # As torch.compile: ReLU while the result is in a register. It is not a public function, so it
    # may be missing.
    fused = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
    if maps.device.type == "cpu" and fused is not None and _fuses(maps.dtype):
        result: Tensor = fused(maps, weight, bias, [0, 0], stride, [1, 1], 1, "relu", [], "")
        return result
    return torch.conv2d(maps, weight, None, tuple(stride)).add_(bias[:, None, None]).relu_()


@functools.cache
def _fuses(dtype: torch.dtype) -> bool:
    """Return whether this processor has the instructions for it; bfloat16 needs some."""
    one = torch.ones(1, 1, 1, 1, dtype=dtype)
    settings: tuple[object, ...] = ([0, 0], [1, 1], [1, 1], 1, "relu", [], "")
    try:
        torch.ops.mkldnn._convolution_pointwise(one, one, one[0, 0, 0], *settings)
    except RuntimeError:
        return False
    return True
