"""The fully convolutional network of Hu 2020, which Peters 2022 fine-tunes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from anymic.errors import ConfigError
from anymic.models.network import Network, Segment, initialize, numbered
from anymic.models.registry import register_network

EPSILON = 1e-3  # of batch normalization in Keras, with which the papers worked
RATIO = 2  # classes to hidden units of the attention


@dataclass(frozen=True)
class Convolution:
    """One convolution without bias, its normalization, ReLU, pooling and dropout.

    `padding` is the number of rows of zeros above and below the input, and of columns before and
    after it (low bands, high bands, start, end); by default half the kernel on each side.
    """

    width: int  # number of output channels
    kernel: int = 3
    stride: int = 1
    pool: int = 1  # size of the max-pooling after it; 1 is none
    dropout: float = 0.0  # share of values that training sets to 0 after it
    affine: bool = True  # whether its normalization has a scale and a shift
    padding: Sequence[int] | None = None

    @property
    def zeros(self) -> tuple[int, int, int, int]:
        """The padding of the four sides."""
        low, high, start, end = self.padding or (self.kernel // 2,) * 4
        return low, high, start, end


def table(channels: int, *, width: float = 1.0) -> tuple[Convolution, ...]:
    """Return the eight convolutions of Hu 2020 in front of the one to the classes.

    Their widths are 48, 96 and 192 times the number of channels of the input, times `width`.
    """
    first, second, third = (max(1, round(width * each * channels)) for each in (48, 96, 192))
    return (
        Convolution(first, kernel=5, stride=2),
        Convolution(first, pool=2),
        Convolution(second),
        Convolution(second, pool=2),
        Convolution(third, dropout=0.3),
        Convolution(third, dropout=0.3),
        Convolution(third, dropout=0.3),
        Convolution(third, pool=2),
    )


class ClassAttention(nn.Module):
    """Weight each class's map by the content of all maps (channel attention: Woo 2018, CBAM).

    A perceptron of two layers is applied to the means and to the maxima of the maps. The maps are
    multiplied by the sigmoid of the sum of its two outputs. `hidden` is the width of its first
    layer.
    """

    def __init__(self, classes: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(classes, hidden)
        self.second = nn.Linear(hidden, classes)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the weighted maps (batch, class, band, frame)."""
        pooled = torch.stack([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))])
        weight = self.second(self.first(pooled).relu()).sum(dim=0).sigmoid()
        weighted: Tensor = maps * weight[:, :, None, None]
        return weighted


class Fcnn(Network):
    """Convolutions, a 1x1 convolution to one map a class, attention over the maps, their means.

    The number of bands and frames is free from `smallest_input` on, so the network may be trained
    on crops and classify whole clips. Its ten segments (with the paper's table) are the nine
    convolutions, each with its normalization (the first with that of the input too), and the
    attention.

    Parameters
    ----------
    convolutions : sequence of Convolution
        Those in front of the 1x1 convolution.
    classes, channels : int
        Labels, and channels of the input.
    hidden : int, optional
        Units of the attention's perceptron; by default half the classes.
    affine_input, affine_classes : bool
        Whether the normalization of the input, and the two of the class maps, have a scale and a
        shift.
    epsilon : float
        What every normalization adds to the variance.
    """

    def __init__(
        self,
        convolutions: Sequence[Convolution],
        *,
        classes: int,
        channels: int,
        hidden: int | None = None,
        affine_input: bool = True,
        affine_classes: bool = False,
        epsilon: float = EPSILON,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.embedding_size = convolutions[-1].width
        inputs = (channels, *(each.width for each in convolutions))
        parts = [
            _layers(size, each, epsilon) for size, each in zip(inputs, convolutions, strict=False)
        ]
        parts[0].insert(0, nn.BatchNorm2d(channels, eps=epsilon, affine=affine_input))
        to_classes = Convolution(classes, kernel=1, affine=affine_classes)
        parts.append(_layers(inputs[-1], to_classes, epsilon))
        parts[-1].append(nn.BatchNorm2d(classes, eps=epsilon, affine=affine_classes))
        self.convolutions = nn.ModuleList(nn.Sequential(*layers) for layers in parts)
        self.attention = ClassAttention(classes, hidden or max(1, classes // RATIO))
        self.smallest_input = 1
        for each in reversed(convolutions):
            low, high, start, end = each.zeros
            needed = (self.smallest_input * each.pool - 1) * each.stride + each.kernel
            self.smallest_input = max(1, needed - min(low + high, start + end))
        initialize(self, nn.init.kaiming_normal_)
        # At first, the attention gives all classes the same weight. With random weights its sigmoid
        # saturates from the start, on the maxima of the maps: some classes have a weight near 0
        # and, on a few hundred clips, are never learned.
        nn.init.zeros_(self.attention.second.weight)

    def segments(self) -> tuple[Segment, ...]:
        """Return the convolutions, each with its normalization, and the attention."""
        parts = numbered("convolution", self.convolutions)
        return (*parts, Segment("attention", (self.attention,)))

    def maps(self, features: Tensor) -> Tensor:
        """Return the last maps in front of the 1x1 convolution (batch, width, band, frame)."""
        self.require_size(features)
        # Training passes features channels last. The normalization of the input takes half as
        # long over contiguous channels; the convolution converts them.
        features = features.contiguous()
        for part in self.convolutions[:-1]:
            features = part(features)
        return features

    def embed(self, features: Tensor) -> Tensor:
        """Return the mean of the last maps in front of the classes: (batch, width)."""
        return self.maps(features).mean(dim=(2, 3), dtype=torch.float32)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits: (batch, channel, band, frame) to (batch, class)."""
        classes = self.convolutions[-1](self.maps(features)).float()
        logits: Tensor = self.attention(classes).mean(dim=(2, 3))
        return logits


def _layers(inputs: int, each: Convolution, epsilon: float) -> list[nn.Module]:
    low, high, start, end = each.zeros
    symmetric = low == high and start == end
    padding = (low, start) if symmetric else (0, 0)
    layers: list[nn.Module] = [] if symmetric else [nn.ZeroPad2d((start, end, low, high))]
    layers += [
        nn.Conv2d(inputs, each.width, each.kernel, each.stride, padding, bias=False),
        nn.BatchNorm2d(each.width, eps=epsilon, affine=each.affine),
        nn.ReLU(inplace=True),
    ]
    if each.pool > 1:
        layers.append(nn.MaxPool2d(each.pool))
    if each.dropout:
        layers.append(nn.Dropout(each.dropout))
    return layers


@register_network("fcnn", embeds=True)
def fcnn(
    *,
    classes: int,
    channels: int = 1,
    width: float = 1.0,
    convolutions: Sequence[Mapping[str, Any]] | None = None,
    **arguments: Any,
) -> Fcnn:
    """Build `10class-fcnn` of Hu 2020, or a member of its family.

    11,786,711 parameters for ten classes and three channels: the weights, the biases of the
    attention, and batch normalization's numbers of each channel, its running mean and variance
    among them (11,780,329 without these two), as Keras counts.

    Parameters
    ----------
    classes, channels : int
    width : float
        Factor on the widths, for small machines.
    convolutions : sequence of mapping, optional
        The fields of each `Convolution`, in place of the paper's table.
    **arguments
        As for `Fcnn`.
    """
    if convolutions is None:
        layers = table(channels, width=width)
    else:
        layers = tuple(Convolution(**each) for each in convolutions)
    if not layers:
        raise ConfigError("the network has no convolution", expected="at least one")
    return Fcnn(layers, classes=classes, channels=channels, **arguments)
