"""A YAMNet in two parts: the lower layers stay as they are, the upper ones are fine-tuned.

What the lower layers calculate is the same in every epoch, so that it is calculated once.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from anymic.models.network import Network, Segment, mean_of_maps, numbered
from anymic.models.yamnet import BANDS, FRAMES, STRIDES, YAMNet, reversed_patches


class Below(Network):
    """The first layers of a YAMNet, in inference mode: their maps as one vector for each patch.

    The order of the vector is frame, band, channel: so the upper layers need no copy of it.
    """

    def __init__(self, network: YAMNet, layers: int) -> None:
        super().__init__()
        self.layers = cast(nn.Sequential, network.layers[:layers]).eval()
        self.channels, self.smallest_input = network.channels, network.smallest_input
        self.shape = _shape(network, layers)
        self.embedding_size = self.shape[0] * self.shape[1] * self.shape[2]

    def embed(self, features: Tensor) -> Tensor:
        """Return the maps of patches: (batch, channel, band, frame) to (batch, value)."""
        maps: Tensor = self.layers(reversed_patches(features))
        return maps.permute(0, 2, 3, 1).flatten(1)

    def segments(self) -> tuple[Segment, ...]:
        """Return the layers."""
        return tuple(numbered("layer", self.layers))


class Above(Network):
    """The other layers of a YAMNet and its classifier; they are the modules of the network itself.

    It takes the vectors of `Below` (batch, value), also laid out as (batch, 1, value, 1).
    """

    channels, smallest_input = 1, 1

    def __init__(self, network: YAMNet, layers: int) -> None:
        super().__init__()
        self.layers, self.classifier = (
            cast(nn.Sequential, network.layers[layers:]),
            network.classifier,
        )
        self.shape = _shape(network, layers)

    def embed(self, features: Tensor) -> Tensor:
        """Return the embedding (batch, feature)."""
        maps = features.reshape(len(features), *self.shape).permute(0, 3, 1, 2)
        return mean_of_maps(self.layers(maps))

    def segments(self) -> tuple[Segment, ...]:
        """Return the layers, and the classifier if there is one."""
        last = [] if isinstance(self.classifier, nn.Identity) else [self.classifier]
        return (*numbered("layer", self.layers), *(Segment("classifier", (one,)) for one in last))


def cut(network: YAMNet, layers: int) -> tuple[Below, Above]:
    """Return the first layers of a YAMNet, the convolution counted, and what is above them."""
    return Below(network, layers), Above(network, layers)


def _shape(network: YAMNet, layers: int) -> tuple[int, int, int]:
    """Return the frames, bands and channels of the maps behind so many layers, 1 or more."""
    frames, bands = FRAMES, BANDS
    for stride in (2, *STRIDES)[:layers]:
        frames, bands = -(-frames // stride), -(-bands // stride)
    *_, last = (one for one in network.layers[:layers].modules() if isinstance(one, nn.Conv2d))
    return frames, bands, last.out_channels
