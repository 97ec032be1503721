"""The clips that gains are estimated from: files of a manifest, or arrays, read take by take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic._internal.threads import in_order
from anymic.data.manifest import Manifest
from anymic.devices.correction.alignment import lags
from anymic.devices.correction.arrays import ArrayError, one_a_row
from anymic.devices.correction.frames import Frames, MagnitudeFrames, SampleFrames
from anymic.errors import AnymicError, DeviceError, Failure, as_anymic_error, attempt

MOST_LAG_S = 10.0  # clips of a take are shifted by at most so much


class ClipSource(ABC):
    """Clips with a device and perhaps a take each.

    `names` are for failures; `clip_ids`, `devices` and `takes` are those of `ClipSpectra`. The rate
    is None where no clip can be read.
    """

    shift = False  # whether a clip that is late is shifted, and not refused
    names: list[str]
    clip_ids: list[str]
    devices: list[str]
    takes: list[str | None]
    rate_hz: int | None

    def __init__(self, *, fft_size: int, hop_samples: int) -> None:
        self.failures: list[Failure] = []
        self.lags_s: dict[str, float] = {}  # of the clips that were shifted, by name
        self.analysis: dict[str, Any] = {"fft_size": fft_size, "hop_samples": hop_samples}

    def refuse(self, rows: Iterable[int], reason: AnymicError) -> None:
        """Add a failure for each of these rows."""
        self.failures.extend(Failure(self.names[row], str(reason)) for row in rows)

    @abstractmethod
    def frames(self, row: int) -> Frames:
        """Return the frames of a clip; AnymicError if it cannot be used."""

    def read(self, rows: Sequence[int]) -> list[tuple[int, Frames]]:
        """Return row and frames of each clip of one take; unusable clips become failures.

        The clips may differ in length, and in the moment of the recording, by one FFT size; more
        is refused, or where they are shifted, cut to what all of them recorded.
        """
        found: list[tuple[int, Frames]] = []
        for row in rows:
            try:
                found.append((row, self.frames(row)))
            except Exception as error:
                self.refuse([row], as_anymic_error(error))
        lengths = [frames.length for _, frames in found]
        if not self.shift and lengths and max(lengths) - min(lengths) > self.analysis["fft_size"]:
            reason = DeviceError(
                f"the clips of one take have {min(lengths)} to {max(lengths)} samples",
                expected="equal lengths",
                fix="cut the recordings to the same moment",
            )
            self.refuse([row for row, _ in found], reason)
            return []
        return self._aligned(found)

    def _aligned(self, clips: list[tuple[int, Frames]]) -> list[tuple[int, Frames]]:
        """Return the clips that were recorded at one moment; magnitudes are not compared."""
        samples = [frames for _, frames in clips if isinstance(frames, SampleFrames)]
        if len(samples) < 2:
            return clips
        anchor, found = lags(samples, tolerance=self.analysis["fft_size"])
        if self.shift:
            clips, found = self._shifted(clips, found)
        rows = [row for row, _ in clips]
        kept = [clip for clip, lag in zip(clips, found, strict=True) if lag == 0]
        refused = [(row, lag, rows[anchor]) for row, lag in zip(rows, found, strict=True) if lag]
        if len(kept) == 1:  # none of the others can be compared with it
            row, lag, _ = refused[0]
            refused.append((rows[anchor], -lag, row))
            kept = []
        for row, lag, other in refused:
            self.refuse([row], self._not_aligned(lag, other))
        return kept

    def _shifted(
        self, clips: list[tuple[int, Frames]], found: list[float]
    ) -> tuple[list[tuple[int, Frames]], list[float]]:
        """Cut the clips of one sound to the part that all of them recorded; their lags become 0.

        A lag beyond `MOST_LAG_S` stays, and so does one of clips that share less than a window.
        """
        rate_hz, fft_size = self.rate_hz or 1, self.analysis["fft_size"]
        usable = [abs(lag) <= MOST_LAG_S * rate_hz for lag in found]  # NaN is not
        starts = [round(lag) for lag, use in zip(found, usable, strict=True) if use]
        ends = [
            frames.length - round(lag)
            for (_, frames), lag, use in zip(clips, found, usable, strict=True)
            if use
        ]
        begin, end = max(-min(starts), 0), min(ends)
        if end - begin < fft_size:
            return clips, found
        cut: list[tuple[int, Frames]] = []
        for (row, frames), lag, use in zip(clips, found, usable, strict=True):
            if use and isinstance(frames, SampleFrames):
                if lag:
                    self.lags_s[self.names[row]] = lag / rate_hz
                samples = frames.samples[begin + round(lag) : end + round(lag)]
                frames = SampleFrames(samples, **self.analysis)
            cut.append((row, frames))
        return cut, [0.0 if use else lag for lag, use in zip(found, usable, strict=True)]

    def _not_aligned(self, lag: float, other: int) -> DeviceError:
        how = f"is {abs(lag) / (self.rate_hz or 1):.3f} s {'later' if lag > 0 else 'earlier'} than"
        if np.isnan(lag):
            how = "has no sound in common with"
        return DeviceError(
            f"the clip {how} that of {self.devices[other]} in the same take",
            expected="recordings of the same moment",
            fix="cut the recordings to the same moment, or give them different takes",
        )


class ManifestClips(ClipSource):
    """The clips of a manifest with a device in every row, read from their files.

    All are resampled to `rate_hz`; if it is None, they must have the rate that most of them have.
    """

    def __init__(
        self, manifest: Manifest, rate_hz: int | None, *, shift: bool = False, **analysis: int
    ) -> None:
        super().__init__(**analysis)
        self.shift = shift
        self.names, self.clip_ids = list(map(str, manifest.paths())), manifest.clip_ids()
        self.devices = [str(name) for name in manifest.table["device"]]
        takes = manifest.table["take"] if "take" in manifest.table else [""] * len(manifest)
        self.takes = [str(take) or None for take in takes]
        self.rate_hz = rate_hz or usual_rate(manifest)
        self._read = row_reader(manifest, rate_hz=rate_hz)

    def frames(self, row: int) -> Frames:
        """Read a clip; AnymicError also if it has another rate."""
        clip = self._read(row)
        if clip.rate_hz != self.rate_hz:
            raise DeviceError(
                f"the rate is {clip.rate_hz} Hz",
                expected=f"{self.rate_hz} Hz as in the other clips",
                fix="resample the file, or pass a rate for all clips",
            )
        return SampleFrames(clip.samples, **self.analysis)


class ArrayClips(ClipSource):
    """The clips of an array from `checked_clips`; other parameters as in `SpectrumCorrection`."""

    def __init__(
        self,
        values: NDArray[Any],
        *,
        device: Iterable[str],
        take: Iterable[object] | None,
        rate_hz: int,
        **analysis: int,
    ) -> None:
        super().__init__(**analysis)
        self.names = self.clip_ids = [f"row {row}" for row in range(len(values))]
        self.devices = one_a_row(device, len(values))
        if "" in self.devices:
            raise ArrayError(
                f"row {self.devices.index('')} has no device",
                expected="a device for each clip",
                fix="add the device, or leave the clip out",
            )
        takes = [] if take is None else [None if one is None else str(one) for one in take]
        self.takes = [name or None for name in one_a_row(takes or None, len(values), what="take")]
        self.rate_hz = rate_hz
        self._values = values

    def frames(self, row: int) -> Frames:
        """Return the frames of a clip; DeviceError for zeros."""
        values = self._values[row]
        if not values.any():
            raise DeviceError("the clip is silent", fix="leave it out")
        if values.ndim == 1:
            return SampleFrames(values.astype(np.float32), **self.analysis)
        return MagnitudeFrames(np.abs(values))


def usual_rate(manifest: Manifest) -> int | None:
    """Return the rate that most files have, of several the first; None if none can be read."""
    found = in_order(lambda path: attempt(path, audio.probe, path), dict.fromkeys(manifest.paths()))
    rates = Counter(one.rate_hz for one in found if not isinstance(one, Failure))
    return max(rates, key=rates.__getitem__, default=None)


def row_reader(manifest: Manifest, *, rate_hz: int | None = None) -> Callable[[int], audio.Clip]:
    """Return what reads the clip of a row: the part of its file that the manifest states."""
    parts = manifest.parts()
    starts, durations = parts["start_s"].tolist(), parts["duration_s"].tolist()
    paths = manifest.paths()

    def read(row: int) -> audio.Clip:
        last = durations[row] if np.isfinite(durations[row]) else None
        return audio.read(paths[row], rate_hz=rate_hz, start_s=starts[row], duration_s=last)

    return read


def read_rows(manifest: Manifest, *, rate_hz: int, resample: bool) -> NDArray[np.float32]:
    """Read the clips of all rows as one array, (clip, sample).

    Raises a DeviceError if their lengths differ, or one has another rate and it may not `resample`.
    """
    asked_hz = rate_hz if resample else None
    clips = list(map(row_reader(manifest, rate_hz=asked_hz), range(len(manifest))))
    for clip in clips:
        if clip.rate_hz != rate_hz:
            raise DeviceError(
                f"the rate of {clip.path} is {clip.rate_hz} Hz",
                expected=f"{rate_hz} Hz, the rate of the gains",
                fix="resample the file, or fit with `rate_hz`",
            )
    lengths = sorted({len(clip.samples) for clip in clips})
    if len(lengths) > 1:
        raise DeviceError(
            f"the clips have {lengths[0]} to {lengths[-1]} samples",
            expected="equal lengths, for an array (clip, sample)",
            fix="transform each clip separately, or set `duration_s` in the table",
        )
    return np.stack([clip.samples for clip in clips])
