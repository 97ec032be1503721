"""The front-end of VGGish beside its formulas in numpy, in float64, on real sounds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymic import audio
from anymic.errors import ConfigError
from anymic.features import Frontend, FrontendConfig
from anymic.features.patches import VGGISH, patch_distance_s, patch_length_s, patches


def reference(samples: np.ndarray) -> np.ndarray:
    """Log-mel patches (patch, 96 frames, 64 bands), from the formulas, loop by loop."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)  # periodic Hann
    edges = np.linspace(mel(125.0), mel(7500.0), 66)
    weights = np.zeros((257, 64))
    for bin in range(1, 257):  # the constant part has none
        at = mel(bin * 16000 / 512)
        for band in range(64):
            below, centre, above = edges[band : band + 3]
            slope = min((at - below) / (centre - below), (above - at) / (above - centre))
            weights[bin, band] = max(0.0, slope)
    frames = []
    for start in range(0, len(samples) - 400 + 1, 160):
        spectrum = np.abs(np.fft.rfft(samples[start : start + 400] * window, 512))
        frames.append(np.log(spectrum @ weights + 0.01))
    return np.array([frames[n : n + 96] for n in range(0, len(frames) - 95, 96)])


def mel(hertz: float) -> float:
    return 1127.0 * math.log(1.0 + hertz / 700.0)


def test_equals_the_formulas_on_real_audio(shared_data: Path) -> None:
    frontend = Frontend(VGGISH)
    files = sorted((shared_data / "ESC-50" / "audio").glob("*.ogg"))
    for file in (files[0], files[len(files) // 2], files[-1]):
        clip = audio.read(file, rate_hz=16000, allow_silence=True)
        expected = reference(clip.samples.astype(np.float64))
        found = patches(frontend, torch.from_numpy(clip.samples)[None])[0].transpose(1, 2).numpy()
        assert found.shape == expected.shape == (5, 96, 64)
        assert np.abs(found - expected).max() < 1e-4


def test_lengths_are_inverse() -> None:
    assert patch_length_s() == 0.975
    assert patch_distance_s() == 0.96
    assert VGGISH.samples(96) == 15_600
    for config in (VGGISH, FrontendConfig()):
        for frames in (1, 2, 96, 500):
            assert config.frames(config.samples(frames)) == frames
            assert frames == 1 or config.frames(config.samples(frames) - 1) == frames - 1


@pytest.mark.parametrize("samples", [1, 399, 400, 8000, 15_360, 15_599, 15_600, 30_959, 30_960])
def test_there_always_is_a_patch(samples: int) -> None:
    frontend = Frontend(VGGISH)
    sound = torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
    found = patches(frontend, sound)
    assert found.shape == (2, 2 if samples >= 30_960 else 1, 64, 96)
    padded = torch.cat([sound, torch.zeros(2, 15_600)], dim=1)[:, :15_600]
    torch.testing.assert_close(found[:, 0], frontend.log_mel(padded))


def test_defaults_are_what_they_were() -> None:
    """Settings that are newer than stored runs do nothing unless they are chosen."""
    plain = FrontendConfig(rate_hz=8000, fft_size=256, hop_samples=100, bands=20)
    stated = FrontendConfig(8000, 256, 100, 20, window_samples=256, centred=True)
    sound = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Frontend(plain)(sound), Frontend(stated)(sound), rtol=0, atol=0)


def test_a_centred_short_window_is_the_other_moved() -> None:
    sound = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    settings: dict[str, Any] = {"rate_hz": 8000, "fft_size": 256, "hop_samples": 100, "bands": 20}
    centred = Frontend(FrontendConfig(**settings, window_samples=200))
    begins = Frontend(FrontendConfig(**settings, window_samples=200, centred=False))
    torch.testing.assert_close(centred.log_mel(sound)[..., 1:-1], begins.log_mel(sound))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window_samples": 4096}, "window_samples is 4096"),
        ({"window_samples": 401}, "window_samples is 401"),
        ({"window_samples": 400}, "hop_samples is 512 over 400"),
        ({"mel_triangles": "mel"}, "triangles in mel"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        FrontendConfig(**settings)


def test_less_than_a_frame_is_refused_where_frames_lie_within_the_clip() -> None:
    with pytest.raises(ConfigError, match=r"399 samples\. Expected at least one frame of 400"):
        Frontend(VGGISH).log_mel(torch.zeros(1, 399))
