"""Sequences of a fixed number of segments: short ones repeated, long ones split (Xu 2018)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anymic.errors import ConfigError


def fixed_segments(sequence: NDArray[np.floating], count: int) -> NDArray[np.floating]:
    """Split a clip's segments into parts of `count`.

    A shorter sequence is repeated to the length of a part. A longer one is split into consecutive
    parts; a rest of at least half a part is repeated in the same way, and a shorter rest is left
    out: the rule of `anymic.inference.windowing` for samples.

    Parameters
    ----------
    sequence : array (segment, feature)
    count : int
        Number of segments of a part.

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
