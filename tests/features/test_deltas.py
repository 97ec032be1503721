"""Scaling over the clip and deltas, against the paper's formulas and librosa."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anymic import audio
from anymic.errors import ConfigError
from anymic.features import Frontend, FrontendConfig, SharedFrontends
from anymic.training import load_config

HU2020 = FrontendConfig(
    rate_hz=44100,
    fft_size=2048,
    hop_samples=1024,
    bands=128,
    mel_scale="htk",
    mel_norm=None,
    power=2,
    log_offset=1e-8,
    scaling="clip",
    deltas=2,
)


def delta(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Issue it frame by frame, as the formula is written."""
    frames = [
        (x[:, t + 1] - x[:, t - 1]) / 10 + (x[:, t + 2] - x[:, t - 2]) / 5
        for t in range(2, x.shape[1] - 2)
    ]
    return np.stack(frames, axis=1)


def reference(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (channel, band, frame) as Hu 2020 describes it; the mel power is librosa's."""
    mel = librosa.feature.melspectrogram(
        y=samples, sr=44100, n_fft=2048, hop_length=1024, n_mels=128, power=2.0, htk=True, norm=None
    )
    static = np.log(mel.astype(np.float64) + 1e-8)
    static = (static - static.min()) / (static.max() - static.min())
    first = delta(static)
    second = delta(first)
    return np.stack([static[:, 4:-4], first[:, 2:-2], second])


def test_the_papers_features() -> None:
    samples = np.random.default_rng(0).normal(scale=0.1, size=2 * 44100).astype(np.float32)
    samples[30000:] *= 0.01
    ours = Frontend(HU2020)(torch.from_numpy(samples)[None])[0].numpy()
    np.testing.assert_allclose(ours, reference(samples), atol=2e-5)
    assert ours.shape == HU2020.input_shape(len(samples)) == (3, 128, 87 - 8)


def test_the_papers_features_of_a_real_recording(shared_data: Path) -> None:
    samples = audio.read(shared_data / "ESC-50" / "audio" / "1-100032-A-0.ogg").samples
    ours = Frontend(HU2020)(torch.from_numpy(samples)[None])[0].numpy()
    # Digital silence lies at the log offset, where float32 rounding of the FFT is all there is.
    np.testing.assert_allclose(ours, reference(samples), atol=1e-3)


def test_a_delta_is_the_slope() -> None:
    """Of a straight line it is the slope, wherever the line begins, and its own delta is 0."""
    ramp = torch.arange(20.0) * 0.03 + 7
    maps = Frontend(FrontendConfig(bands=4, deltas=2)).maps(ramp.expand(1, 4, 20))
    torch.testing.assert_close(maps[0, 1], torch.full((4, 12), 0.03))
    torch.testing.assert_close(maps[0, 2], torch.zeros(4, 12), atol=1e-5, rtol=0)
    torch.testing.assert_close(maps[0, 0], ramp[4:-4].expand(4, 12))


def test_scaling_forgets_level_and_clips_do_not_touch_each_other() -> None:
    samples = torch.from_numpy(
        np.random.default_rng(1).normal(scale=0.2, size=(2, 20000)).astype(np.float32)
    )
    config = FrontendConfig(
        rate_hz=8000,
        fft_size=256,
        hop_samples=128,
        bands=16,
        power=2,
        scaling="clip",
        log_offset=1e-12,
    )
    frontend = Frontend(config)
    together = frontend.log_mel(torch.stack([samples[0], 0.1 * samples[0], samples[1]]))
    assert together.amin(dim=(1, 2)).tolist() == [0.0] * 3
    torch.testing.assert_close(together.amax(dim=(1, 2)), torch.ones(3))
    torch.testing.assert_close(together[2:], frontend.log_mel(samples[1:]))
    torch.testing.assert_close(together[0], together[1], atol=1e-4, rtol=0)


def test_silence_stays_finite() -> None:
    maps = Frontend(HU2020)(torch.zeros(1, 44100))
    assert torch.equal(maps, torch.zeros_like(maps))


def test_members_with_gains_of_their_own_share_the_same_scaling() -> None:
    """The pass over the samples for several front-ends gives what each gives alone."""
    config = FrontendConfig(rate_hz=8000, fft_size=256, hop_samples=128, bands=16, scaling="clip")
    generator = np.random.default_rng(2)
    gains = [torch.from_numpy(generator.uniform(0.2, 5, config.bins)).float() for _ in range(2)]
    frontends = [Frontend(config), Frontend(config)]
    samples = torch.from_numpy(generator.normal(scale=0.1, size=(1, 8000)).astype(np.float32))
    shared = SharedFrontends(frontends).log_mel(samples, [tuple(gains)])
    for frontend, own, got in zip(frontends, gains, shared, strict=True):
        torch.testing.assert_close(
            got, frontend.log_mel(samples, gains=own[None]), atol=1e-4, rtol=0
        )


def test_the_preset_is_the_papers() -> None:
    assert load_config("peters2022").frontend == HU2020


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"scaling is 'loud'; deltas is -1"):
        FrontendConfig(scaling="loud", deltas=-1)  # type: ignore[arg-type]
