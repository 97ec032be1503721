"""A model that names the loudest of three tones, and recordings that are joined from them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from anymic import models
from anymic.bundle import Bundle, InputContract
from anymic.features import Frontend, FrontendConfig

RATE_HZ, WINDOW_S = 8000, 1.0
TONES_HZ = {"low": 300.0, "middle": 1000.0, "high": 2900.0}


@models.register_network("loudest_third")
class LoudestThird(nn.Module):
    """The logits are the means of the lower, middle and upper third of the bands."""

    def __init__(self, *, classes: int = 3) -> None:
        super().__init__()
        self.classes = classes
        self.scale = nn.Parameter(torch.tensor(4.0), requires_grad=False)

    def forward(self, features: Tensor) -> Tensor:
        thirds = features.mean(dim=(1, 3)).chunk(self.classes, dim=1)
        logits: Tensor = self.scale * torch.stack([one.amax(dim=1) for one in thirds], dim=1)
        return logits


class Span(NamedTuple):
    """Where a sound is in a recording."""

    label: str
    start_s: float
    end_s: float


def tone_model(**contract: object) -> Bundle:
    """Return the model; `contract` are settings of its contract."""
    config = FrontendConfig(rate_hz=RATE_HZ, fft_size=256, hop_samples=128, bands=30)
    return Bundle(
        network=models.build("loudest_third", classes=3),
        frontend=Frontend(config),
        labels=tuple(TONES_HZ),
        contract=InputContract(rate_hz=RATE_HZ, clip_s=WINDOW_S, **contract),  # type: ignore[arg-type]
        network_name="loudest_third",
    )


def joined_recording(
    path: Path, *, length_s: float, seed: int = 0, shortest_s: float = 3.0, longest_s: float = 20.0
) -> list[Span]:
    """Write a recording of tones in noise, one after another; return where each of them is."""
    generator = np.random.default_rng(seed)
    spans: list[Span] = []
    parts, now = [], 0
    while now < round(length_s * RATE_HZ):
        choices = [label for label in TONES_HZ if not spans or label != spans[-1].label]
        label = choices[generator.integers(len(choices))]
        count = round(generator.uniform(shortest_s, longest_s) * RATE_HZ)
        left = round(length_s * RATE_HZ) - now
        count = left if left - count < shortest_s * RATE_HZ else count  # none is too short
        time_s = np.arange(count) / RATE_HZ
        sound = 0.2 * np.sin(2 * np.pi * TONES_HZ[label] * time_s)
        parts.append(sound + 0.01 * generator.standard_normal(count))
        spans.append(Span(label, now / RATE_HZ, (now + count) / RATE_HZ))
        now += count
    soundfile.write(path, np.concatenate(parts).astype(np.float32), RATE_HZ)
    return spans
