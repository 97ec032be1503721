"""Apply the gains of a device to magnitudes, STFTs and waveforms."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.gain_factors import FRAMES, ROW_PARTS, corrected_spectrum, gain_factors
from anymic.audio import Clip
from anymic.devices.analysis import FRAMES_A_BLOCK, check_analysis, hann_window, synthesis_hop
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
        Also with noise (`DeviceGains.factors`), for spectra with a Hann window as long as the FFT.
    """
    _check_bins(magnitude.shape[-2] if magnitude.ndim > 1 else None, gains)
    if isinstance(magnitude, torch.Tensor):
        return _corrected(magnitude, gains)
    # A copy: torch warns of arrays that cannot be written.
    found: Values = _corrected(torch.tensor(np.ascontiguousarray(magnitude)), gains).numpy()
    return found


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
        Positive amplitude factors for fft_size // 2 + 1 bins; also with noise, as
        `DeviceGains.factors`.
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
    factors = torch.from_numpy(gains.astype(np.float32))
    window, place = hann_window(fft_size), np.arange(fft_size) % hop_samples
    analysis = torch.from_numpy(window)
    # Over the sum of the squared windows that meet at a sample, which repeats every hop.
    synthesis = (window / np.bincount(place, weights=window**2)[place]).astype(np.float32)
    every = np.lib.stride_tricks.sliding_window_view(padded, fft_size)[::hop_samples]
    reach = FRAMES // 2 if len(gains) > fft_size // 2 + 1 else 0  # frames that others depend on
    for begin in range(0, len(every), FRAMES_A_BLOCK):
        first = max(begin - reach, 0)
        spectrum = rfft(every[first : begin + FRAMES_A_BLOCK + reach] * window)
        spectrum *= gain_factors(torch.from_numpy(spectrum), factors, analysis).numpy()
        own = spectrum[begin - first :][:FRAMES_A_BLOCK]
        for number, frame in enumerate(irfft(own, n=fft_size) * synthesis, start=begin):
            start = number * hop_samples
            output[start : start + fft_size] += frame
    return output[fft_size : fft_size + count].copy()


def _corrected(spectrum: torch.Tensor, gains: NDArray[np.float64]) -> torch.Tensor:
    """Return magnitudes or an STFT (..., bin, frame) times their factors."""
    double = spectrum.dtype in (torch.float64, torch.complex128)  # which not every device has
    dtype, device = torch.float64 if double else torch.float32, spectrum.device
    window = torch.hann_window(2 * (spectrum.shape[-2] - 1), dtype=dtype, device=device)
    return corrected_spectrum(spectrum, torch.as_tensor(gains, dtype=dtype, device=device), window)


def _check_bins(bins: int | None, gains: NDArray[np.float64]) -> None:
    if gains.ndim != 1 or bins is None or len(gains) not in (bins, ROW_PARTS * bins):
        raise DeviceError(
            f"the gains have shape {gains.shape}",
            expected="one gain for each bin"
            + (f", ({bins},)" if bins is not None else " and an axis of bins"),
            fix="use the FFT size of the device profile",
        )
