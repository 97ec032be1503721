"""Copies of clips through random devices: what a device records, and what a copy depends on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anymic.devices.simulation.copies import Copies, SampleDevice
from anymic.devices.simulation.random_devices import RandomDevices

RATE_HZ, BINS = 16000, 513
HZ = np.linspace(0, RATE_HZ / 2, BINS)
FLAT = np.zeros(BINS, dtype=np.float32)
TIME_S = np.arange(RATE_HZ) / RATE_HZ


def sine(hz: float, peak: float) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * hz * TIME_S)).astype(np.float32)


@pytest.mark.parametrize("place", [20, 64, 200, 400])
def test_a_sine_has_the_level_of_the_response(place: int) -> None:
    device = Copies(RandomDevices(copies=1)).devices("clip", RATE_HZ)[0]
    quiet = SampleDevice(device.levels_db, -math.inf, 0.0, 0)
    before = sine(HZ[place], 0.1)
    after = quiet.record(before)[2000:-2000]
    gain_db = 20 * np.log10(after.std() / before[2000:-2000].std())
    assert gain_db == pytest.approx(device.levels_db[place], abs=0.1)


def test_a_flat_device_changes_nothing_and_has_no_delay() -> None:
    samples = np.random.default_rng(0).normal(size=RATE_HZ).astype(np.float32)
    recorded = SampleDevice(FLAT, -math.inf, 0.0, 0).record(samples)
    np.testing.assert_allclose(recorded, samples, atol=1e-5)


def test_the_noise_has_its_level_and_depends_on_seed_and_place() -> None:
    samples = sine(1000, 0.5)
    device = SampleDevice(FLAT, -40.0, 0.0, 7)
    added = device.record(samples) - samples
    assert 20 * np.log10(added.std()) == pytest.approx(-40, abs=0.2)
    np.testing.assert_array_equal(device.record(samples), device.record(samples))
    for other in (
        device.record(samples, first=RATE_HZ),
        SampleDevice(FLAT, -40.0, 0.0, 8).record(samples),
    ):
        assert abs(np.corrcoef(other - samples, added)[0, 1]) < 0.05


def test_clipping_keeps_the_peak_and_raises_what_is_quiet() -> None:
    samples = np.concatenate([sine(500, 0.4), sine(500, 0.004)])
    recorded = SampleDevice(FLAT, -math.inf, 12.0, 0).record(samples)
    assert np.abs(recorded).max() == pytest.approx(0.4, rel=1e-3)
    # drive / tanh(drive), as far as tanh is linear
    drive = 10 ** (12 / 20)
    quiet = recorded[-8000:].std() / samples[-8000:].std()
    assert quiet == pytest.approx(drive / math.tanh(drive), rel=1e-2)


def test_silence_stays_silence() -> None:
    silence = np.zeros(RATE_HZ, dtype=np.float32)
    assert not SampleDevice(FLAT, -40.0, 6.0, 0).record(silence).any()


def test_a_copy_depends_on_its_clip_its_number_and_the_seed_alone() -> None:
    few, many = (
        [one.content for one in Copies(RandomDevices(copies=count)).devices("clip", RATE_HZ)]
        for count in (2, 5)
    )
    assert many[:2] == few
    assert len(set(many)) == 5
    for other in (
        Copies(RandomDevices(), seed=1).devices("clip", RATE_HZ),
        Copies(RandomDevices()).devices("another", RATE_HZ),
        Copies(RandomDevices(scale=0.5)).devices("clip", RATE_HZ),
    ):
        assert not {one.content for one in other} & set(few)


def test_no_copies_are_no_devices() -> None:
    assert Copies(RandomDevices(copies=0)).devices("clip", RATE_HZ) == ()
