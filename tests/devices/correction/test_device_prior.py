"""The prior of an unknown device's gains, and what an observation makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from anymic.devices.analysis import NEPER_DB
from anymic.devices.correction.device_prior import (
    KNOWN_SHARE,
    LEVEL_DB,
    LEVEL_HZ,
    NEARLY_DB,
    Component,
    components,
    posterior,
)
from anymic.devices.simulation.random_responses import microphones

HZ = np.array([125.0, 250.0, 500.0, 1000.0, 4000.0])


@pytest.mark.parametrize("observed", [-1.5, 0.2, 0.6, 2.0])
def test_the_posterior_of_one_band_is_that_of_numerical_integration(observed: float) -> None:
    """Two kinds of devices of unlike shares, means and variances; noise of variance 0.25."""
    kinds = [(0.7, -0.5, 0.3), (0.3, 1.0, 0.8)]
    mixture = [Component(s, np.array([mean]), np.array([[sd**2]])) for s, mean, sd in kinds]
    found = posterior(mixture, np.array([observed]), np.array([[0.25]]))
    gains = np.linspace(-8, 8, 40_001)
    density = sum(share * norm.pdf(gains, mean, sd) for share, mean, sd in kinds)
    density = density * norm.pdf(observed, gains, 0.5)
    density = density / density.sum()
    mean = (density * gains).sum()
    assert found.mean[0] == pytest.approx(mean, rel=1e-6)
    assert found.covariance[0, 0] == pytest.approx((density * (gains - mean) ** 2).sum(), rel=1e-6)


def test_the_bands_of_a_posterior_are_those_of_conditional_normal_distributions() -> None:
    """One kind of device: K (K + S)^-1 y and K - K (K + S)^-1 K around its mean."""
    random = np.random.default_rng(0)
    roots = random.normal(size=(2, 5, 5))
    device, noise = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(5)
    mean, observed = random.normal(size=(2, 5))
    found = posterior([Component(1.0, mean, device)], observed, noise)
    weight = device @ np.linalg.inv(device + noise)
    np.testing.assert_allclose(found.mean, mean + weight @ (observed - mean), atol=1e-9)
    np.testing.assert_allclose(found.covariance, device - weight @ device, atol=1e-9)


@pytest.mark.parametrize("devices", [0, 1, 3])
def test_the_shares_of_all_kinds_of_devices_sum_to_one(devices: int) -> None:
    known = np.random.default_rng(1).normal(size=(devices, len(HZ)))
    mixture = components("microphones", HZ, known)
    assert len(mixture) == max(devices, 1) + 2
    assert sum(one.share for one in mixture) == pytest.approx(1.0)
    assert sum(one.share for one in mixture[:-2]) == pytest.approx(KNOWN_SHARE)
    for one in mixture:
        np.testing.assert_array_equal(one.covariance, one.covariance.T)
        assert np.linalg.eigvalsh(one.covariance).min() > 0
    near = mixture[0].covariance * NEPER_DB**2
    np.testing.assert_allclose(np.diag(near), NEARLY_DB**2 + LEVEL_DB**2)
    assert near[0, 1] == pytest.approx(NEARLY_DB**2 / np.e + LEVEL_DB**2)  # an octave apart


def test_a_device_to_which_the_others_are_corrected_is_taken_to_be_flat() -> None:
    """Measured microphones are then expected at the inverse of their mean response, for all."""
    curve = np.linspace(-1, 1, len(HZ))
    relative = components("microphones", HZ, np.stack([np.zeros(len(HZ)), curve]))
    alone = components("microphones", HZ, np.zeros((1, len(HZ))))
    np.testing.assert_array_equal(relative[-2].mean, alone[-2].mean)
    assert np.abs(alone[-2].mean).max() > 0.01
    around = components("microphones", HZ, np.stack([0.5 * curve, curve]))[-2]
    np.testing.assert_allclose(around.mean, 0.75 * curve)
    wider = around.covariance - relative[-2].covariance
    np.testing.assert_allclose(wider, np.outer(alone[-2].mean, alone[-2].mean), atol=1e-12)


def test_measured_microphones_have_their_mean_response_with_0_db_in_the_middle() -> None:
    hz, statistics = np.array([60.0, *HZ, 12_000.0]), microphones()
    curve_db = np.interp(np.log(hz), np.log(statistics.centres_hz), statistics.mean_db)
    inside = (hz >= LEVEL_HZ[0]) & (hz <= LEVEL_HZ[1])
    found = components("microphones", hz, np.zeros((1, len(hz))))[-2].mean
    np.testing.assert_allclose(-NEPER_DB * found, curve_db - curve_db[inside].mean(), atol=1e-9)
