"""The expected effect of the gains of a new device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymic.devices.correction.new_device import Estimated
from anymic.devices.correction.profile import DeviceGains, Source

UNCERTAIN_DB = 2.0  # half the 95 % interval of a gain: above it, the gain is called uncertain
INTERVAL = 1.96  # standard errors


@dataclass(frozen=True)
class Expectation:
    """The expected effect of the gains of a device, over the frequencies that a model uses.

    Attributes
    ----------
    device : str
    source : {"takes", "blind", "response"}
    reference : str
        What the gains correct towards.
    recordings : int
        Takes or recordings that they were estimated from; 0 for a measured response.
    lowest_db, median_db, highest_db : float
        The gains.
    spread_db : float or None
        Median over bins of the standard deviation over recordings, of two or more.
    before_db, after_db : float
        The difference of one recording of the device from the reference, root mean square over
        bins: without the gains, and with them. For `blind`, `after_db` is the standard error of
        the gains.
    uncertain_hz : tuple of (float, float)
        Ranges in which the 95 % interval of a gain is wider than 2 dB up and down.
    """

    device: str
    source: Source
    reference: str
    recordings: int
    lowest_db: float
    median_db: float
    highest_db: float
    spread_db: float | None
    before_db: float
    after_db: float
    uncertain_hz: tuple[tuple[float, float], ...]


def expectation(
    estimated: Estimated, device: str, gains: DeviceGains, bins: NDArray[np.bool_]
) -> Expectation:
    """Return the expected effect of a device's gains; `gains` are those of the changed model."""
    summary = gains.summary(bins)
    gains_db = 20 * np.log10(gains.gains[bins])
    error_db, spread_db = estimated.error_db[device][bins], gains.spread_db[bins]
    content = spread_db if gains.source == "takes" else np.zeros_like(spread_db)
    after = np.hypot(content, np.where(np.isfinite(error_db), error_db, 0.0))
    hz = estimated.profile.frequencies_hz()[bins]
    return Expectation(
        device=device,
        source=gains.source,
        reference="+".join(estimated.profile.reference),
        recordings=gains.count,
        lowest_db=summary["lowest_db"],
        median_db=summary["median_db"],
        highest_db=summary["highest_db"],
        spread_db=summary["spread_db"],
        before_db=float(np.sqrt(np.mean(gains_db**2 + content**2))),
        after_db=float(np.sqrt(np.mean(after**2))),
        uncertain_hz=_ranges(hz, error_db > UNCERTAIN_DB / INTERVAL),
    )


def _ranges(hz: NDArray[np.float64], marked: NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(int), [0]])))
    pairs = edges.reshape(-1, 2)
    return tuple((float(hz[begin]), float(hz[end - 1])) for begin, end in pairs)
