"""The small networks without their batch normalization: for prediction only, and exact."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anymic.models.basic import Basic


class FusedBasic(nn.Module):
    """A `Basic` network whose batch normalizations have moved into the layers behind them.

    A block is convolution, ReLU, batch normalization; the last is r -> a r + b for each channel
    with constants a, b once training is over. The next convolution has no padding, so
    w * (a r + b) + c = (w a) * r + (c + sum of w b), exactly; behind the last block, the mean over
    band and frame commutes with a r + b. What is left is convolution and ReLU, which oneDNN does
    in one pass over memory.

    In bfloat16, whose products are summed in float32, nearly all of the rounding error that
    reaches the probabilities comes from the few weights of the first convolution (measured on
    trained networks: up to 0.02). So it gets features and weights in two parts each, x = x1 + x2
    and w = w1 + w2, as three input channels: w x = w1 x1 + w1 x2 + w2 x1, nearly exact. That
    leaves less than 0.007, and costs nothing: matrix units want several channels anyway.

    Parameters
    ----------
    network : Basic
        A trained network; it is not changed.
    dtype : torch.dtype
        What convolutions compute in, float32 or bfloat16; pooling and classifier are float32.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: Basic, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.dtype = dtype
        self.smallest_input = network.smallest_input
        self.strides: list[tuple[int, ...]] = []
        scale, shift = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        for number, block in enumerate(network.blocks):
            convolution, _, normalization = _parts(block)
            weight, bias = _fold(convolution, scale, shift)
            if number == 0 and dtype != torch.float32:
                high, low = _in_two(weight, dtype)
                weight = torch.cat([high, high, low], dim=1)
            weight = weight.to(dtype, memory_format=torch.channels_last)
            self.register_buffer(f"weight_{number}", weight)
            self.register_buffer(f"bias_{number}", bias.float())
            self.strides.append(convolution.stride)
            scale, shift = _affine(normalization)
        self.register_buffer("scale", scale.float())
        self.register_buffer("shift", shift.float())
        self.classifier = nn.Linear(
            network.classifier.in_features, network.classifier.out_features
        ).to(scale.device)
        self.classifier.load_state_dict(network.classifier.state_dict())
        self.eval().requires_grad_(False)

    def embed(self, features: Tensor) -> Tensor:
        """Return the pooled features: (batch, 1, band, frame) to (batch, channel), float32."""
        if self.dtype != torch.float32:
            high, low = _in_two(features, self.dtype)
            # Stacked behind the frames, and then called the second axis: channels-last at once.
            parts = torch.stack([high[:, 0], low[:, 0], high[:, 0]], dim=-1)
            features = parts.permute(0, 3, 1, 2)
        maps = features.contiguous(memory_format=torch.channels_last)
        for number, stride in enumerate(self.strides):
            weight, bias = self.get_buffer(f"weight_{number}"), self.get_buffer(f"bias_{number}")
            maps = _convolve_relu(maps, weight, bias, stride)
        return maps.mean(dim=(2, 3), dtype=torch.float32) * self.scale + self.shift

    def forward(self, features: Tensor) -> Tensor:
        """Return logits: (batch, 1, band, frame) to (batch, classes), float32."""
        logits: Tensor = self.classifier(self.embed(features))
        return logits


def fuse(network: nn.Module, *, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a faster network with the same logits, for prediction only.

    Parameters
    ----------
    network : nn.Module
        A trained network; it is not changed. One that is no `Basic` is returned as it is.
    dtype : torch.dtype
        What the convolutions compute in.
    """
    return FusedBasic(network, dtype=dtype) if isinstance(network, Basic) else network


def _parts(block: nn.Module) -> tuple[nn.Conv2d, nn.Module, nn.BatchNorm2d]:
    convolution, rectifier, normalization = block.children()
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(normalization, nn.BatchNorm2d)
    return convolution, rectifier, normalization


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


def _in_two(values: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return two parts in a coarser format whose sum is nearly the values."""
    high = values.to(dtype)
    return high, (values - high).to(dtype)


def _convolve_relu(maps: Tensor, weight: Tensor, bias: Tensor, stride: Sequence[int]) -> Tensor:
    if maps.device.type == "cpu":
        # What torch.compile calls: ReLU while the result is still in a register. Not a public
        # function, so its absence is no error.
        fused = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
        if fused is not None:
            result: Tensor = fused(maps, weight, bias, [0, 0], stride, [1, 1], 1, "relu", [], "")
            return result
    return torch.conv2d(maps, weight, None, tuple(stride)).add_(bias[:, None, None]).relu_()
