"""The papers' networks, held to the papers' numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from anymic import models
from anymic.errors import ConfigError


def test_basic1_counts_what_nguyen_2020_counts() -> None:
    network = models.build("basic1", classes=10)
    statistics = sum(
        2 * module.num_features
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d)
    )
    assert sum(value.numel() for value in network.parameters()) + statistics == 70_954


def test_basic1_has_the_papers_feature_maps() -> None:
    network = models.build("basic1", classes=10).eval()
    assert network.blocks(torch.zeros(1, 1, 256, 862)).shape == (1, 64, 59, 211)


def test_basic2_extends_basic1_by_two_blocks_of_128() -> None:
    network = models.build("basic2", classes=10)
    widths = [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert widths == [16, 32, 32, 64, 64, 128, 128]


def test_relu_comes_before_batch_normalization() -> None:
    order = [type(layer) for layer in models.build("basic1", classes=3).blocks[0]]
    assert order == [nn.Conv2d, nn.ReLU, nn.BatchNorm2d]


def test_weights_are_glorot_uniform() -> None:
    torch.manual_seed(0)
    weight = models.build("basic2", classes=10).blocks[6][0].weight
    limit = (6 / (9 * (128 + 128))) ** 0.5
    assert weight.abs().max() <= limit
    assert weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.02)


@pytest.mark.parametrize("name", models.names())
def test_the_smallest_input_is_exact(name: str) -> None:
    network = models.build(name, classes=2).eval()
    size = network.smallest_input
    assert network(torch.zeros(1, 1, size, size)).shape == (1, 2)
    with pytest.raises(ConfigError, match=f"at least {size}"):
        network(torch.zeros(1, 1, size - 1, size))


def test_an_unknown_network_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="basic1, basic2"):
        models.build("basic3", classes=2)
