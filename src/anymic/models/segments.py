"""Sequences of a fixed number of segments: short ones repeated, long ones split (Xu 2018)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anymic.errors import ConfigError


def fixed_segments(sequence: NDArray[np.floating], count: int) -> NDArray[np.floating]:
    """Return a clip's segments in parts of `count`.

    A sequence shorter than a part is repeated up to one. A longer one is split into parts, one
    behind the other; the rest at its end is a part if it is at least half as long as one, and is
    then repeated as a short sequence is: the rule of `anymic.inference.windowing` for samples.

    Parameters
    ----------
    sequence : array (segment, feature)
    count : int
        Segments of a part.

    Returns
    -------
    array (part, count, feature)
        At least one part.

    Raises
    ------
    ConfigError
        If there is no segment, or `count` is below 1.
    """
    if sequence.ndim != 2 or not len(sequence) or count < 1:
        raise ConfigError(
            f"the segments have shape {sequence.shape}, in parts of {count}",
            expected="(segment, feature), at least one segment, and parts of 1 or more",
        )
    starts = range(0, len(sequence), count)
    rests = [sequence[start : start + count] for start in starts]
    kept = [part for number, part in enumerate(rests) if not number or 2 * len(part) >= count]
    return np.stack([part[np.arange(count) % len(part)] for part in kept])
