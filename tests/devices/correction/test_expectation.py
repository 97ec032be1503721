"""What a new device's gains are expected to change, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from anymic.devices.correction.expectation import expectation
from anymic.devices.correction.new_device import Estimated, _error_db
from anymic.devices.correction.profile import DeviceGains, DeviceProfile, Source

BINS = np.arange(9) > 0  # 500, 1000, ... 4000 Hz
GAINS_DB = np.array([100.0, 6, 6, 6, 6, -6, -6, -6, 0])
SPREAD_DB = np.array([100.0, 3, 3, 3, 3, 3, 3, 3, 8])
ERROR_DB = np.array([100.0, 2, 0.5, 0.5, 1.5, 1.5, 0.5, np.nan, 4])


@pytest.mark.parametrize("source", ["takes", "blind"])
def test_the_difference_of_a_recording_before_and_after_by_hand(source: Source) -> None:
    """Takes differ from the gains by their spread; the gains themselves by their error.

    A gain is uncertain where 1.96 times its error is more than 2 dB, that is above 1.02 dB. An
    error that is not known counts as none.
    """
    gains = DeviceGains(10 ** (GAINS_DB / 20), 5, SPREAD_DB, source)
    profile = DeviceProfile(8000, 16, ("A", "C"), "ratio_of_means", {"D": gains}, hop_samples=8)
    found = expectation(Estimated(profile, ("D",), {"D": ERROR_DB}), "D", gains, BINS)
    assert (found.device, found.source, found.reference) == ("D", source, "A+C")
    assert (found.recordings, found.spread_db) == (5, 3)
    levels = (found.lowest_db, found.median_db, found.highest_db)
    assert levels == pytest.approx((-6, 3, 6))
    before, after = 7 * 36.0, 4 + 0.25 + 0.25 + 2.25 + 2.25 + 0.25 + 16
    if source == "takes":
        before, after = before + 7 * 9 + 64, after + 7 * 9 + 64
    assert found.before_db == pytest.approx(np.sqrt(before / 8))
    assert found.after_db == pytest.approx(np.sqrt(after / 8))
    assert found.uncertain_hz == ((500, 500), (2000, 2500), (4000, 4000))


@pytest.mark.parametrize(("error_db", "uncertain"), [(1.02, ()), (1.021, ((500.0, 4000.0),))])
def test_a_gain_is_uncertain_where_half_its_interval_exceeds_2_db(
    error_db: float, uncertain: tuple[tuple[float, float], ...]
) -> None:
    gains = DeviceGains(np.ones(9), 5, np.zeros(9))
    profile = DeviceProfile(8000, 16, ("A",), "ratio_of_means", {"D": gains}, hop_samples=8)
    estimated = Estimated(profile, ("D",), {"D": np.full(9, error_db)})
    assert expectation(estimated, "D", gains, BINS).uncertain_hz == uncertain


def test_the_error_of_gains_is_that_of_the_mean_of_their_recordings() -> None:
    """Of a single recording it is not known."""
    spread_db = np.linspace(0, 8, 9)
    found = [_error_db(DeviceGains(np.ones(9), count, spread_db)) for count in (16, 2, 1)]
    np.testing.assert_allclose(found[0], spread_db / 4)
    np.testing.assert_allclose(found[1], spread_db / np.sqrt(2))
    assert np.isinf(found[2]).all()
