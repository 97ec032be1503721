"""The papers' networks, held to the papers' numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from anymic import models
from anymic.errors import ConfigError

# Kosmider 2019, table 1, by hand, for 256 bands x 862 frames and ten classes. A 3x3 convolution
# without padding leaves (n - 3) / stride + 1, rounded down; it has 3 * 3 * inputs * outputs weights
# and a bias an output. Batch normalization has 4 numbers a channel: scale, shift, mean, variance.
BASIC1 = (
    # bands, frames, channels; convolution; normalization
    (254, 860, 16, 9 * 1 * 16 + 16, 4 * 16),
    (126, 429, 32, 9 * 16 * 32 + 32, 4 * 32),
    (124, 427, 32, 9 * 32 * 32 + 32, 4 * 32),
    (61, 213, 64, 9 * 32 * 64 + 64, 4 * 64),
    (59, 211, 64, 9 * 64 * 64 + 64, 4 * 64),
)
LAST_LAYER = 64 * 10 + 10


def test_basic1_has_the_sizes_of_nguyen_2020_layer_by_layer() -> None:
    total = LAST_LAYER + sum(weights + statistics for *_, weights, statistics in BASIC1)
    assert total == 650 + 69_472 + 832 == 70_954  # the paper's number
    network: Any = models.build("basic1", classes=10).eval()
    maps = torch.zeros(1, 1, 256, 862)
    with torch.inference_mode():
        for block, expected in zip(network.blocks, BASIC1, strict=True):
            maps = block(maps)
            convolution, _, normalization = block
            counted = sum(value.numel() for value in convolution.parameters())
            statistics = [normalization.running_mean, normalization.running_var]
            statistics += list(normalization.parameters())
            sizes = (*maps.shape[2:], maps.shape[1], counted, sum(map(torch.numel, statistics)))
            assert sizes == expected
    assert sum(value.numel() for value in network.classifier.parameters()) == LAST_LAYER
    everything = sum(
        value.numel()
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    )
    assert everything == total


def test_basic2_extends_basic1_by_two_blocks_of_128() -> None:
    network = models.build("basic2", classes=10)
    widths = [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert widths == [16, 32, 32, 64, 64, 128, 128]


def test_relu_comes_before_batch_normalization() -> None:
    network: Any = models.build("basic1", classes=3)
    order = [type(layer) for layer in network.blocks[0]]
    assert order == [nn.Conv2d, nn.ReLU, nn.BatchNorm2d]


def test_weights_are_glorot_uniform() -> None:
    torch.manual_seed(0)
    network: Any = models.build("basic2", classes=10)
    weight = network.blocks[6][0].weight
    limit = (6 / (9 * (128 + 128))) ** 0.5
    assert weight.abs().max() <= limit
    assert weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.02)


@pytest.mark.parametrize("name", ["basic1", "basic2", "fcnn"])
def test_the_smallest_input_is_exact(name: str) -> None:
    network = models.build(name, classes=2).eval()
    size = network.smallest_input
    assert network(torch.zeros(1, 1, size, size)).shape == (1, 2)
    with pytest.raises(ConfigError, match=f"at least {size}"):
        network(torch.zeros(1, 1, size - 1, size))


def test_an_unknown_network_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="basic1, basic2"):
        models.build("basic3", classes=2)
