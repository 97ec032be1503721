"""YAMNet: a convolutional network with an embedding of 1024 numbers for 0.96 s of sound."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anymic.errors import ConfigError
from anymic.models.network import (
    PatchNetwork,
    Segment,
    initialize,
    mean_of_maps,
    numbered,
    scaled,
)
from anymic.models.registry import register_network

BANDS, FRAMES, HOP_FRAMES = 64, 96, 48  # of a patch: 0.96 s every 0.48 s, at a hop of 10 ms
FIRST = 32  # channels of the first convolution
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)  # of each separable convolution
WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
EMBEDDING = WIDTHS[-1]
EPSILON = 1e-4


@register_network(
    "yamnet", embeds=True, patch=(BANDS, FRAMES), patch_hop=HOP_FRAMES, without_labels=True
)
class YAMNet(PatchNetwork):
    """A convolution, thirteen separable convolutions, the mean of the maps, and a linear layer.

    The network of the TensorFlow Models project (M. Plakal and D. Ellis, 2019) that was trained on
    AudioSet: MobileNet v1 (A. Howard et al., 2017) on patches of 96 frames and 64 mel bands, with
    3x3 convolutions, normalization without a scale, and ReLU.

    TensorFlow's padding "same" puts the zeros of a stride of 2 behind the maps only. Here features
    and kernels are reversed in time and in frequency, so that PyTorch's padding of 1 on both sides,
    of which it then uses only the first, gives the same.

    Parameters
    ----------
    classes : int
        Number of labels; a network for 0 labels ends at the embedding (batch, embedding). The
        published one has a sigmoid for each of its 521 labels after the logits.
    channels : int
        Of the input.
    width : float
        Factor on the channels of every layer.
    relu6 : bool
        Whether ReLU is limited to 6, as in the quantized model of TFLite.
    """

    title = "YAMNet"
    input_shape = (BANDS, FRAMES)
    smallest_input = min(BANDS, FRAMES)

    def __init__(
        self, *, classes: int, channels: int = 1, width: float = 1.0, relu6: bool = False
    ) -> None:
        super().__init__()
        if width <= 0 or classes < 0 or channels < 1:
            raise ConfigError(
                f"the YAMNet has width {width}, {channels} channels and {classes} labels",
                expected="a positive width, 1 channel or more, 0 labels or more",
            )
        self.channels = channels
        inputs = scaled(FIRST, width)
        rectified = nn.ReLU6 if relu6 else nn.ReLU
        first = _convolution(rectified, channels, inputs, stride=2)
        layers: list[nn.Module] = [nn.Sequential(*first)]
        for stride, wide in zip(STRIDES, WIDTHS, strict=True):
            outputs = scaled(wide, width)
            depthwise = _convolution(rectified, inputs, inputs, stride=stride, groups=inputs)
            pointwise = _convolution(rectified, inputs, outputs, size=1)
            layers.append(nn.Sequential(*depthwise, *pointwise))
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.embedding_size = inputs
        self.classifier = nn.Linear(inputs, classes) if classes else nn.Identity()
        initialize(self, nn.init.kaiming_normal_)  # He 2015, for layers with ReLU

    def embed(self, features: Tensor) -> Tensor:
        """Return the embedding of patches: (batch, channel, 64, 96) to (batch, embedding).

        Raises
        ------
        ConfigError
            If the features are not patches of 64 bands and 96 frames.
        """
        self.require_size(features)
        return mean_of_maps(self.layers(reversed_patches(features)))

    def segments(self) -> tuple[Segment, ...]:
        """Return the fourteen layers, the first a plain convolution, and the classifier if any."""
        last = [] if isinstance(self.classifier, nn.Identity) else [self.classifier]
        return (*numbered("layer", self.layers), *(Segment("classifier", (one,)) for one in last))


class Normalization(nn.BatchNorm2d):
    """Batch normalization with a shift (`bias`) and no scale."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON, affine=False)
        self.bias = nn.Parameter(torch.zeros(channels))


def reversed_patches(features: Tensor) -> Tensor:
    """Return patches (batch, channel, band, frame) as (batch, channel, frame, band), reversed."""
    return features.transpose(2, 3).flip(2, 3).contiguous(memory_format=torch.channels_last)


def _convolution(
    rectified: type[nn.Module],
    inputs: int,
    outputs: int,
    *,
    size: int = 3,
    stride: int = 1,
    groups: int = 1,
) -> list[nn.Module]:
    convolution = nn.Conv2d(
        inputs, outputs, size, stride, padding=size // 2, groups=groups, bias=False
    )
    return [convolution, Normalization(outputs), rectified()]
