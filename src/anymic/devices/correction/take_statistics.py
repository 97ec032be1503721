"""Mean spectra of the clips of one take, over all frames and over the active ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from anymic.devices.analysis import FRAMES_A_BLOCK, centred, windowed_blocks


class SampleFrames:
    """The centred, windowed frames of samples (sample,)."""

    def __init__(self, samples: NDArray[np.float32], *, fft_size: int, hop_samples: int) -> None:
        self._padded = centred(samples, fft_size)
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


def statistics_of_take(
    clips: Sequence[Frames], *, floor_db: float, silence_db: float
) -> dict[str, NDArray[Any]]:
    """Return the arrays of `ClipSpectra`, of which it explains the names, for one take's clips."""
    levels = [clip.levels() for clip in clips]
    active = [level >= level.max() * 10 ** (silence_db / 20) for level in levels]
    shortest = min(map(len, active))
    joint = np.all([one[:shortest] for one in active], axis=0)
    floors = [float(level.max()) * 10 ** (floor_db / 20) for level in levels]
    shape = (len(clips), clips[0].bins)
    linear, own, shared = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    weight = np.zeros(shape[1])
    start = 0
    for block in zip_longest(*(clip.magnitudes() for clip in clips)):
        logs = []
        for clip, magnitude in enumerate(block):
            if magnitude is None:
                continue
            linear[clip] += magnitude.sum(axis=0)
            np.maximum(magnitude, np.float32(floors[clip]), out=magnitude)
            logs.append(np.log(magnitude, out=magnitude))
            own[clip] += active[clip][start : start + len(magnitude)].astype(np.float32) @ logs[-1]
        active_now = np.flatnonzero(joint[start : start + max(map(len, logs))])
        if len(active_now):  # before the end of the shortest clip, so every clip is among `logs`
            together = [log[active_now] for log in logs]
            loudness = np.exp(np.mean(together, axis=0))
            weight += loudness.sum(axis=0)
            shared += [(loudness * log).sum(axis=0) for log in together]
        start += max(map(len, logs))
    return {
        "magnitude": linear / np.array([[len(one)] for one in active]),
        "log_magnitude": own / np.array([[max(int(one.sum()), 1)] for one in active]),
        "joint_log_magnitude": shared / np.maximum(weight, np.finfo(float).tiny),
        "frames": np.array([len(one) for one in active]),
        "active_frames": np.full(len(clips), int(joint.sum())),
    }
