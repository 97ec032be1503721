"""Samples as features, for networks that have a front-end of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def corrected(samples: Tensor, gains: Tensor, *, window: Tensor, hop_samples: int) -> Tensor:
    """Return samples with their spectrum multiplied: STFT, gains, inverse STFT.

    The result is that of `anymic.devices.correction.apply.apply_to_samples`.

    Parameters
    ----------
    samples : Tensor (batch, sample)
    gains : Tensor (batch, bin)
        Amplitude factors.
    window : Tensor
        As long as the Fourier transform.
    hop_samples : int
        At most half of that.
    """
    size = len(window)
    # Zeros all round, so that every sample lies in the full number of windows.
    padded = nn.functional.pad(samples, (size, size))
    spectrum = torch.stft(
        padded, size, hop_samples, window=window, pad_mode="constant", return_complex=True
    )
    found: Tensor = torch.istft(
        spectrum * gains[:, :, None], size, hop_samples, window=window, length=padded.shape[1]
    )
    return found[:, size:-size]
