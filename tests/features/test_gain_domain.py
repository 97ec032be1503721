"""Gains in the log-mel domain: of bands, added behind the logarithm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from anymic.errors import ConfigError, DeviceError
from anymic.features import Frontend, FrontendConfig, SharedFrontends

CONFIG = FrontendConfig(rate_hz=8000, fft_size=256, hop_samples=128, bands=32)
SAMPLES = torch.from_numpy(np.random.default_rng(0).normal(scale=0.3, size=(2, 8000))).float()


@pytest.mark.parametrize("power", [1, 2])
def test_a_bands_gain_moves_its_logarithm_and_nothing_else(power: int) -> None:
    config = FrontendConfig(rate_hz=8000, fft_size=256, hop_samples=128, bands=32, power=power)
    gains = np.geomspace(0.1, 10, 32)
    frontend = Frontend(config, device_gains={"B": gains})
    assert frontend.gain_domain == "log_mel"
    plain = frontend.log_mel(SAMPLES)
    corrected = frontend.log_mel(SAMPLES, frontend.device_index(["A", "B"]))
    torch.testing.assert_close(corrected[0], plain[0])
    moved = (corrected[1] - plain[1]).numpy()
    np.testing.assert_allclose(moved, power * np.log(gains)[:, None].repeat(63, 1), atol=1e-5)


@pytest.mark.parametrize("power", [1, 2])
def test_a_gain_of_all_bins_is_one_of_all_bands(power: int) -> None:
    """Where sound is well above the offset inside the logarithm."""
    config = FrontendConfig(
        rate_hz=8000, fft_size=256, hop_samples=128, bands=32, power=power, log_offset=1e-12
    )
    both = [
        Frontend(config, device_gains={"B": np.full(size, 4.0)})
        for size in (config.bins, config.bands)
    ]
    assert [one.gain_domain for one in both] == ["magnitude", "log_mel"]
    features = [one.log_mel(SAMPLES, one.device_index(["B", "B"])) for one in both]
    torch.testing.assert_close(features[0], features[1], atol=1e-4, rtol=0)


def test_front_ends_of_both_domains_share_nothing_they_should_not() -> None:
    random = np.random.default_rng(1)
    frontends = [
        Frontend(CONFIG, device_gains={"B": random.uniform(0.5, 2, size)})
        for size in (CONFIG.bins, CONFIG.bands, CONFIG.bands)
    ]
    shared = SharedFrontends(frontends)
    assert sorted(map(len, shared.groups)) == [1, 2]
    gains = [tuple(one.gains[1] for one in frontends), (None,) * 3]
    together = shared.log_mel(SAMPLES, gains)
    for frontend, found in zip(frontends, together, strict=True):
        alone = frontend.log_mel(SAMPLES, frontend.device_index(["B", None]))
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)


def neighbours(values: np.ndarray, count: int) -> np.ndarray:
    """Return the means over up to so many neighbouring values."""
    ones = np.ones(count)
    sums = np.convolve(values, ones, mode="same")
    return np.asarray(sums / np.convolve(np.ones_like(values), ones, mode="same"))


@pytest.mark.parametrize("power", [1, 2])
def test_front_ends_subtract_noise_together_as_alone(power: int) -> None:
    """Gains with noise, plain and none, in one batch; in bins without noise nothing changes."""
    config = replace(CONFIG, power=power)
    random = np.random.default_rng(2)
    plain = random.uniform(0.5, 20, config.bins)
    powers = np.where(np.arange(config.bins) < 40, 0, 0.3), np.full(config.bins, 0.1)
    noisy, other = np.concatenate([plain, *powers]), random.uniform(0.5, 20, config.bins)
    frontends = [
        Frontend(config, device_gains={"B": noisy, "C": other}),
        Frontend(config, device_gains={"B": plain, "C": other}),
    ]
    assert [one.gains.shape[1] for one in frontends] == [3 * config.bins, config.bins]
    samples = torch.cat([SAMPLES, SAMPLES[:1]])
    gains = [tuple(one.gains[1] for one in frontends), (None,) * 2]
    gains.append((frontends[1].gains[2], frontends[0].gains[2]))
    together = SharedFrontends(frontends).log_mel(samples, gains)
    for frontend, found in zip(frontends, together, strict=True):
        alone = frontend.log_mel(samples, frontend.device_index(["B", None, "C"]))
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)
        assert torch.equal(alone[1], frontend.log_mel(SAMPLES)[1])
    torch.testing.assert_close(together[0][1:], together[1][1:], atol=1e-5, rtol=1e-5)
    low = torch.nonzero(frontends[0].filters[:, 40:].sum(dim=1) == 0).flatten()
    torch.testing.assert_close(together[0][0, low], together[1][0, low], atol=1e-5, rtol=1e-5)
    assert (together[0][0] - together[1][0]).max() < 1e-5  # nothing is raised
    magnitude = frontends[1].magnitude(samples[:1])[0] * torch.from_numpy(plain).float()
    energy = float(frontends[0].window.square().sum())
    spectrum = magnitude.square() / energy
    means = np.apply_along_axis(neighbours, 1, spectrum.numpy(), 9)
    means = np.apply_along_axis(neighbours, 0, means, 5)
    left = np.maximum(1 - 0.3 / means, np.minimum(0.1 / means, 1))
    spectrum = spectrum * torch.from_numpy(np.where(powers[0] > 0, left, 1))
    wanted = ((spectrum * energy).float() ** (power / 2)) @ frontends[0].filters.T
    found = together[0][0].T.exp() - config.log_offset
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5)


def test_gains_of_neither_domain_are_refused() -> None:
    for wrong in ({"B": np.ones(33)}, {"B": np.ones(32), "C": np.ones(CONFIG.bins)}):
        with pytest.raises(
            DeviceError, match=r"Expected 129, one for each frequency bin, or .* 32, one for each"
        ):
            Frontend(CONFIG, device_gains=wrong)
    frontend = Frontend(CONFIG, device_gains={"B": np.ones(32)})
    with pytest.raises(
        ConfigError, match=r"Expected \(2, 32\), a factor for each clip and mel band"
    ):
        frontend.log_mel(SAMPLES, gains=torch.ones(2, CONFIG.bins))
