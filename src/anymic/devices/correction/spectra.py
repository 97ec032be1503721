"""The mean spectra of clips, from which every estimator computes gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from anymic.data.manifest import Manifest
from anymic.devices.analysis import check_analysis
from anymic.devices.correction.clip_sources import ClipSource, ManifestClips
from anymic.devices.correction.frames import Frames
from anymic.devices.correction.noise import noise_level
from anymic.errors import DeviceError, Failure

Weighting = Literal["loudness", "none"]


@dataclass(frozen=True, eq=False)
class ClipSpectra:
    """The mean spectra of clips, from which all estimators compute gains.

    `SpectrumCorrection.fit_spectra` fits any estimator and reference to them, so that a comparison
    reads the audio once.

    A frame is *active* where its level (root mean square of the windowed samples) is at most
    `silence_db` below the loudest frame of its clip. A frame of a take is *jointly active* where
    it is active in every clip of the take: a frame that holds digital silence on one device and
    noise on another carries no information about a response.

    Attributes
    ----------
    rate_hz, fft_size, hop_samples : int
        The analysis: Hann window, centred frames, zeros beyond both ends, as librosa's default.
    floor_db, silence_db : float
        Negative. `floor_db` is the least magnitude in a logarithm, relative to the loudest frame
        of the clip (its root-mean-square magnitude over bins).
    clip_ids : tuple of str
        The id of each clip (`Manifest.clip_ids`).
    devices : tuple of str
        The device that recorded the clip.
    takes : tuple of (str or None)
        Equal for clips recorded at the same moment; None for a clip without aligned partner.
    magnitude : (clip, bin), linear
        Mean over all frames of the magnitude.
    log_magnitude : (clip, bin), natural logarithm
        Mean over the clip's own active frames of the floored log magnitude.
    joint_log_magnitude : (clip, bin), natural logarithm
        Mean over the jointly active frames of the take, weighted as `weighting` says. With
        "loudness", in each bin the weight of a frame is its geometric mean magnitude over the clips
        of the take; with "none" all weigh alike, as in the published definition. Frames in which a
        bin holds only the noise of the devices carry no information about their responses; without
        weights they draw every gain towards 1.
    frames, active_frames : (clip,) int
        The number of frames, and of jointly active frames.
    noise : (clip, bin), optional
        The level of the noise of each clip, if it was measured; see `noise.noise_level`.
    failures : tuple of Failure
        Clips that could not be used. They have no row.
    lags_s : dict of str to float
        The files that were shifted, and by how much they were later than the others of their take.
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
    noise: NDArray[np.float64] | None = None
    failures: tuple[Failure, ...] = ()
    lags_s: Mapping[str, float] = field(default_factory=dict)
    weighting: Weighting = "loudness"

    def __len__(self) -> int:
        return len(self.clip_ids)

    def require(self, **settings: object) -> None:
        """Raise a DeviceError if the spectra were measured with other settings."""
        for name, wanted in settings.items():
            got = getattr(self, name)
            if got != wanted:
                raise DeviceError(
                    f"the spectra were measured with {name} {got}",
                    expected=f"{name} {wanted} as in the correction",
                    fix=f"measure them again, or set `{name}` of the correction to {got}",
                )

    def rows(self, device: str) -> NDArray[np.int64]:
        """Return the rows of all clips that `device` recorded."""
        return np.flatnonzero([name == device for name in self.devices])

    def aligned_rows(self, devices: Sequence[str]) -> NDArray[np.int64]:
        """Return rows (take, device): the takes that every one of `devices` recorded.

        Raises a DeviceError if a device recorded one take twice.
        """
        found: dict[str, dict[str, int]] = {}
        for row, (take, device) in enumerate(zip(self.takes, self.devices, strict=True)):
            if take is None or device not in devices:
                continue
            if device in found.setdefault(take, {}):
                raise DeviceError(
                    f"take {take} has two clips of device {device}",
                    expected="one clip for each device and take",
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
    weighting: Weighting = "loudness",
    rate_hz: int | None = None,
    aligned_only: bool = False,
    shift: bool = False,
    noise: bool = False,
) -> ClipSpectra:
    """Read every clip of `manifest` once and return its mean spectra.

    Parameters
    ----------
    manifest : Manifest
        Needs `device` (rows where it is empty are left out), and `take` for aligned clips.
    fft_size, hop_samples, floor_db, silence_db, weighting
        See `ClipSpectra`.
    rate_hz : int, optional
        Resample to this rate. By default every clip must have the rate of the first one.
    aligned_only : bool
        Leave out clips whose take was recorded by one device only. Aligned estimators do not use
        them, and a large corpus may have many.
    shift : bool
        Shift the clips of a take that are up to 10 s late, and use what all of them recorded. By
        default those that are late by more than an FFT size are left out.
    noise : bool
        Also measure the noise of each clip.

    Raises
    ------
    ManifestError
        If there is no `device` column.
    DeviceError
        If no clip can be used. Otherwise unusable clips are listed in `failures`.
    """
    manifest.require("device", purpose="spectrum correction")
    check_analysis(fft_size, hop_samples)
    manifest = manifest.where(device=manifest.devices)
    analysis = {"fft_size": fft_size, "hop_samples": hop_samples}
    source = ManifestClips(manifest, rate_hz, shift=shift, **analysis)
    return measure_clips(
        source,
        floor_db=floor_db,
        silence_db=silence_db,
        weighting=weighting,
        aligned_only=aligned_only,
        noise=noise,
    )


