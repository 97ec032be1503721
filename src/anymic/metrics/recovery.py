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
    others: Sequence[str] = ("B", "C"),
) -> intervals.Interval:
    """Return the recovered share of the accuracy that devices lose compared with a reference.

    It is (corrected - uncorrected) / (reference - uncorrected): the first two are accuracies on the
    other devices, the third is that on the reference device without correction.

    Parameters
    ----------
    corrected, uncorrected : array (clip,)
        Whether (or how often) each clip was classified correctly.
    devices, groups : array (clip,)
        The interval resamples whole recordings, with all the devices that recorded them.
    """
    of_reference, of_others = devices == reference, np.isin(devices, tuple(others))

    def statistic(chosen: NDArray[np.intp]) -> float:
        rows = chosen[of_others[chosen]]
        without = uncorrected[rows].mean()
        lost = uncorrected[chosen[of_reference[chosen]]].mean() - without
        return float((corrected[rows].mean() - without) / lost) if lost else 0.0

    return intervals.bootstrap(statistic, groups)
