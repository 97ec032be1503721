"""The front-ends of VGGish and YAMNet: their settings, and their patches of 0.96 s."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from anymic.features.frontend import Frontend
from anymic.features.frontend_config import FrontendConfig

PATCH_FRAMES = 96

# As published with VGGish (Hershey 2017): windows of 25 ms every 10 ms, magnitudes, log(x + 0.01).
VGGISH = FrontendConfig(
    rate_hz=16_000,
    fft_size=512,
    hop_samples=160,
    bands=64,
    low_hz=125.0,
    high_hz=7500.0,
    mel_scale="htk",
    mel_norm=None,
    log_offset=0.01,
    window_samples=400,
    centred=False,
    mel_triangles="mel",
)
YAMNET = replace(VGGISH, log_offset=0.001)


def patch_length_s(config: FrontendConfig = VGGISH, *, frames: int = PATCH_FRAMES) -> float:
    """Return the length of a clip with exactly so many frames: 0.975 s for a patch of VGGish."""
    return config.samples(frames) / config.rate_hz


def patch_distance_s(config: FrontendConfig = VGGISH, *, frames: int = PATCH_FRAMES) -> float:
    """Return the distance between the starts of two patches: 0.96 s for VGGish."""
    return frames * config.step_samples / config.rate_hz


def patches(frontend: Frontend, samples: Tensor, *, frames: int = PATCH_FRAMES) -> Tensor:
    """Return the consecutive patches of clips (batch, sample), without overlap.

    A clip shorter than a patch is padded with zeros. The rest after the last whole patch is left
    out. Raises a ConfigError if `samples` is not of shape (batch, sample).

    Returns
    -------
    Tensor : (batch, patch, band, frame), log-mel, before standardization
    """
    missing = frontend.config.samples(frames) - samples.shape[-1]
    if missing > 0:
        samples = torch.nn.functional.pad(samples, (0, missing))
    log_mel = frontend.log_mel(samples)
    count = log_mel.shape[-1] // frames
    kept = log_mel[..., : count * frames]
    return kept.reshape(*kept.shape[:-1], count, frames).transpose(1, 2)
