"""Estimate a device profile from recordings in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from anymic._internal.process_state import left_as_found
from anymic.data.manifest import Manifest
from anymic.data.reading import without_labels
from anymic.data.splits import clips_of_split
from anymic.devices.correction.profile import DeviceProfile
from anymic.devices.correction.spectrum_correction import SpectrumCorrection


@left_as_found()
def profile(
    takes: Manifest | pd.DataFrame | str | Path,
    *,
    reference: str | Sequence[str] = "A",
    devices: Sequence[str] | None = None,
    split: str | Sequence[str] | None = None,
    rate_hz: int | None = None,
    **settings: Any,
) -> DeviceProfile:
    """Estimate the gains that correct each device towards the reference.

    Notes on the fit, such as few takes or unusable files, are given as warnings.

    Parameters
    ----------
    takes : Manifest, DataFrame or path
        Clips with their `device`, and for aligned estimators their `take`.
    reference, settings
        Parameters of `SpectrumCorrection`.
    devices, rate_hz
        As in `SpectrumCorrection.fit`.
    split : str or sequence of str, optional
        Only clips of these splits; pass "train" if the profile is for a classifier.

    Returns
    -------
    DeviceProfile
        For each device gains (bin,), linear factors of magnitudes; those of the reference are 1.

    Raises
    ------
    ManifestError, DeviceError
        As `SpectrumCorrection.fit`.

    Examples
    --------
    >>> import anymic
    >>> gains = anymic.profile("clips.csv", reference="A", fft_size=512, hop_samples=256)
    >>> gains.gains_for("B").shape  # (bin,), factors of magnitudes
    (257,)
    >>> gains.write("profile.json").name
    'profile.json'
    """
    manifest = without_labels(takes)
    if split is not None:
        manifest = clips_of_split(manifest, split, purpose="estimate gains from")
    correction = SpectrumCorrection(reference=reference, **settings)
    return correction.fit(manifest, devices=devices, rate_hz=rate_hz).profile_
