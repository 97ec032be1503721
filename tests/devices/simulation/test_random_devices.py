"""Random devices: statistics of what is drawn, and rejections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from anymic.devices.simulation.random_devices import RandomDevices
from anymic.devices.simulation.random_responses import microphones
from anymic.errors import ConfigError, DeviceError

HZ = np.linspace(0, 22050, 1025)


def test_the_same_generator_draws_the_same_devices() -> None:
    first, second = (RandomDevices().draw(3, HZ, np.random.default_rng(5)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_deviation_of_responses_is_that_of_the_statistics() -> None:
    devices = RandomDevices(level_db=0, cutoffs=0).draw(2000, HZ, np.random.default_rng(0))
    found = microphones()
    place = [int(np.abs(HZ - hz).argmin()) for hz in (1000, 4000, 8000)]
    differences = devices.levels_db[:, place[1:]] - devices.levels_db[:, place[:1]]
    wanted = np.interp([1000, 4000, 8000], found.centres_hz, found.mean_db)
    np.testing.assert_allclose(differences.mean(axis=0), wanted[1:] - wanted[0], atol=1.0)


def test_a_scale_of_zero_leaves_the_level_alone() -> None:
    devices = RandomDevices(scale=0, cutoffs=0, level_db=2).draw(500, HZ, np.random.default_rng(1))
    assert np.ptp(devices.levels_db, axis=1).max() == 0
    assert abs(devices.levels_db[:, 0].std() - 2) < 0.2


def test_nothing_is_left_far_above_a_cutoff() -> None:
    devices = RandomDevices(scale=0, cutoffs=1, level_db=0).draw(200, HZ, np.random.default_rng(2))
    # Cut-offs are uniform over log frequency: half of them lie below the middle.
    middle = int(np.abs(HZ - np.sqrt(3400 * 22050)).argmin())
    assert 0.4 < (devices.levels_db[:, middle] < 0).mean() < 0.6
    assert (devices.levels_db[:, HZ < 3400] == 0).all()


def test_measured_responses_are_drawn_from_the_folder(tmp_path: Path) -> None:
    for name, taps in {"flat": [1.0, 0.0], "dark": [0.5, 0.5]}.items():
        soundfile.write(tmp_path / f"{name}.wav", np.array(taps), 44100, subtype="FLOAT")
    settings = RandomDevices(responses=str(tmp_path), level_db=0, cutoffs=0)
    levels = settings.draw(50, HZ, np.random.default_rng(3)).levels_db
    falls = levels[:, 700] - levels[:, 10]
    # |cos(w / 2)|: the response of the mean of two samples.
    expected = 20 * np.log10(np.cos(np.pi * HZ[[700, 10]] / 44100))
    dark = falls < -1
    assert 10 < dark.sum() < 40
    np.testing.assert_allclose(falls[dark], expected[0] - expected[1], atol=0.1)
    np.testing.assert_allclose(falls[~dark], 0, atol=1e-6)


def test_a_folder_without_responses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="has no impulse responses"):
        RandomDevices(responses=str(tmp_path)).draw(1, HZ, np.random.default_rng(0))


@pytest.mark.parametrize(
    "settings",
    [
        {"share": 1.2},
        {"copies": -1},
        {"cutoffs": float("nan")},
        {"noise_db": (-60, -90)},
        {"noise_db": (-60, 3)},
        {"noise_db": (-60,)},
        {"level_db": float("inf")},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="random devices are impossible"):
        RandomDevices(**settings)  # type: ignore[arg-type]
