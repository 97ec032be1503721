"""One pass over the clips of a manifest: the mean spectra that every estimator needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from anymic import audio
from anymic.data.manifest import Manifest
from anymic.devices.analysis import centred, check_analysis, windowed_blocks
from anymic.errors import AnymicError, AudioError, DeviceError, Failure


@dataclass(frozen=True, eq=False)
class ClipSpectra:
    """What spectrum correction needs to know of each clip, and nothing more.

    Every estimator and every reference is fitted from these numbers
    (`SpectrumCorrection.fit_spectra`), so that a comparison of all of them reads the audio once.

    A frame is *active* where its level (root mean square of the windowed samples) is at most
    `silence_db` below the loudest frame of its clip. A frame of a take is *jointly active* where
    it is active in every clip of the take: a digital silence that a noisy device filled with
    hiss, and any frame that fell silent on one device only, says nothing about a response.

    Attributes
    ----------
    rate_hz, fft_size, hop_samples : int
        The analysis: Hann window, centred frames, zeros beyond both ends, as librosa's default.
    floor_db : float
        Magnitudes enter a logarithm at no less than this, relative to the loudest frame of the
        clip (its root-mean-square magnitude over bins); negative.
    silence_db : float
        Frames this far below the loudest frame of their clip are not active; negative.
    clip_ids : tuple of str
        One id a clip (`Manifest.clip_ids`).
    devices : tuple of str
        The device that recorded the clip.
    takes : tuple of (str or None)
        Clips with an equal take were recorded at the same moment; None for no aligned partner.
    magnitude : (clip, bin), linear
        Mean over all frames of the magnitude.
    log_magnitude : (clip, bin), natural logarithm
        Mean over the clip's own active frames of the floored log magnitude.
    joint_log_magnitude : (clip, bin), natural logarithm
        Weighted mean over the jointly active frames of the clip's take. In each bin a frame
        weighs by its geometric mean magnitude over the clips of the take, the same for all of
        them: where a bin holds no more than the noise of the devices it says nothing about their
        responses, and unweighted the many quiet cells would draw every gain towards 1.
    frames, active_frames : (clip,) int
        How many frames there are, and how many of them are jointly active.
    failures : tuple of Failure
        Clips that could not be used, with the reason; they are not among the rows.
    """

    rate_hz: int
    fft_size: int
    hop_samples: int
    floor_db: float
    silence_db: float
    clip_ids: tuple[str, ...]
    devices: tuple[str, ...]
    takes: tuple[str | None, ...]
    magnitude: NDArray[np.float64]
    log_magnitude: NDArray[np.float64]
    joint_log_magnitude: NDArray[np.float64]
    frames: NDArray[np.int64]
    active_frames: NDArray[np.int64]
    failures: tuple[Failure, ...] = ()

    def __len__(self) -> int:
        return len(self.clip_ids)

    def rows(self, device: str) -> NDArray[np.int64]:
        """Return the rows of all clips that `device` recorded."""
        return np.flatnonzero(np.array([name == device for name in self.devices], dtype=bool))

    def aligned_rows(self, devices: Sequence[str]) -> NDArray[np.int64]:
        """Return rows (take, device): the takes that every one of `devices` recorded.

        Raises
        ------
        DeviceError
            If a device recorded one take twice.
        """
        found: dict[str, dict[str, int]] = {}
        for row, (take, device) in enumerate(zip(self.takes, self.devices, strict=True)):
            if take is None or device not in devices:
                continue
            if device in found.setdefault(take, {}):
                raise DeviceError(
                    f"two clips of device {device} in take {take}",
                    expected="one clip a device and take",
                    fix="give each recording its own take, or remove one of the rows",
                )
            found[take][device] = row
        complete = [rows for rows in found.values() if len(rows) == len(set(devices))]
        table = [[rows[device] for device in devices] for rows in complete]
        return np.array(table, dtype=np.int64).reshape(len(table), len(devices))


def measure(
    manifest: Manifest,
    *,
    fft_size: int = 2048,
    hop_samples: int = 512,
    floor_db: float = -100.0,
    silence_db: float = -40.0,
    rate_hz: int | None = None,
    aligned_only: bool = False,
) -> ClipSpectra:
    """Read every clip of `manifest` once and return its mean spectra.

    Parameters
    ----------
    manifest : Manifest
        Needs `device` (rows where it is empty are left out); `take` where clips are aligned;
        `start_s` and `duration_s` are heeded.
    fft_size, hop_samples : int
        The analysis.
    floor_db, silence_db : float
        See `ClipSpectra`; both negative.
    rate_hz : int, optional
        Resample to this rate. By default every clip must have the rate of the first one.
    aligned_only : bool
        Leave out clips whose take was heard by one device only: aligned estimators do not use
        them, and in a large corpus most clips are of this kind.

    Raises
    ------
    ManifestError
        If there is no `device` column.
    DeviceError
        If not one clip can be used. Single clips that cannot are listed in `failures`.
    """
    manifest.require("device", purpose="spectrum correction")
    check_analysis(fft_size, hop_samples)
    manifest = manifest.where(device=manifest.devices)
    takes = _takes(manifest)
    devices = [str(name) for name in manifest.table["device"]]
    reader = _Reader(manifest, rate_hz, fft_size)
    collected: list[tuple[int, _Statistics]] = []
    for rows in _together(takes):
        if aligned_only and len({devices[row] for row in rows}) < 2:
            continue
        readable = reader.read(rows)
        statistics = _statistics(
            [samples for _, samples in readable], fft_size, hop_samples, floor_db, silence_db
        )
        if not all(one.active_frames for one in statistics):
            reader.refuse(
                [row for row, _ in readable],
                f"got no frame that sounds in all clips of take {takes[rows[0]]}, wanted clips of "
                "one moment: check the take",
            )
            continue
        collected.extend((row, one) for (row, _), one in zip(readable, statistics, strict=True))
    if not collected or reader.rate_hz is None:
        raise _nothing(reader.failures, aligned_only)
    collected.sort(key=lambda item: item[0])
    order = [row for row, _ in collected]
    ids = manifest.clip_ids()
    stack = {
        name: np.array([getattr(one, name) for _, one in collected])
        for name in _Statistics.__annotations__
    }
    return ClipSpectra(
        rate_hz=reader.rate_hz,
        fft_size=fft_size,
        hop_samples=hop_samples,
        floor_db=floor_db,
        silence_db=silence_db,
        clip_ids=tuple(ids[row] for row in order),
        devices=tuple(devices[row] for row in order),
        takes=tuple(takes[row] for row in order),
        failures=tuple(reader.failures),
        **stack,
    )


def mean_log_magnitude(
    samples: NDArray[np.float32],
    *,
    fft_size: int = 2048,
    hop_samples: int = 512,
    floor_db: float = -100.0,
    silence_db: float = -40.0,
) -> NDArray[np.float64]:
    """Return the mean log magnitude (bin,) of the active frames of one recording.

    The number is that of `ClipSpectra.log_magnitude`, for samples (sample,) at hand.

    Raises
    ------
    AudioError
        If every sample is zero.
    """
    if not samples.any():
        raise AudioError(
            "a recording without any sound",
            expected="one in which something is heard",
            fix="leave it out",
        )
    (found,) = _statistics([samples], fft_size, hop_samples, floor_db, silence_db)
    return found.log_magnitude


@dataclass(frozen=True)
class _Statistics:
    magnitude: NDArray[np.float64]
    log_magnitude: NDArray[np.float64]
    joint_log_magnitude: NDArray[np.float64]
    frames: int
    active_frames: int


def _statistics(
    clips: Sequence[NDArray[np.float32]],
    fft_size: int,
    hop_samples: int,
    floor_db: float,
    silence_db: float,
) -> list[_Statistics]:
    """Return the mean spectra of the clips of one take."""
    analysis = {"fft_size": fft_size, "hop_samples": hop_samples}
    padded = [centred(samples, fft_size) for samples in clips]
    levels = [_levels(one, **analysis) for one in padded]
    active = [level >= level.max() * 10 ** (silence_db / 20) for level in levels]
    shortest = min((len(one) for one in active), default=0)
    joint = np.all([one[:shortest] for one in active], axis=0)
    floors = [float(level.max()) * 10 ** (floor_db / 20) for level in levels]
    return _averages(padded, active, joint, floors, **analysis)


def _levels(padded: NDArray[np.float32], *, fft_size: int, hop_samples: int) -> NDArray[np.float32]:
    """Return (frame,): root-mean-square magnitude over bins, by Parseval's theorem."""
    blocks = windowed_blocks(padded, fft_size=fft_size, hop_samples=hop_samples)
    return np.concatenate([np.sqrt(np.einsum("fs,fs->f", block, block)) for block in blocks])


