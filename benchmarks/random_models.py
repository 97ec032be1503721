"""Models with random weights, which compute as long as trained ones of their sizes do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from anymic import models
from anymic.bundle import Bundle, Ensemble, InputContract
from anymic.features import Frontend, FrontendConfig
from anymic.features.patches import VGGISH, YAMNET, patch_length_s

LABELS = tuple(f"label {number}" for number in range(10))
# The front-end that the preset `small` chooses for clips of 5 s at 16 kHz.
SMALL = FrontendConfig(rate_hz=16_000, fft_size=1024, hop_samples=512, bands=64)
HEAD: dict[str, Any] = {
    "head": {"name": "linear_head"},
    "segment_frames": 96,
    "segment_hop_frames": 48,
}


def bundle(
    name: str, config: FrontendConfig, clip_s: float, *, seed: int = 0, **arguments: object
) -> Bundle:
    """Return a model of ten labels, with the gains of a device A."""
    torch.manual_seed(seed)
    return Bundle(
        network=models.build(name, classes=len(LABELS), **arguments),
        frontend=Frontend(config, device_gains={"A": np.linspace(0.5, 2, config.bins)}),
        labels=LABELS,
        contract=InputContract(config.rate_hz, clip_s),
        network_name=name,
        network_arguments=dict(arguments),
    )


def ensemble(name: str, config: FrontendConfig, clip_s: float, *, members: int) -> Ensemble:
    """Return models that share a front-end and differ in their weights."""
    return Ensemble(tuple(bundle(name, config, clip_s, seed=one) for one in range(members)))


Build = Callable[[], Bundle | Ensemble]
MODELS: dict[str, Build] = {
    "small: basic1, 5 s at 16 kHz": partial(bundle, "basic1", SMALL, 5.0),
    "basic1, 10 s at 44.1 kHz": partial(bundle, "basic1", FrontendConfig(), 10.0),
    "basic2, 10 s at 44.1 kHz": partial(bundle, "basic2", FrontendConfig(), 10.0),
    "fcnn, 10 s at 44.1 kHz": partial(
        bundle,
        "fcnn",
        FrontendConfig(hop_samples=1024, bands=128, scaling="clip", deltas=2),
        10.0,
        channels=3,
    ),
    "VGGish, a patch of 0.975 s": partial(bundle, "vggish", VGGISH, patch_length_s()),
    "YAMNet and a linear head, 5 s at 16 kHz": partial(
        bundle, "tagger", YAMNET, 5.0, embedder={"name": "yamnet"}, **HEAD
    ),
    "VGGish and a linear head, 5 s at 16 kHz": partial(
        bundle, "tagger", VGGISH, 5.0, embedder={"name": "vggish"}, **HEAD
    ),
    "three of small, 5 s at 16 kHz": partial(ensemble, "basic1", SMALL, 5.0, members=3),
    "three of basic1, 10 s at 44.1 kHz": partial(
        ensemble, "basic1", FrontendConfig(), 10.0, members=3
    ),
}
