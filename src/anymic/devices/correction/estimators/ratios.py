"""Estimators that are ratios of means: of magnitudes, or of their logarithms in active frames.

Mel filters may sum mean magnitudes: `ratio_of_means` and `mean_of_ratios` work on bands, too.
"""

from __future__ import annotations

import numpy as np

from anymic.devices.analysis import NEPER_DB
from anymic.devices.correction.estimators import Array, Recordings, register_estimator


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


@register_estimator("ratio_of_means", takes="optional", mel_bands=True)
def ratio_of_means(recordings: Recordings) -> tuple[Array, Array]:
    """Return the mean spectrum of the reference over that of the device."""
    magnitude = recordings.spectra.magnitude
    if recordings.aligned:
        reference, device = recordings.of_takes(magnitude)
        means = reference.mean(axis=0), device.mean(axis=0)
    else:
        means = recordings.means(magnitude)
        reference, device = means[0][None], magnitude[recordings.rows[-1]]
    gains = recordings.floored(means[0]) / recordings.floored(means[1])
    return gains, recordings.ratios_db(reference, device)


@register_estimator("mean_of_ratios", takes="required", mel_bands=True)
def mean_of_ratios(recordings: Recordings) -> tuple[Array, Array]:
    """Return the mean over takes of the reference's spectrum over the device's."""
    ratios_db = recordings.ratios_db(*recordings.of_takes(recordings.spectra.magnitude))
    return (10 ** (ratios_db / 20)).mean(axis=0), ratios_db