def _averages(
    padded: Sequence[NDArray[np.float32]],
    active: Sequence[NDArray[np.bool_]],
    joint: NDArray[np.bool_],
    floors: Sequence[float],
    *,
    fft_size: int,
    hop_samples: int,
) -> list[_Statistics]:
    """Return the means of the clips of one take; `joint` (frame,) covers the shortest."""
    shape = (len(padded), fft_size // 2 + 1)
    linear, own, shared = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    weight = np.zeros(shape[1])
    blocks = zip_longest(
        *(windowed_blocks(one, fft_size=fft_size, hop_samples=hop_samples) for one in padded)
    )
    start = 0
    for block in blocks:
        logs = []
        for clip, frames in enumerate(block):
            if frames is None:
                continue
            magnitude = np.abs(rfft(frames, overwrite_x=True))
            linear[clip] += magnitude.sum(axis=0)
            np.maximum(magnitude, np.float32(floors[clip]), out=magnitude)
            logs.append(np.log(magnitude, out=magnitude))
            own[clip] += active[clip][start : start + len(frames)].astype(np.float32) @ logs[-1]
        sounding = np.flatnonzero(joint[start : start + max(map(len, logs))])
        if len(sounding):  # before the end of the shortest clip, so every clip is among `logs`
            together = [log[sounding] for log in logs]
            loudness = np.exp(np.mean(together, axis=0))
            weight += loudness.sum(axis=0)
            shared += [(loudness * log).sum(axis=0) for log in together]
        start += max(map(len, logs))
    return [
        _Statistics(
            magnitude=linear[clip] / len(active[clip]),
            log_magnitude=own[clip] / max(int(active[clip].sum()), 1),
            joint_log_magnitude=shared[clip] / np.maximum(weight, np.finfo(float).tiny),
            frames=len(active[clip]),
            active_frames=int(joint.sum()),
        )
        for clip in range(len(padded))
    ]


class _Reader:
    """Reads the clips of a take; what cannot be used becomes a Failure."""

    def __init__(self, manifest: Manifest, rate_hz: int | None, fft_size: int) -> None:
        self.rate_hz = rate_hz
        self.failures: list[Failure] = []
        self._asked_hz = rate_hz
        self._length_tolerance = fft_size
        self._paths = manifest.paths()
        self._table = manifest.table

    def read(self, rows: Sequence[int]) -> list[tuple[int, NDArray[np.float32]]]:
        found: list[tuple[int, NDArray[np.float32]]] = []
        for row in rows:
            try:
                found.append((row, self._samples(row)))
            except AnymicError as error:
                self.failures.append(Failure(str(self._paths[row]), str(error)))
        return self._of_equal_length(found)

    def _samples(self, row: int) -> NDArray[np.float32]:
        start_s, duration_s = (self._seconds(row, name) for name in ("start_s", "duration_s"))
        clip = audio.read(
            self._paths[row], rate_hz=self._asked_hz, start_s=start_s or 0.0, duration_s=duration_s
        )
        self.rate_hz = self.rate_hz or clip.rate_hz
        if clip.rate_hz != self.rate_hz:
            raise DeviceError(
                f"{clip.rate_hz} Hz",
                expected=f"{self.rate_hz} Hz as in the other clips",
                fix="resample the file, or state a rate for all clips",
            )
        return clip.samples

    def _seconds(self, row: int, column: str) -> float | None:
        if column not in self._table:
            return None
        value = float(self._table[column].iloc[row])
        return value if np.isfinite(value) else None

    def _of_equal_length(
        self, found: list[tuple[int, NDArray[np.float32]]]
    ) -> list[tuple[int, NDArray[np.float32]]]:
        lengths = [len(samples) for _, samples in found]
        if not lengths or max(lengths) - min(lengths) <= self._length_tolerance:
            return found
        self.refuse(
            [row for row, _ in found],
            f"got clips of {min(lengths)} to {max(lengths)} samples in one take, wanted equal "
            "lengths: cut the recordings to the same moment",
        )
        return []

    def refuse(self, rows: Sequence[int], reason: str) -> None:
        self.failures.extend(Failure(str(self._paths[row]), reason) for row in rows)


def _takes(manifest: Manifest) -> list[str | None]:
    if "take" not in manifest.table:
        return [None] * len(manifest)
    return [str(take) or None for take in manifest.table["take"]]


def _nothing(failures: Sequence[Failure], aligned_only: bool) -> DeviceError:
    first = f" (first of {len(failures)}: {failures[0].reason})" if failures else ""
    return DeviceError(
        "no clip to measure" + first,
        expected="at least one" + (" in an aligned take" if aligned_only else ""),
        fix="check the columns path, device and take of the manifest",
    )


def _together(takes: Sequence[str | None]) -> Iterator[list[int]]:
    """Yield the rows of each take; rows without a take come alone."""
    groups: dict[str | int, list[int]] = {}
    for row, take in enumerate(takes):
        groups.setdefault(row if take is None else take, []).append(row)
    yield from groups.values()
