"""Gradients in bfloat16 are float32's, whatever lay in the memory before."""

from __future__ import annotations

import pytest
import torch

from anymic import models
from anymic._internal import machine
from anymic._internal.precision import has_fast_bfloat16
from anymic.codecs.random_codec import Codecs
from anymic.features import Frontend, FrontendConfig
from anymic.training import TrainingConfig
from anymic.training.loop.batches import Batch
from anymic.training.loop.losses import divergence
from anymic.training.loop.module import TrainedClassifier

BANDS, FRAMES = 64, 130  # the second convolution of 32 channels is where odd batches go wrong


def poison() -> None:
    """Leave NaN in memory that is then free to be used again."""
    held = [torch.full((size,), float("nan")) for size in (10**4, 10**5, 10**6, 4 * 10**6) * 6]
    del held


def gradient(clips: int, *, bfloat16: bool) -> torch.Tensor:
    torch.manual_seed(0)
    config = TrainingConfig(frontend=FrontendConfig(rate_hz=22050, fft_size=1024, bands=BANDS))
    network = models.build("basic1", classes=4)
    frontend, fill = Frontend(config.frontend), torch.zeros(BANDS, 1)
    module = TrainedClassifier(network, frontend, config, fill=fill, validated=False)
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(clips, BANDS, FRAMES, generator=generator)
    targets = torch.eye(4)[torch.arange(clips) % 4]
    poison()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        module._step(Batch(features, targets, clips)).backward()  # type: ignore[no-untyped-call]
    return torch.cat([value.grad.flatten() for value in network.parameters()])  # type: ignore[union-attr]


@pytest.mark.skipif(
    not has_fast_bfloat16(), reason="this processor does not multiply bfloat16 itself"
)
@pytest.mark.parametrize("clips", [7, 8, 29, 30])
def test_bfloat16_gradients_point_where_float32s_do(clips: int) -> None:
    machine.keep_memory()
    exact = gradient(clips, bfloat16=False)
    for _ in range(4):
        rounded = gradient(clips, bfloat16=True)
        assert torch.isfinite(rounded).all()
        assert torch.cosine_similarity(exact, rounded, dim=0) > 0.98


def test_consistency_adds_its_weight_times_the_divergence() -> None:
    generator = torch.Generator().manual_seed(1)
    features, other = (torch.randn(6, BANDS, FRAMES, generator=generator) for _ in range(2))
    targets = torch.eye(4)[torch.arange(6) % 4]

    def loss(weight: float, partner: torch.Tensor | None) -> torch.Tensor:
        torch.manual_seed(0)
        front = FrontendConfig(rate_hz=22050, fft_size=1024, bands=BANDS)
        config = TrainingConfig(frontend=front, codecs=Codecs(consistency=weight), temperature=2.0)
        network = models.build("basic1", classes=4).eval()
        frontend, fill = Frontend(front), torch.zeros(BANDS, 1)
        module = TrainedClassifier(network, frontend, config, fill=fill, validated=False).eval()
        with torch.inference_mode():
            found = module._step(Batch(features, targets, 6, other=partner))
            logits = [module(Batch(values, targets, 6)) for values in (features, other)]
        apart.append(divergence(*logits, temperature=2.0))
        return found

    apart: list[torch.Tensor] = []
    plain = loss(3.0, None)
    torch.testing.assert_close(loss(3.0, other) - plain, 3 * apart[0])
    torch.testing.assert_close(loss(3.0, features), plain)
