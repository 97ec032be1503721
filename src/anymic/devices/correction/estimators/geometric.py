"""Estimators of geometric means over active frames, which do not work on mel bands."""

from __future__ import annotations

import numpy as np

from anymic.devices.analysis import NEPER_DB
from anymic.devices.correction.estimators.registry import Array, Recordings, register_estimator


@register_estimator("geometric", takes="required")
def geometric(recordings: Recordings) -> tuple[Array, Array]:
    """Return the geometric mean over takes of the ratio, in jointly active frames."""
    logs = recordings.spectra.joint_log_magnitude[recordings.by_take]
    ratios_db = recordings.limited(NEPER_DB * (logs[:, :-1].mean(axis=1) - logs[:, -1]))
    return 10 ** (ratios_db.mean(axis=0) / 20), ratios_db


@register_estimator("geometric_unaligned", takes="ignored")
def geometric_unaligned(recordings: Recordings) -> tuple[Array, Array]:
    """Return the ratio of geometric means over all clips, each in its own active frames."""
    logs = recordings.spectra.log_magnitude
    reference, device = recordings.means(logs)
    return np.exp(reference - device), NEPER_DB * (reference - logs[recordings.rows[-1]])