def measure_clips(
    source: ClipSource,
    *,
    floor_db: float,
    silence_db: float,
    weighting: Weighting = "loudness",
    aligned_only: bool = False,
    noise: bool,
) -> ClipSpectra:
    """Return the mean spectra of the clips of any source; see `measure`."""
    used: list[int] = []
    measured: list[dict[str, NDArray[Any]]] = []
    takes: dict[str | int, list[int]] = {}
    for row, take in enumerate(source.takes):
        takes.setdefault(row if take is None else take, []).append(row)
    for rows in takes.values():
        if aligned_only and len({source.devices[row] for row in rows}) < 2:
            continue
        usable = source.read(rows)
        if not usable:
            continue
        frames = [one for _, one in usable]
        statistics = statistics_of_take(
            frames, floor_db=floor_db, silence_db=silence_db, weighting=weighting
        )
        usable_rows = [row for row, _ in usable]
        if not statistics["active_frames"].all():
            reason = DeviceError(
                f"no frame is active in all clips of take {source.takes[rows[0]]}",
                expected="clips that were recorded at the same moment",
                fix="check the take",
            )
            source.refuse(usable_rows, reason)
            continue
        if noise:
            levels = [noise_level(one, fft_size=source.analysis["fft_size"]) for one in frames]
            statistics["noise"] = np.stack(levels)
        used += usable_rows
        measured.append(statistics)
    if not used or source.rate_hz is None:
        failures = source.failures
        first = f". The first of {len(failures)} failures: {failures[0].reason}" if failures else ""
        raise DeviceError(
            "there is no clip to measure" + first,
            expected="at least one" + (" in an aligned take" if aligned_only else ""),
            fix="check the columns path, device and take of the manifest",
        )
    place = np.argsort(used)
    order = [used[one] for one in place]
    arrays: dict[str, Any] = {
        name: np.concatenate([one[name] for one in measured])[place] for name in measured[0]
    }
    return ClipSpectra(
        rate_hz=source.rate_hz,
        **source.analysis,
        floor_db=floor_db,
        silence_db=silence_db,
        weighting=weighting,
        clip_ids=tuple(source.clip_ids[row] for row in order),
        devices=tuple(source.devices[row] for row in order),
        takes=tuple(source.takes[row] for row in order),
        failures=tuple(source.failures),
        lags_s=source.lags_s,
        **arrays,
    )


def statistics_of_take(
    clips: Sequence[Frames],
    *,
    floor_db: float,
    silence_db: float,
    weighting: Weighting = "loudness",
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
            mean = np.mean(together, axis=0)
            weights = np.exp(mean) if weighting == "loudness" else np.ones_like(mean)
            weight += weights.sum(axis=0)
            shared += [(weights * log).sum(axis=0) for log in together]
        start += max(map(len, logs))
    return {
        "magnitude": linear / np.array([[len(one)] for one in active]),
        "log_magnitude": own / np.array([[max(int(one.sum()), 1)] for one in active]),
        "joint_log_magnitude": shared / np.maximum(weight, np.finfo(float).tiny),
        "frames": np.array([len(one) for one in active]),
        "active_frames": np.full(len(clips), int(joint.sum())),
    }
