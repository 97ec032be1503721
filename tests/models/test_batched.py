"""Members together answer as each alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from anymic import models
from anymic.models.batched import Batched
from anymic.models.fusion import FusedBasic, fuse

BANDS, FRAMES = 48, 70


def trained(name: str, seed: int) -> models.Basic:
    """Return a network whose statistics and weights are as varied as after training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = models.build(name, classes=4)
        assert isinstance(network, models.Basic)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0.5, 0.5)
                module.running_var.uniform_(0.2, 2.0)
                nn.init.normal_(module.weight, 1.0, 0.3)
                nn.init.normal_(module.bias, 0.0, 0.3)
        return network.eval()


def log_mel(seed: int, bands: int = BANDS) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, FRAMES, bands, generator=generator).sub(5).mul(2).transpose(1, 2)


def standardization(seed: int, bands: int = BANDS) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(bands, generator=generator) - 10
    return mean, 2 + torch.rand(bands, generator=generator)


def alone(
    network: nn.Module, features: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    logits: torch.Tensor = network(((features - mean[:, None]) / scale[:, None]).unsqueeze(1))
    return logits


@pytest.mark.parametrize("name", ["basic1", "basic2"])
@pytest.mark.parametrize("shared", [True, False])
def test_members_answer_as_each_alone(name: str, shared: bool) -> None:
    networks = [trained(name, seed) for seed in range(3)]
    scales = [standardization(seed) for seed in range(3)]
    same = log_mel(0)
    features = [same if shared else log_mel(seed) for seed in range(3)]
    with torch.inference_mode():
        wanted = [
            alone(network, own, *scale)
            for network, own, scale in zip(networks, features, scales, strict=True)
        ]
        got = Batched(networks, scales)(features)
    torch.testing.assert_close(got, torch.stack(wanted), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_stacked_weights_give_the_same(
    dtype: torch.dtype, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: plain convolutions, which `vmap` makes grouped ones of."""
    networks = [trained("basic1", seed) for seed in range(3)]
    scales = [standardization(seed) for seed in range(3)]
    same = log_mel(0)
    features = [same if shared else log_mel(seed) for seed in range(3)]
    monkeypatch.setattr("anymic.models.batched.MOST_MAPS", 6)
    monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise", None)
    with torch.inference_mode():
        wanted = Batched(networks, scales, dtype=dtype)(features)
        got = Batched(networks, scales, dtype=dtype, stacked=True)(features)
    close = 1e-5 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(got, wanted, rtol=close, atol=close)


def test_networks_of_other_kinds_take_turns() -> None:
    networks = [nn.Sequential(nn.Flatten(), nn.Linear(BANDS * FRAMES, 4)) for _ in range(2)]
    scales = [standardization(seed) for seed in range(2)]
    features = log_mel(1)
    with torch.inference_mode():
        wanted = [
            alone(network, features, *scale)
            for network, scale in zip(networks, scales, strict=True)
        ]
        enter = [
            lambda clips, mean=mean, scale=scale: (
                (clips - mean[:, None]) / scale[:, None]
            ).unsqueeze(1)
            for mean, scale in scales
        ]
        got = Batched(networks, scales, stacked=True, maps=enter)([features, features])
    torch.testing.assert_close(got, torch.stack(wanted))


@pytest.mark.parametrize("bands", [48, 47])
def test_the_standardization_may_be_part_of_a_fused_network(bands: int) -> None:
    """With bands in pairs through the first layer, and one by one where their number is odd."""
    network, features, (mean, scale) = (
        trained("basic1", 0),
        log_mel(0, bands),
        standardization(0, bands),
    )
    with torch.inference_mode():
        wanted = alone(network, features, mean, scale)
        exact = fuse(network, mean=mean, scale=scale)(features.unsqueeze(1))
        coarse = [
            FusedBasic(network, dtype=torch.bfloat16, mean=mean, scale=scale, paired=paired)(
                features.unsqueeze(1)
            )
            for paired in (True, False)
        ]
    torch.testing.assert_close(exact, wanted, rtol=1e-5, atol=1e-5)
    for one in coarse:
        assert float((one.softmax(1) - wanted.softmax(1)).abs().max()) < 0.01
    torch.testing.assert_close(*coarse, rtol=0.01, atol=0.01)


def test_clips_in_pieces_are_the_clips_together(monkeypatch: pytest.MonkeyPatch) -> None:
    network, features = fuse(trained("basic1", 0)), log_mel(0).unsqueeze(1)
    with torch.inference_mode():
        wanted = network(features)
        monkeypatch.setattr("anymic.models.fusion.PIECE_BYTES", 1)
        torch.testing.assert_close(network(features), wanted)
