"""How much of the loss between devices a correction recovers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anymic.metrics import intervals


def recovered_share(
    corrected: NDArray[np.floating] | NDArray[np.bool_],
    uncorrected: NDArray[np.bool_],
    devices: NDArray[np.str_],
    groups: NDArray[np.str_],
    *,
    reference: str = "A",
    coloured: Sequence[str] = ("B", "C"),
) -> intervals.Interval:
    """Return the recovered share of the accuracy lost between devices.

    It is (corrected - uncorrected) / (reference - uncorrected): the first two are accuracies on the
    coloured devices, the third that on the reference device without correction.

    Parameters
    ----------
    corrected, uncorrected : array (clip,)
        Whether (or how often) each clip was classified correctly.
    devices, groups : array (clip,)
        The interval resamples whole recordings, with all the devices that recorded them.
    reference : str
        The device that loses nothing.
    coloured : sequence of str
        The devices that lose.
    """
    flat = devices == reference
    lossy = np.isin(devices, tuple(coloured))

    def statistic(chosen: NDArray[np.intp]) -> float:
        flat_clips, lossy_clips = chosen[flat[chosen]], chosen[lossy[chosen]]
        without = uncorrected[lossy_clips].mean()
        lost = uncorrected[flat_clips].mean() - without
        return float((corrected[lossy_clips].mean() - without) / lost) if lost else 0.0

    return intervals.bootstrap(statistic, groups)
