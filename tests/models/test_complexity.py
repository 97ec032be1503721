"""The size of a network, against numbers computed by hand."""

import torch
from torch import nn

from anymic.models.complexity import network_complexity


def test_complexity_computed_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1, groups=2),  # 8 * 1 * 9 weights + 8
        nn.BatchNorm2d(8),  # 16, and 16 running
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),  # 24 + 3
    )
    network[1].eval()
    counted = network_complexity(network, (2, 10, 20))
    assert counted.parameters == 72 + 8 + 16 + 27
    assert counted.with_running_statistics == counted.parameters + 16
    assert counted.multiply_accumulates == 8 * 10 * 20 * 9 + 24
    assert network.training
    assert not network[1].training
    assert torch.equal(network.state_dict()["1.running_mean"], torch.zeros(8))
