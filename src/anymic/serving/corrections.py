"""Correct a recording that was sent to the service."""

from __future__ import annotations

import numpy as np

from anymic.audio import DecodedFile
from anymic.bundle import Bundle, Ensemble
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import DeviceError, of_one_file
from anymic.serving.uploads import wav_header


def profile_in(bundle: Bundle | Ensemble) -> DeviceProfile:
    """Return the device profile of a model; DeviceError if it has none."""
    if bundle.profile is None:
        raise DeviceError(
            "the model has no device profile",
            expected="a model that corrects devices",
            fix="add one with `anymic devices add`",
        )
    return bundle.profile


def corrected_wav(
    bundle: Bundle | Ensemble, decoded: DecodedFile, device: str, gain_db: float
) -> tuple[bytes, list[str]]:
    """Return a WAV file, 32-bit floats, of the corrected recording, and notes.

    Raises
    ------
    DeviceError
        If the model has no profile, or this has no such device.
    """
    profile = profile_in(bundle)
    with of_one_file():
        clip = decoded.clip()
        samples = profile.apply(clip.samples, clip.rate_hz, device=device)
    samples *= np.float32(10 ** (gain_db / 20))
    notes, info = list(clip.notes), decoded.info
    if info.rate_hz != clip.rate_hz:
        notes.append(f"resampled from {info.rate_hz} Hz")
    if info.channels > 1:
        notes.append(f"{info.channels} channels became one ({bundle.contract.channel})")
    peak = float(np.abs(samples).max())
    if peak > 1:
        notes.append(f"the peak of {peak:.2f} is over full scale, and not clipped")
    data = samples.astype("<f4", copy=False).tobytes()
    return wav_header(clip.rate_hz, 1, "f32le", data_bytes=len(data)) + data, notes
