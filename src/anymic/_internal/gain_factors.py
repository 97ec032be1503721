"""What corrects magnitudes: gains, less the noise of the device that they would raise.

A row of gains holds an amplitude factor for each bin. A row with noise, three times as long, then
holds for each bin the power to subtract from what the factors give, and the power that the
difference does not fall below. Powers are relative to the energy of the window, and means over
`BINS` neighbouring bins.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ROW_PARTS = 3  # of a row with noise
TINY = 1e-30  # power: no division by zero
# The share of noise in one bin of one frame is mostly chance, and what is subtracted by it leaves
# isolated peaks ("musical noise"). The means over so many neighbours vary less.
BINS, FRAMES = 9, 5


def gain_factors(spectrum: Tensor, gains: Tensor, window: Tensor) -> Tensor:
    """Return the factors (..., frame, bin) that correct a spectrum.

    Without noise they are the gains, one frame of them for all. With noise, each frame has the
    factors that make the difference of the mean powers over neighbouring bins and frames, of those
    that there are; nothing is raised. Where nothing is subtracted, the factor is exactly the gain.

    Parameters
    ----------
    spectrum : Tensor, (..., frame, bin)
        Magnitudes or complex values. Not changed.
    gains : Tensor, (..., bin) or (..., 3 * bin)
    window : Tensor, (sample,)
        What the spectrum was calculated with.
    """
    if gains.shape[-1] == spectrum.shape[-1]:
        return gains.unsqueeze(-2)
    factors, subtracted, floor = gains.unsqueeze(-2).chunk(ROW_PARTS, dim=-1)
    power = smoothed(smoothed((spectrum.abs() * factors).square(), BINS).mT, FRAMES).mT
    power = (power / window.square().sum()).clamp_min(TINY)
    left = torch.maximum(1 - subtracted / power, (floor / power).clamp_max(1.0))
    return torch.where(subtracted > 0, factors * left.sqrt(), factors)


def corrected_spectrum(spectrum: Tensor, gains: Tensor, window: Tensor) -> Tensor:
    """Return a spectrum (..., bin, frame) times its `gain_factors`, of the same type."""
    factors = gain_factors(spectrum.mT, gains, window).mT
    return spectrum * factors.to(spectrum.real.dtype if spectrum.is_complex() else spectrum.dtype)


def corrected_samples(
    samples: Tensor, gains: Tensor, *, window: Tensor, hop_samples: int
) -> Tensor:
    """Return samples with their spectrum corrected: STFT, `gain_factors`, inverse STFT.

    The result is that of `anymic.devices.correction.apply.apply_to_samples`.

    Parameters
    ----------
    samples : Tensor, (..., sample)
    gains : Tensor, (..., bin) or (..., 3 * bin)
    window : Tensor, (sample,)
        As long as the Fourier transform.
    hop_samples : int
        At most half of that.
    """
    size, count = len(window), samples.shape[-1]
    # Half a window of zeros at both ends, besides that of torch: every sample lies in the full
    # number of windows, which begin where those of `apply_to_samples` do.
    half = size // 2
    flat = torch.nn.functional.pad(samples.reshape(-1, count), (half, half + hop_samples))
    window = window.to(samples.dtype)
    stft = torch.stft(
        flat, size, hop_samples, window=window, pad_mode="constant", return_complex=True
    )
    shaped = stft.reshape(*samples.shape[:-1], *stft.shape[-2:])
    found: Tensor = torch.istft(
        corrected_spectrum(shaped, gains, window).reshape(stft.shape),
        size,
        hop_samples,
        window=window,
        length=half + count,
    )
    return found[:, half:].reshape(samples.shape)


def smoothed(power: Tensor, count: int) -> Tensor:
    """Return the means over so many neighbours on the last axis, or as many as there are."""
    rows = power.reshape(-1, power.shape[-1])
    found: Tensor = torch.nn.functional.avg_pool1d(
        rows, count, stride=1, padding=count // 2, count_include_pad=False
    )
    return found.view(power.shape)


def of_one_width(rows: Sequence[Tensor]) -> Tensor:
    """Return rows of gains (row, width) as wide as the widest: a row without noise gets zeros."""
    width = max(len(row) for row in rows)
    return torch.stack([torch.nn.functional.pad(row, (0, width - len(row))) for row in rows])
