"""The network of Hu 2020, held to its layer table."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from anymic import models
from anymic.errors import ConfigError
from anymic.models.fcnn import ClassAttention, Fcnn

# By hand, for 10 classes and 3 channels: kernel, inputs, outputs, and the size of the maps of
# 128 bands x 400 frames after the layer (and its pool).
TABLE = (
    (5, 3, 144, (64, 200)),
    (3, 144, 144, (32, 100)),
    (3, 144, 288, (32, 100)),
    (3, 288, 288, (16, 50)),
    (3, 288, 576, (16, 50)),
    (3, 576, 576, (16, 50)),
    (3, 576, 576, (16, 50)),
    (3, 576, 576, (8, 25)),
    (1, 576, 10, (8, 25)),
)


def paper() -> models.Fcnn:
    network = models.build("fcnn", classes=10, channels=3)
    assert isinstance(network, models.Fcnn)
    return network.eval()


def test_the_parameters_are_counted_layer_by_layer() -> None:
    kernels = sum(kernel**2 * inputs * outputs for kernel, inputs, outputs, _ in TABLE)
    widths = sum(outputs for _, _, outputs, _ in TABLE[:-1])
    learned = 2 * (3 + widths)  # scale and shift of the input's and the convolutions' channels
    running = 2 * (3 + widths) + 2 * 2 * 10  # and of the two of the classes, which have no other
    attention = (10 * 5 + 5) + (5 * 10 + 10)
    assert kernels + learned + running + attention == 11_786_711  # the papers' 11.8 M
    network = paper()
    counted = sum(value.numel() for value in network.parameters())
    assert counted == kernels + learned + attention == 11_780_329
    kept = [v for n, v in network.named_buffers() if not n.endswith("num_batches_tracked")]
    assert counted + sum(value.numel() for value in kept) == 11_786_711


def test_maps_have_the_papers_sizes() -> None:
    maps = torch.zeros(1, 3, 128, 400)
    with torch.inference_mode():
        parts: Any = paper().convolutions
        for part, (kernel, inputs, outputs, size) in zip(parts, TABLE, strict=True):
            convolution = next(layer for layer in part if isinstance(layer, nn.Conv2d))
            assert convolution.weight.shape == (outputs, inputs, kernel, kernel)
            assert convolution.bias is None
            maps = part(maps)
            assert maps.shape == (1, outputs, *size)


def test_what_follows_what() -> None:
    parts: Any = paper().convolutions
    names = [[type(layer).__name__ for layer in part] for part in parts]
    usual = ["Conv2d", "BatchNorm2d", "ReLU"]
    assert names == [
        ["BatchNorm2d", *usual],
        [*usual, "MaxPool2d"],
        usual,
        [*usual, "MaxPool2d"],
        *[[*usual, "Dropout"]] * 3,
        [*usual, "MaxPool2d"],
        [*usual, "BatchNorm2d"],
    ]
    normalizations = [m for m in paper().modules() if isinstance(m, nn.BatchNorm2d)]
    assert [one.affine for one in normalizations] == [True] * 9 + [False] * 2
    assert {one.eps for one in normalizations} == {1e-3}
    assert {m.p for m in paper().modules() if isinstance(m, nn.Dropout)} == {0.3}


def test_attention_by_hand() -> None:
    """Weights of 0 halve every map: sigmoid(0). A large bias leaves the maps as they are."""
    maps = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    attention = ClassAttention(4, 2)
    with torch.no_grad():
        for value in attention.parameters():
            value.zero_()
        torch.testing.assert_close(attention(maps), maps / 2)
        attention.second.bias.fill_(20)
        torch.testing.assert_close(attention(maps), maps)
        # With units that pass mean and maximum on: their sum, through the sigmoid.
        attention.second.bias.zero_()
        attention.first.weight[0, 1] = 1  # of map 1, where it is positive
        attention.second.weight[3, 0] = 1  # to map 3
        mean, top = maps[:, 1].mean(dim=(1, 2)), maps[:, 1].amax(dim=(1, 2))
        weight = (mean.relu() + top.relu()).sigmoid()[:, None, None]
        torch.testing.assert_close(attention(maps)[:, 3], maps[:, 3] * weight)


@pytest.mark.parametrize("seed", range(5))
def test_no_class_begins_with_less_attention_than_others(seed: int) -> None:
    """However large the maps' maxima are: a weight of 0 would take the class's gradient away."""
    torch.manual_seed(seed)
    network = models.build("fcnn", classes=10, channels=3, width=0.05)
    assert isinstance(network, Fcnn)
    maps = torch.zeros(4, 10, 8, 8)
    maps[:, :, 0, 0] = 30.0
    torch.testing.assert_close(network.attention(maps), 0.5 * maps)


@pytest.mark.parametrize("name", ["basic1", "basic2", "fcnn"])
@pytest.mark.parametrize("channels", [1, 3])
def test_segments_are_the_whole_network_and_share_nothing(name: str, channels: int) -> None:
    network = models.build(name, classes=4, channels=channels, width=0.25)
    values = [
        id(value)
        for segment in network.segments()
        for module in segment.modules
        for value in (*module.parameters(), *module.buffers())
    ]
    assert len(values) == len(set(values))
    assert set(values) == {id(value) for value in (*network.parameters(), *network.buffers())}


def test_the_papers_ten_segments() -> None:
    names = [segment.name for segment in paper().segments()]
    assert names == [*(f"convolution {number}" for number in range(1, 10)), "attention"]
    choose = models.choose_segments
    assert choose(paper(), "all") == tuple(range(10))
    assert choose(paper(), "7") == (6,)
    assert choose(paper(), "5-7") == (4, 5, 6)
    assert choose(paper(), "10, 1-2") == (0, 1, 9)


@pytest.mark.parametrize("wanted", ["11", "0", "9-11", "7-5", "", "seven", "5-", "1,,2"])
def test_a_segment_that_does_not_exist_names_those_that_do(wanted: str) -> None:
    with pytest.raises(ConfigError, match=r"1 convolution 1, 2 .*, 10 attention"):
        models.choose_segments(paper(), wanted)


def test_a_width_for_small_machines() -> None:
    network = models.build("fcnn", classes=10, channels=3, width=0.25)
    widths = [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [36, 36, 72, 72, 144, 144, 144, 144, 10]


def test_longer_clips_than_those_of_training() -> None:
    """It is convolutions all the way: crops, whole clips, and their pooled features."""
    network = models.build("fcnn", classes=5, channels=3, width=0.1).eval()
    with torch.inference_mode():
        for frames in (40, 400, 423):
            maps = torch.randn(2, 3, 128, frames)
            assert network(maps).shape == (2, 5)
            assert network.embed(maps).shape == (2, round(0.1 * 576))


def test_features_of_other_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"1 channel\. Expected 3"):
        models.build("fcnn", classes=2, channels=3, width=0.1)(torch.zeros(1, 1, 64, 64))
