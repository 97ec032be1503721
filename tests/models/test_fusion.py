from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from anymic import models
from anymic.models.fusion import FusedBasic, fuse


def trained(name: str, **arguments: float) -> models.Network:
    """Return a network whose statistics and weights are as varied as after training."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = models.build(name, classes=10, **arguments)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0.5, 0.5)
                module.running_var.uniform_(0.2, 2.0)
                if module.affine:
                    torch.nn.init.normal_(module.weight, 1.0, 0.3)
                    torch.nn.init.normal_(module.bias, 0.0, 0.3)
            elif isinstance(module, torch.nn.Conv2d) and module.bias is not None:
                torch.nn.init.normal_(module.bias, 0.0, 0.3)
        return network.eval()


@pytest.mark.parametrize("name", ["basic1", "basic2"])
def test_logits_and_embedding_stay(name: str) -> None:
    network = trained(name)
    features = torch.randn(3, 1, 96, 130, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted, wanted_pooled = network(features), network.embed(features)
        fused: Any = fuse(network)
        got, got_pooled = fused(features), fused.embed(features)
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))
    scale = float(wanted_pooled.abs().max())
    torch.testing.assert_close(got_pooled, wanted_pooled, rtol=1e-5, atol=1e-5 * scale)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fused.modules())


def test_plain_convolutions_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where oneDNN's fused convolution is missing, the two steps one by one stand in."""
    features = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    fused = fuse(trained("basic1"))
    with torch.inference_mode():
        wanted = fused(features)
        monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise", None)
        torch.testing.assert_close(fused(features), wanted)


def test_the_network_itself_is_left_alone() -> None:
    network = trained("basic1")
    before = copy.deepcopy(network.state_dict())
    fuse(network, dtype=torch.bfloat16)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(value.requires_grad for value in network.parameters())


def test_bfloat16_keeps_probabilities() -> None:
    network = trained("basic1")
    features = torch.randn(8, 1, 96, 130, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = network(features).softmax(dim=1)
        got = fuse(network, dtype=torch.bfloat16)(features).softmax(dim=1)
    assert float((got - wanted).abs().max()) < 0.01


def test_another_kind_of_network_passes() -> None:
    other = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    assert fuse(other) is other
    assert isinstance(fuse(trained("basic2")), FusedBasic)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folded_fcnn_gives_the_same(channels: int) -> None:
    """Also at the borders: the output of the input's normalization is padded with zeros."""
    network = trained("fcnn", channels=channels, width=0.1)
    before = copy.deepcopy(network.state_dict())
    maps = torch.rand(2, channels, 96, 71, generator=torch.Generator().manual_seed(0))
    folded: Any = fuse(network)
    with torch.inference_mode():
        for given in (maps, maps[:1, :, 5:70]):
            wanted, got = network(given), folded(given)
            torch.testing.assert_close(
                got, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max())
            )
            wanted, got = network.embed(given), folded.embed(given)
            torch.testing.assert_close(
                got, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max())
            )
        wanted = network(maps).softmax(dim=1)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = folded(maps).softmax(dim=1)
    assert float((rounded - wanted).abs().max()) < 0.01
    left = [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(left) == 2  # of the input, and after the last ReLU
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
