"""The front-end, beside librosa and against its own laws."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anymic import audio
from anymic.errors import ConfigError, DeviceError
from anymic.features import Frontend, FrontendConfig

CONFIGS = [
    FrontendConfig(),
    FrontendConfig(hop_samples=1024, bands=128),
    FrontendConfig(power=2, mel_scale="htk", mel_norm=None, log_offset=1e-8, bands=128),
    FrontendConfig(
        rate_hz=16000, fft_size=512, hop_samples=160, bands=64, low_hz=125, high_hz=7500
    ),
]


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(scale=0.1, size=samples).astype(np.float32)


def librosa_log_mel(samples: NDArray[np.float32], config: FrontendConfig) -> NDArray[np.float64]:
    mel = librosa.feature.melspectrogram(
        y=samples,
        sr=config.rate_hz,
        n_fft=config.fft_size,
        hop_length=config.hop_samples,
        n_mels=config.bands,
        fmin=config.low_hz,
        fmax=config.high_hz,
        power=float(config.power),
        htk=config.mel_scale == "htk",
        norm=config.mel_norm,
    )
    return np.log(mel.astype(np.float64) + config.log_offset)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_equals_librosa_on_noise(config: FrontendConfig) -> None:
    samples = noise(2 * config.rate_hz)
    ours = Frontend(config).log_mel(torch.from_numpy(samples)[None])[0].numpy()
    np.testing.assert_allclose(ours, librosa_log_mel(samples, config), atol=2e-4)


def test_equals_librosa_on_a_real_recording(shared_data: Path) -> None:
    samples = audio.read(shared_data / "ESC-50" / "audio" / "1-100032-A-0.ogg").samples
    config = FrontendConfig()
    ours = Frontend(config).log_mel(torch.from_numpy(samples)[None])[0].numpy()
    # Digital silence lies at the log offset, where float32 rounding of the FFT is all there is.
    np.testing.assert_allclose(ours, librosa_log_mel(samples, config), atol=1e-2)


def test_ten_seconds_give_862_frames_of_256_bands() -> None:
    frontend = Frontend(FrontendConfig())
    assert frontend(torch.zeros(1, 441000)).shape == (1, 1, 256, 862)
    assert frontend.config.frames(441000) == 862


def test_tiles_do_not_show() -> None:
    """A long clip, a short one and a batch give the same features frame by frame."""
    frontend = Frontend(FrontendConfig(bands=128))
    clips = torch.from_numpy(np.stack([noise(441000, seed) for seed in (1, 2)]))
    batch = frontend.log_mel(clips)
    magnitude = frontend.magnitude(clips)
    whole = (frontend.mel(magnitude) + frontend.config.log_offset).log().transpose(1, 2)
    torch.testing.assert_close(batch, whole)


def test_magnitude_is_linear() -> None:
    frontend = Frontend(FrontendConfig())
    samples = torch.from_numpy(noise(44100))[None]
    torch.testing.assert_close(frontend.magnitude(2 * samples), 2 * frontend.magnitude(samples))


def test_gains_act_on_the_magnitude_of_their_device_alone() -> None:
    config = FrontendConfig(bands=64)
    gains = np.linspace(0.5, 2.0, config.bins)
    frontend = Frontend(config, device_gains={"B": gains})
    samples = torch.from_numpy(noise(44100)).repeat(3, 1)
    index = frontend.device_index(["A", "B", None])
    assert index.tolist() == [0, 1, 0]
    plain, corrected, unstated = frontend.log_mel(samples, index)
    torch.testing.assert_close(unstated, plain)
    magnitude = frontend.magnitude(samples[:1])[0] * torch.from_numpy(gains).float()
    expected = (frontend.mel(magnitude) + config.log_offset).log().T
    torch.testing.assert_close(corrected, expected)


def test_a_gain_of_k_undoes_a_device_of_one_over_k() -> None:
    config = FrontendConfig(bands=64)
    frontend = Frontend(config, device_gains={"quiet": np.full(config.bins, 4.0)})
    samples = torch.from_numpy(noise(44100))[None]
    corrected = frontend.log_mel(samples / 4, frontend.device_index(["quiet"]))
    torch.testing.assert_close(corrected, frontend.log_mel(samples), atol=1e-4, rtol=0)


@pytest.mark.parametrize("bands", [20, 128, 256])
def test_the_banded_product_is_the_dense_product(bands: int) -> None:
    frontend = Frontend(FrontendConfig(bands=bands))
    spectrum = torch.rand(5, 1025, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(frontend.mel(spectrum), spectrum @ frontend.filters.T)


def test_what_a_front_end_needs_is_saved_with_it() -> None:
    config = FrontendConfig(bands=64)
    frontend = Frontend(config, device_gains={"B": np.full(config.bins, 2.0)})
    frontend.mean.fill_(-3.0)
    again = Frontend(config, device_gains={"B": np.ones(config.bins)}, filters=frontend.filters)
    again.load_state_dict(frontend.state_dict())
    samples, index = torch.from_numpy(noise(44100))[None], frontend.device_index(["B"])
    torch.testing.assert_close(again(samples, index), frontend(samples, index))


def test_gains_of_another_fft_size_are_refused() -> None:
    with pytest.raises(DeviceError, match=r"Device B has 513 gains\. Expected 1025"):
        Frontend(FrontendConfig(), device_gains={"B": np.ones(513)})


def test_samples_without_a_batch_axis_are_refused() -> None:
    with pytest.raises(ConfigError, match="Add the batch axis"):
        Frontend(FrontendConfig())(torch.zeros(44100))


def test_bands_narrower_than_a_bin_are_refused() -> None:
    with pytest.raises(ConfigError, match="of 500 mel bands have no frequency bin"):
        Frontend(FrontendConfig(bands=500))


def test_every_impossible_setting_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"bands is 0; .*mel range is 5000"):
        FrontendConfig(bands=0, low_hz=5000, high_hz=4000)


def test_gains_may_be_brought_along() -> None:
    """What a device's row does, the same factors for each clip do."""
    config = FrontendConfig(bands=64)
    gains = np.linspace(0.5, 2.0, config.bins)
    frontend = Frontend(config, device_gains={"B": gains})
    samples = torch.from_numpy(noise(44100)).repeat(2, 1)
    brought = torch.stack([torch.from_numpy(gains).float(), torch.ones(config.bins)])
    wanted = frontend(samples, frontend.device_index(["B", None]))
    torch.testing.assert_close(frontend(samples, gains=brought), wanted)
    with pytest.raises(
        ConfigError, match=r"gains have shape \(1025,\) for 2 clips\. Expected \(2, 1025"
    ):
        frontend.log_mel(samples, gains=brought[0])
