"""The frames of a clip: of its samples, or of a magnitude spectrogram."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from anymic.devices.analysis import FRAMES_A_BLOCK, centred, windowed_blocks


class SampleFrames:
    """The centred, windowed frames of samples (sample,)."""

    def __init__(self, samples: NDArray[np.float32], *, fft_size: int, hop_samples: int) -> None:
        self.samples, self._padded = samples, centred(samples, fft_size)
        self._analysis = {"fft_size": fft_size, "hop_samples": hop_samples}
        self.length, self.bins = len(samples), fft_size // 2 + 1

    def levels(self) -> NDArray[np.float32]:
        """Return the root-mean-square magnitude over bins, (frame,), by Parseval's theorem."""
        blocks = windowed_blocks(self._padded, **self._analysis)
        return np.concatenate([np.sqrt(np.einsum("fs,fs->f", block, block)) for block in blocks])

    def magnitudes(self) -> Iterator[NDArray[np.float32]]:
        """Yield new blocks (frame, bin) of magnitudes, `FRAMES_A_BLOCK` frames each."""
        for block in windowed_blocks(self._padded, **self._analysis):
            yield np.abs(rfft(block, overwrite_x=True))


class MagnitudeFrames:
    """The frames of a magnitude spectrogram (bin, frame), linear; methods as `SampleFrames`."""

    def __init__(self, magnitude: NDArray[np.floating]) -> None:
        self._magnitude = magnitude.T.astype(np.float32)
        self.length, self.bins = self._magnitude.shape

    def levels(self) -> NDArray[np.float32]:
        """Return the levels (frame,); all bins but the first and the last stand for two."""
        power = np.square(self._magnitude)
        bins = power.shape[1]
        both = 2 * power.sum(axis=1) - power[:, 0] - power[:, -1]
        return np.asarray(np.sqrt(both / (2 * (bins - 1))), dtype=np.float32)

    def magnitudes(self) -> Iterator[NDArray[np.float32]]:
        """Yield new blocks (frame, bin)."""
        for start in range(0, len(self._magnitude), FRAMES_A_BLOCK):
            yield self._magnitude[start : start + FRAMES_A_BLOCK].copy()


Frames: TypeAlias = SampleFrames | MagnitudeFrames
