"""Combine the probabilities of the members of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.calibration import IsotonicCalibrator
from anymic.errors import ConfigError, counted

Voting = Literal["soft", "calibrated", "geometric"]


def vote(
    probabilities: ArrayLike, voting: Voting, calibrators: Sequence[IsotonicCalibrator] = ()
) -> NDArray[np.float64]:
    """Return the combined probabilities (clip, label), float64; each row sums to 1.

    Parameters
    ----------
    probabilities : array (member, clip, label)
    voting : {"soft", "calibrated", "geometric"}
        soft: the mean of the members' probabilities. calibrated: the same after each member's
        calibrator (Kosmider 2019, section 6). geometric: their geometric mean, divided by its
        sum over labels, which is the softmax of the mean of the members' log probabilities.
    calibrators : sequence of IsotonicCalibrator
        One for each member, for calibrated voting.

    Raises
    ------
    ConfigError
        If the voting is unknown, or there is no member or not a calibrator for each.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if voting not in get_args(Voting):
        raise ConfigError(f"unknown voting {voting!r}", expected="soft, calibrated or geometric")
    if p.ndim != 3 or not len(p):
        raise ConfigError(
            f"the probabilities have shape {p.shape}",
            expected="(member, clip, label), one member or more",
        )
    if voting == "calibrated":
        if len(calibrators) != len(p):
            raise ConfigError(
                f"{counted(len(calibrators), 'calibrator')} for {counted(len(p), 'member')}",
                expected="one for each member",
                fix="calibrate every member on clips that it was not trained on",
            )
        p = np.stack([one.transform(own) for one, own in zip(calibrators, p, strict=True)])
    if voting != "geometric":
        return np.asarray(p.mean(axis=0))
    logarithm = np.log(np.maximum(p, np.finfo(np.float64).tiny)).mean(axis=0)
    scaled = np.exp(logarithm - logarithm.max(axis=1, keepdims=True))
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))
