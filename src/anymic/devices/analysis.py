"""The short-time Fourier analysis that gains are estimated with, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from anymic.errors import DeviceError

FRAMES_A_BLOCK = 256


def check_analysis(fft_size: int, hop_samples: int) -> None:
    """Refuse an FFT size or hop from which a waveform could not be put together again.

    Raises
    ------
    DeviceError
        If the FFT size is odd or below 16, or the hop is not in 1 .. half the FFT size.
    """
    if fft_size < 16 or fft_size % 2:
        raise DeviceError(
            f"an FFT size of {fft_size}", wanted="an even number from 16", remedy="use 2048"
        )
    if not 1 <= hop_samples <= fft_size // 2:
        raise DeviceError(
            f"a hop of {hop_samples} samples",
            wanted=f"1 to {fft_size // 2}, half the FFT size",
            remedy="use 512 with an FFT size of 2048",
        )


def hann_window(fft_size: int) -> torch.Tensor:
    """Return the periodic Hann window, (sample,) float32."""
    return torch.hann_window(fft_size, periodic=True, dtype=torch.float64).to(torch.float32)


def windowed_frames(
    samples: NDArray[np.float32], *, fft_size: int, hop_samples: int
) -> Iterator[torch.Tensor]:
    """Yield blocks (frame, sample) of windowed frames, centred as librosa.stft centres them.

    `torch.fft.rfft` of a block gives frames x bins of the STFT; a clip of n samples has
    1 + n // hop_samples frames in all.
    """
    padded = torch.nn.functional.pad(torch.from_numpy(samples.copy()), (fft_size // 2,) * 2)
    frames = padded.unfold(0, fft_size, hop_samples)
    window = hann_window(fft_size)
    for start in range(0, len(frames), FRAMES_A_BLOCK):
        yield frames[start : start + FRAMES_A_BLOCK] * window
