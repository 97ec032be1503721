"""The short-time Fourier analysis that gains are estimated with, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic.errors import DeviceError

FRAMES_A_BLOCK = 256
NEPER_DB = 20 / math.log(10)  # dB of a natural logarithm of an amplitude


def check_analysis(fft_size: int, hop_samples: int) -> None:
    """Raise a DeviceError if the FFT size is odd or below 16, or the hop is longer."""
    if fft_size < 16 or fft_size % 2:
        raise DeviceError(
            f"the FFT size is {fft_size}", expected="an even number from 16", fix="use 2048"
        )
    if not 1 <= hop_samples <= fft_size:
        raise DeviceError(
            f"the hop is {hop_samples} samples",
            expected=f"1 to {fft_size}, the FFT size",
            fix="use 512 with an FFT size of 2048",
        )


def wrong_levels(settings: Any) -> list[tuple[str, float, str]]:
    """Return the name, value and range of the levels of a correction that are beyond their range.

    `settings` has the attributes floor_db, limit_db and silence_db.
    """
    below, above = "-300 dB to below 0", "above 0, up to 300 dB"
    ranges = (
        ("floor_db", -300 <= settings.floor_db < 0, below),
        ("limit_db", 0 < settings.limit_db <= 300, above),
        ("silence_db", -300 <= settings.silence_db < 0, below),
    )
    return [(name, getattr(settings, name), wanted) for name, right, wanted in ranges if not right]


def synthesis_hop(fft_size: int, hop_samples: int) -> int:
    """Return the hop to correct samples with: windows have to overlap, and gains fit any hop."""
    return min(hop_samples, fft_size // 2)


def hann_window(fft_size: int) -> NDArray[np.float32]:
    """Return the periodic Hann window, (sample,) float32."""
    phase = 2 * np.pi * np.arange(fft_size) / fft_size
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


def windowed_blocks(
    padded: NDArray[np.float32], *, fft_size: int, hop_samples: int
) -> Iterator[NDArray[np.float32]]:
    """Yield blocks (frame, sample) of windowed frames of padded samples."""
    window = hann_window(fft_size)
    frames = np.lib.stride_tricks.sliding_window_view(padded, fft_size)[::hop_samples]
    for start in range(0, len(frames), FRAMES_A_BLOCK):
        yield frames[start : start + FRAMES_A_BLOCK] * window


def centred(samples: NDArray[np.float32], fft_size: int) -> NDArray[np.float32]:
    """Return samples with half a window of zeros at both ends, as librosa.stft pads them."""
    return np.pad(samples, fft_size // 2)
