"""Random devices on log-mel features, and Freq-MixStyle: against recorded samples, and laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import firwin2

from anymic.devices.simulation.random_devices import DrawnDevices, RandomDevices
from anymic.errors import ConfigError, DeviceError
from anymic.features import Frontend, FrontendConfig
from anymic.training import TrainingConfig
from anymic.training.loop.augmentation import Mixup
from anymic.training.loop.batches import TrainingBatches
from anymic.training.loop.device_augmentation import DeviceAugmentation, FreqMixStyle
from anymic.training.parts import Examples

RATE_HZ = 16000
CONFIG = FrontendConfig(RATE_HZ, 1024, 512, 64)
MILD = RandomDevices(share=1, cutoffs=0, clipping=0, noise_db=(-200, -200))


def sound(seed: int) -> NDArray[np.float32]:
    """Return two seconds of coloured noise whose level rises and falls."""
    generator = np.random.default_rng(seed)
    samples = np.convolve(generator.standard_normal(2 * RATE_HZ), [1, 0.9, 0.5], mode="same")
    level = 0.05 * (1.1 + np.sin(np.arange(len(samples)) / 3000))
    return (level * samples).astype(np.float32)


def log_mel(samples: NDArray[np.float32], config: FrontendConfig = CONFIG) -> torch.Tensor:
    return Frontend(config).log_mel(torch.from_numpy(samples)[None])


class Given(RandomDevices):
    """Devices that are given, not drawn."""

    def draw(self, count: int, hz: NDArray[np.float64], generator: object) -> DrawnDevices:
        levels = 12 * np.sin(np.log(np.maximum(hz, 50) / 50))
        return DrawnDevices(np.tile(levels, (count, 1)), np.full(count, -50.0), np.zeros(count))


@pytest.mark.parametrize("power", [1, 2])
def test_features_are_those_of_the_samples_that_a_device_records(power: int) -> None:
    config = FrontendConfig(RATE_HZ, 1024, 512, 64, power=power)
    hz = np.linspace(0, RATE_HZ / 2, 513)
    given = Given(share=1).draw(1, hz, None)
    taps = firwin2(1023, hz, 10 ** (given.levels_db[0] / 20), fs=RATE_HZ)
    plain, noise = sound(0), np.random.default_rng(9).standard_normal(2 * RATE_HZ)
    recorded = np.convolve(plain, taps, mode="same") + 10 ** (-50 / 20) * noise
    wanted = log_mel(recorded.astype(np.float32), config)
    augmentation = DeviceAugmentation(Given(share=1), config)
    before = log_mel(plain, config)
    draw = augmentation.draw(1, before.shape[-1], np.random.default_rng(0))
    found = draw.apply(before)
    # dB; noise differs from frame to frame, so its mean and its deviation over frames are compared.
    factor = 20 / np.log(10) / power
    quiet, loud = before.mean(dim=(0, 1)) < before.mean(), before.mean(dim=(0, 1)) >= before.mean()
    error = factor * (found - wanted)[0]
    assert error[:, loud].mean(dim=1).abs().median() < 0.3
    assert error[:, quiet].mean(dim=1).abs().median() < 0.6
    spread, wanted_spread = found[0].std(dim=1).median(), wanted[0].std(dim=1).median()
    assert abs(factor * (spread - wanted_spread)) < 0.5


def test_a_device_that_changes_nothing_changes_nothing() -> None:
    devices = RandomDevices(share=1, scale=0, level_db=0, noise_db=(-200, -200), cutoffs=0)
    features = log_mel(sound(1))
    draw = DeviceAugmentation(devices, CONFIG).draw(1, features.shape[-1], np.random.default_rng(0))
    torch.testing.assert_close(draw.apply(features), features, atol=1e-4, rtol=0)


def test_about_the_share_of_the_clips_is_changed_and_the_input_stays() -> None:
    features = log_mel(sound(2)).repeat(200, 1, 1)
    before = features.clone()
    devices = RandomDevices(share=0.3)
    draw = DeviceAugmentation(devices, CONFIG).draw(200, 63, np.random.default_rng(3))
    changed = (draw.apply(features) != features).flatten(1).any(dim=1)
    assert changed.nonzero().flatten().tolist() == draw.clip.tolist()
    assert 40 <= int(changed.sum()) <= 80
    torch.testing.assert_close(features, before, atol=0, rtol=0)


def test_freq_mixstyle_gives_the_mixed_mean_and_deviation() -> None:
    features = torch.randn(6, 4, 50, generator=torch.Generator().manual_seed(0)) * 3 + 2
    draw = FreqMixStyle(share=1.0).draw(6, np.random.default_rng(1))
    found = draw.apply(features)
    weight = draw.weight[:, None]
    for before, after in (
        (features.mean(dim=-1), found.mean(dim=-1)),
        (features.std(dim=-1, correction=0), found.std(dim=-1, correction=0)),
    ):
        wanted = weight * before + (1 - weight) * before[draw.partner]
        torch.testing.assert_close(after, wanted, atol=1e-4, rtol=1e-4)


def test_freq_mixstyle_keeps_the_shape_of_each_band_over_time() -> None:
    features = torch.randn(6, 4, 50, generator=torch.Generator().manual_seed(0))
    found = FreqMixStyle(share=1.0).draw(6, np.random.default_rng(1)).apply(features)
    for clip in range(6):
        for band in range(4):
            rows = np.stack([features[clip, band].numpy(), found[clip, band].numpy()])
            assert np.corrcoef(rows)[0, 1] > 0.9999


def batches(**place: int) -> TrainingBatches:
    generator = np.random.default_rng(0)
    features = generator.normal(-4, 1, (26, 64, 9)).astype(np.float16)
    nothing, rows = np.arange(0), np.arange(26)
    data = Examples(features, tuple("abcd"), rows, rows % 4, nothing, nothing)
    config = TrainingConfig(
        frontend=CONFIG,
        batch_size=8,
        mixup=Mixup(0.5, 0.4),
        random_devices=RandomDevices(share=0.6),
        freq_mixstyle=FreqMixStyle(share=0.6, alpha=0.4),
    )
    return TrainingBatches(data, config, **place)


def test_processes_together_have_the_batches_of_one() -> None:
    alone = batches()
    for step in range(len(alone)):
        whole = alone[2, step]
        parts = [batches(rank=rank, processes=3)[2, step] for rank in range(3)]
        for rank, part in enumerate(parts):
            torch.testing.assert_close(part.features, whole.features[rank::3], atol=0, rtol=0)
            torch.testing.assert_close(part.targets, whole.targets[rank::3], atol=0, rtol=0)


def test_each_epoch_has_other_devices_and_the_same_epoch_the_same() -> None:
    first, again, other = batches()[0, 0], batches()[0, 0], batches()[1, 0]
    torch.testing.assert_close(first.features, again.features, atol=0, rtol=0)
    assert not torch.equal(first.features, other.features)


@pytest.mark.parametrize(
    "config",
    [
        FrontendConfig(RATE_HZ, 1024, 512, 64, scaling="clip"),
        FrontendConfig(RATE_HZ, 1024, 512, 1, features="waveform"),
    ],
)
def test_features_that_no_gain_can_be_applied_to_are_refused(config: FrontendConfig) -> None:
    with pytest.raises(ConfigError, match="random devices change log-mel features"):
        DeviceAugmentation(MILD, config)


def test_a_folder_without_responses_is_refused_before_the_training(tmp_path: object) -> None:
    with pytest.raises(DeviceError, match="has no impulse responses"):
        DeviceAugmentation(RandomDevices(responses=str(tmp_path)), CONFIG)


@pytest.mark.parametrize("settings", [{"share": -0.1}, {"share": 1.1}, {"alpha": 0.0}])
def test_impossible_settings_of_freq_mixstyle_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="Freq-MixStyle has share"):
        FreqMixStyle(**settings)
