"""The small convolutional networks of Kosmider 2019, tables 1 and 2."""

from __future__ import annotations

from torch import Tensor, nn

from anymic.models.network import Network, Segment, initialize, mean_of_maps, numbered, scaled
from anymic.models.registry import register_network

KERNEL = 3


class ConvolutionBlock(nn.Sequential):
    """3x3 convolution without padding, ReLU, then batch normalization."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        # Epsilon as in Keras, with which the papers worked.
        super().__init__(
            nn.Conv2d(inputs, outputs, KERNEL, stride),
            nn.ReLU(),
            nn.BatchNorm2d(outputs, eps=1e-3),
        )


class Basic(Network):
    """Convolution blocks, the mean over band and frame, and one linear layer.

    Parameters
    ----------
    widths, strides : tuple of int
        Channels and stride of each block.
    classes, channels : int
        Number of labels, and of channels of the features.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        strides: tuple[int, ...],
        *,
        classes: int,
        channels: int = 1,
    ) -> None:
        super().__init__()
        self.channels, self.embedding_size = channels, widths[-1]
        inputs = (channels, *widths[:-1])
        self.blocks = nn.Sequential(
            *(ConvolutionBlock(*sizes) for sizes in zip(inputs, widths, strides, strict=True))
        )
        self.classifier = nn.Linear(widths[-1], classes)
        self.smallest_input = 1
        for stride in reversed(strides):
            self.smallest_input = (self.smallest_input - 1) * stride + KERNEL
        initialize(self, nn.init.xavier_uniform_)

    def segments(self) -> tuple[Segment, ...]:
        """Return the blocks, each with its normalization, and the classifier."""
        return (*numbered("block", self.blocks), Segment("classifier", (self.classifier,)))

    def embed(self, features: Tensor) -> Tensor:
        """Return the pooled features: (batch, channel, band, frame) to (batch, widths[-1]).

        Raises
        ------
        ConfigError
            If there are too few bands or frames for the unpadded convolutions.
        """
        self.require_size(features)
        return mean_of_maps(self.blocks(features))


@register_network("basic1", embeds=True)
def basic1(*, classes: int, channels: int = 1, width: float = 1.0) -> Basic:
    """Build Kosmider 2019, table 1: five blocks of 16 to 64 channels.

    70,954 parameters for ten classes, counting the four statistics a channel of batch
    normalization as Nguyen 2020 does; 256 x 862 features give maps of 59 x 211 x 64.
    `width` is a factor on the channels.
    """
    widths = tuple(scaled(each, width) for each in (16, 32, 32, 64, 64))
    return Basic(widths, (1, 2, 1, 2, 1), classes=classes, channels=channels)


@register_network("basic2", embeds=True)
def basic2(*, classes: int, channels: int = 1, width: float = 1.0) -> Basic:
    """Build Kosmider 2019, table 2: `basic1` and two more blocks of 128 channels."""
    widths = tuple(scaled(each, width) for each in (16, 32, 32, 64, 64, 128, 128))
    return Basic(widths, (1, 2, 1, 2, 1, 2, 1), classes=classes, channels=channels)
