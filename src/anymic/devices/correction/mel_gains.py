"""Gains of mel bands, for comparison with gains of frequency bins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anymic.devices.correction.estimators import ESTIMATORS
from anymic.devices.correction.gain_fitting import Estimation
from anymic.devices.correction.profile import DeviceProfile
from anymic.devices.correction.spectra import ClipSpectra
from anymic.errors import DeviceError


def band_gains(
    spectra: ClipSpectra, profile: DeviceProfile, filters: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """Estimate the gains of a profile again, on mel spectra.

    Within a band such a gain does not change the device's response. Nguyen 2020, section 2.1,
    finds gains of bins better and gives no numbers.

    Parameters
    ----------
    spectra : ClipSpectra
        The spectra that the profile was fitted on.
    profile : DeviceProfile
        States devices, reference and estimator.
    filters : array (band, bin)
        The mel filters, of magnitudes.

    Returns
    -------
    dict of str to array (band,)
        Positive amplitude factors, for `Frontend`; 1 for a single reference device.

    Raises
    ------
    DeviceError
        If the estimator does not work on mel bands.
    """
    if not ESTIMATORS.get(profile.estimator).mel_bands:
        raise DeviceError(
            f"the estimator {profile.estimator} does not work for mel bands",
            expected=" or ".join(for_mel_bands()),
            fix="choose one of them, or the domain magnitude",
        )
    mel = replace(spectra, magnitude=spectra.magnitude @ filters.T.astype(np.float64))
    estimation = Estimation(
        mel, profile.reference, profile.estimator, profile.floor_db, profile.limit_db
    )
    gains = {name: np.ones(len(filters)) for name in profile.devices}
    for name in profile.devices:
        if profile.reference != (name,):
            gains[name] = estimation.solve(name)[0].gains
    return gains


def for_mel_bands() -> list[str]:
    """Return the names of the estimators that work on mel bands."""
    return [spec.name for spec in ESTIMATORS.specs() if spec.mel_bands]
