"""Samples as features, for networks that have a front-end of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anymic._internal.gain_factors import gain_factors


def corrected(samples: Tensor, gains: Tensor, *, window: Tensor, hop_samples: int) -> Tensor:
    """Return samples with their spectrum multiplied: STFT, gains, inverse STFT.

    The result is that of `anymic.devices.correction.apply.apply_to_samples`.

    Parameters
    ----------
    samples : Tensor (batch, sample)
    gains : Tensor (batch, bin)
        Amplitude factors, perhaps with noise.
    window : Tensor
        As long as the Fourier transform.
    hop_samples : int
        At most half of that.
    """
    size = len(window)
    # Half a window of zeros at both ends, besides that of torch: every sample lies in the full
    # number of windows, which begin where those of `apply_to_samples` do.
    half = size // 2
    padded = nn.functional.pad(samples, (half, half + hop_samples))
    spectrum = torch.stft(
        padded, size, hop_samples, window=window, pad_mode="constant", return_complex=True
    )
    found: Tensor = torch.istft(
        spectrum * gain_factors(spectrum.mT, gains, window).mT,
        size,
        hop_samples,
        window=window,
        length=half + samples.shape[1],
    )
    return found[:, half:]
