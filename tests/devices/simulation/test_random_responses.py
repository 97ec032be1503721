"""Responses that are drawn at random are like those that the statistics were taken of."""

from __future__ import annotations

import numpy as np
import pytest

from anymic.devices.simulation.random_responses import (
    cosine_transform,
    fit_statistics,
    microphones,
)
from anymic.errors import DeviceError

HZ = np.linspace(0, 22050, 1025)


def thirds(levels_db: np.ndarray, hz: np.ndarray) -> np.ndarray:
    """Return the mean level in three bands, (response, band), without the overall level."""
    edges = ((200, 400), (1000, 2000), (5000, 7000))
    bands = [levels_db[:, (hz >= low) & (hz < high)].mean(axis=1) for low, high in edges]
    found = np.stack(bands, axis=1)
    return np.asarray(found - found.mean(axis=1, keepdims=True))


def test_statistics_of_drawn_responses_are_those_they_were_drawn_from() -> None:
    drawn = microphones().draw(2000, HZ, np.random.default_rng(0))
    again = fit_statistics(drawn, HZ).draw(2000, HZ, np.random.default_rng(1))
    for one in (np.mean, np.std):
        np.testing.assert_allclose(one(thirds(again, HZ), 0), one(thirds(drawn, HZ), 0), atol=0.6)
    ripples = [cosine_transform(part)[:, 60:300].std() for part in (drawn, again)]
    assert ripples[1] == pytest.approx(ripples[0], rel=0.15)


def test_a_response_does_not_depend_on_the_rate() -> None:
    """Below 8 kHz the same bands and ripples are drawn for 16 kHz as for 44.1 kHz."""
    low = np.linspace(0, 8000, 513)
    wide = microphones().draw(4000, HZ, np.random.default_rng(0))
    narrow = microphones().draw(4000, low, np.random.default_rng(1))
    spread = [thirds(curves, hz).std(axis=0) for curves, hz in ((wide, HZ), (narrow, low))]
    np.testing.assert_allclose(spread[1], spread[0], rtol=0.15)
    rough = [np.diff(wide[:, HZ < 8000]).std() * 512 / 1024 * 44100 / 16000, np.diff(narrow).std()]
    assert rough[1] == pytest.approx(rough[0], rel=0.6)


def test_the_same_seed_draws_the_same_and_a_shorter_description_is_its_beginning() -> None:
    statistics = microphones()
    first = statistics.draw(3, HZ, np.random.default_rng(5))
    np.testing.assert_array_equal(first, statistics.draw(3, HZ, np.random.default_rng(5)))
    whole = statistics.draw_cosines(3, HZ, np.random.default_rng(5), len(HZ) - 1)
    np.testing.assert_allclose(cosine_transform(first)[:, 1:], whole, atol=1e-9)


def test_too_few_responses_are_refused() -> None:
    with pytest.raises(DeviceError, match="at least three"):
        fit_statistics(np.zeros((2, len(HZ))), HZ)
