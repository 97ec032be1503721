"""Apply the gains of a device to magnitudes, STFTs and waveforms."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from anymic.audio import Clip
from anymic.devices.analysis import (
    check_analysis,
    hann_window,
    synthesis_hop,
    windowed_blocks,
)
from anymic.errors import DeviceError

Values = TypeVar("Values", NDArray[np.float32], NDArray[np.float64], torch.Tensor)
Spectrum = TypeVar("Spectrum", NDArray[np.complex64], NDArray[np.complex128], torch.Tensor)


def apply_to_magnitude(magnitude: Values, gains: NDArray[np.float64]) -> Values:
    """Return magnitudes times the gains of their bins.

    Parameters
    ----------
    magnitude : array or Tensor, (..., bin, frame), linear amplitude
        Not changed; the result has its type. For powers, square the gains first.
    gains : (bin,)
        Positive amplitude factors (`DeviceProfile.gains_for`), as many as bins, else DeviceError.
    """
    _check_bins(magnitude.shape[-2] if magnitude.ndim > 1 else None, gains)
    if isinstance(magnitude, torch.Tensor):
        real = magnitude.real.dtype if magnitude.is_complex() else magnitude.dtype
        factors = torch.as_tensor(gains, dtype=real, device=magnitude.device)
        return magnitude * factors[:, None]
    return magnitude * gains.astype(magnitude.real.dtype)[:, None]


def apply_to_stft(stft: Spectrum, gains: NDArray[np.float64]) -> Spectrum:
    """Return a complex STFT (..., bin, frame) times the gains; as `apply_to_magnitude`."""
    return apply_to_magnitude(stft, gains)  # type: ignore[type-var]


def apply_to_waveform(
    clip: Clip, gains: NDArray[np.float64], *, fft_size: int = 2048, hop_samples: int = 512
) -> Clip:
    """Return the clip with its spectrum corrected; see `apply_to_samples`.

    Its rate must be that of the profile (`DeviceProfile.require`).
    """
    samples = apply_to_samples(clip.samples, gains, fft_size=fft_size, hop_samples=hop_samples)
    return replace(clip, samples=samples)


def apply_to_samples(
    samples: NDArray[np.floating],
    gains: NDArray[np.float64],
    *,
    fft_size: int = 2048,
    hop_samples: int = 512,
) -> NDArray[np.float32]:
    """Return samples with their spectrum corrected: STFT, multiply, overlap-add.

    Length and alignment do not change; gains of 1 return the samples within float32 rounding.
    Analysis and synthesis window are Hann. Every sample lies in the full number of windows, so
    the ends are treated as the middle. Raises a DeviceError if the number of gains does not fit the
    FFT size, or the hop is too long.

    Parameters
    ----------
    samples : (sample,)
        Of any length. Not changed. Their rate must be that of the profile.
    gains : (bin,)
        Positive amplitude factors for fft_size // 2 + 1 bins.
    fft_size, hop_samples : int
        The analysis. With a hop of more than half the FFT size it is half of it.

    Returns
    -------
    (sample,) float32
        Not clipped: samples can exceed full scale.
    """
    check_analysis(fft_size, hop_samples)
    hop_samples = synthesis_hop(fft_size, hop_samples)
    _check_bins(fft_size // 2 + 1, gains)
    from scipy.fft import irfft, rfft

    count = len(samples)
    # Zeros all round, so that every sample lies in the full number of windows.
    frames = -(-(count + fft_size) // hop_samples) + 1
    padded = np.zeros((frames - 1) * hop_samples + fft_size, dtype=np.float32)
    padded[fft_size : fft_size + count] = samples
    output = np.zeros_like(padded)
    factors = gains.astype(np.float32)
    # Over the sum of the squared windows that meet at a sample, which repeats every hop.
    window, place = hann_window(fft_size), np.arange(fft_size) % hop_samples
    synthesis = (window / np.bincount(place, weights=window**2)[place]).astype(np.float32)
    start = 0
    for block in windowed_blocks(padded, fft_size=fft_size, hop_samples=hop_samples):
        for frame in irfft(rfft(block) * factors, n=fft_size) * synthesis:
            output[start : start + fft_size] += frame
            start += hop_samples
    return output[fft_size : fft_size + count].copy()


def _check_bins(bins: int | None, gains: NDArray[np.float64]) -> None:
    if gains.ndim != 1 or bins != len(gains):
        raise DeviceError(
            f"the gains have shape {gains.shape}",
            expected="one gain for each bin"
            + (f", ({bins},)" if bins is not None else " and an axis of bins"),
            fix="use the FFT size of the device profile",
        )
