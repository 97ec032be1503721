"""Statistics of the log spectrum of a clip, from which its device is identified."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, rfft

from anymic import audio
from anymic._internal.frames import as_text
from anymic.data.manifest import Manifest
from anymic.devices.analysis import centred, windowed_blocks
from anymic.devices.correction.clip_sources import row_reader, usual_rate
from anymic.errors import AudioError, DeviceError, Failure, attempt

Array = NDArray[np.float64]

WINDOW_S = 0.0464
# Each coefficient is a ripple of the spectrum; those of reflections with a longer delay are small.
LONGEST_DELAY_S = 0.0068


@dataclass(frozen=True)
class Analysis:
    """How a clip is described, with Hann windows and centred frames.

    Attributes
    ----------
    coefficients : int
        Coefficients of the cosine transform of the mean log spectrum. 0: the mean log power of mel
        bands, as in identifiers of version 2.
    bands : int
        Mel bands, without coefficients.
    silence_db : float
        Frames this far below the loudest frame of their clip are left out; negative.
    floor_db : float
        A bin or band counts as at least this, relative to the clip's loudest frame; negative.
    """

    rate_hz: int
    bands: int = 128
    fft_size: int = 2048
    hop_samples: int = 512
    silence_db: float = -40.0
    floor_db: float = -100.0
    coefficients: int = 0

    @classmethod
    def of(cls, rate_hz: int) -> Analysis:
        """Return the analysis of new identifiers: windows of about 46 ms, delays up to 6.8 ms."""
        fft_size = 1 << max(round(math.log2(WINDOW_S * rate_hz)), 5)
        most = min(round(LONGEST_DELAY_S * rate_hz), fft_size // 4)
        return cls(rate_hz, fft_size=fft_size, hop_samples=fft_size // 2, coefficients=most)

    @property
    def hz(self) -> Array:
        """The frequencies of the bins, (bin,)."""
        return np.linspace(0, self.rate_hz / 2, self.fft_size // 2 + 1)

    @property
    def values(self) -> int:
        """The length of a description."""
        return self.coefficients or self.bands


@dataclass(frozen=True, eq=False)
class Descriptions:
    """Described clips, from which any number of identifiers is fitted without reading audio again.

    Attributes
    ----------
    analysis : Analysis
    values : (clip, number)
        See `describe`.
    devices, clip_ids : tuple of str
        The device that recorded each clip, and the clip's id (`Manifest.clip_ids`).
    groups : tuple of str
        Equal for clips that must stay together: the recording that a clip was cut from, or else
        its take, or else the id of the clip.
    failures : tuple of Failure
        Clips that could not be used; they are not among the rows.
    """

    analysis: Analysis
    values: Array
    devices: tuple[str, ...]
    clip_ids: tuple[str, ...]
    groups: tuple[str, ...]
    failures: tuple[Failure, ...] = ()

    def rows(self, chosen: Sequence[int] | NDArray[np.intp]) -> Descriptions:
        """Return the chosen rows, in the order given."""
        index = np.asarray(chosen, dtype=np.intp)
        return replace(
            self,
            values=self.values[index],
            devices=tuple(self.devices[row] for row in index),
            clip_ids=tuple(self.clip_ids[row] for row in index),
            groups=tuple(self.groups[row] for row in index),
        )


def describe(clip: audio.Clip, analysis: Analysis, filters: Array | None = None) -> Array:
    """Return the description of a clip, (number,), from the frames that are not silent.

    Coefficients 1 and more of the orthonormal cosine transform, over the bins, of the mean log
    power: the first ones are the shape of the spectrum, the later ones its ripples. A response adds
    its own coefficients to those of the sound. The level is coefficient 0, which is left out.

    Without coefficients (see `Analysis`) it is the mean log power of each band of `filters` (band,
    bin), without its mean over bands. Raises an AudioError if the clip has another rate, is silent,
    or is not a Clip.
    """
    if audio.checked_clip(clip).rate_hz != analysis.rate_hz:
        raise AudioError(
            f"the rate of {clip.path or 'a clip'} is {clip.rate_hz} Hz",
            expected=f"{analysis.rate_hz} Hz, the rate of the identifier",
            fix="resample it, or fit an identifier at its rate",
        )
    padded = centred(clip.samples, analysis.fft_size)
    steps = {"fft_size": analysis.fft_size, "hop_samples": analysis.hop_samples}
    bands, levels = [], []
    for block in windowed_blocks(padded, **steps):
        power = np.abs(rfft(block.astype(np.float64))) ** 2
        bands.append(power if analysis.coefficients or filters is None else power @ filters.T)
        levels.append(power.mean(axis=1))
    level = np.concatenate(levels)
    loudest = float(level.max())
    if not loudest > 0:
        raise AudioError(
            f"{clip.path or 'a clip'} is silent",
            expected="a recording that is not silent",
            fix="leave it out",
        )
    active = level >= loudest * 10 ** (analysis.silence_db / 10)
    floor = loudest * 10 ** (analysis.floor_db / 10)
    mean: Array = np.log(np.maximum(np.concatenate(bands)[active], floor)).mean(axis=0)
    if analysis.coefficients:
        return np.asarray(dct(mean, norm="ortho")[1 : analysis.coefficients + 1])
    return np.asarray(mean - mean.mean())


def describe_manifest(manifest: Manifest) -> Descriptions:
    """Read and describe every clip whose device is stated; rows with an empty one are left out.

    Raises
    ------
    ManifestError
        If there is no `device` column.
    DeviceError
        If no clip can be used. Single clips that cannot, such as those of another rate than most,
        are listed in `failures`.
    """
    manifest.require("device", purpose="device identification")
    manifest = manifest.where(device=manifest.devices)
    rate_hz = usual_rate(manifest) or 44100  # where none can be read, each is a failure below
    analysis = Analysis.of(rate_hz)
    used: list[int] = []
    values: list[Array] = []
    failures: list[Failure] = []
    read = row_reader(manifest)
    for row, path in enumerate(manifest.paths()):
        found = attempt(path, lambda row: describe(read(row), analysis), row)
        if isinstance(found, Failure):
            failures.append(found)
        else:
            values.append(found)
            used.append(row)
    if not used:
        raise DeviceError(
            f"no clip can be used ({len(failures)} failed). The first: {failures[0].reason}"
            if failures
            else "no clip has a device",
            expected="clips of at least two devices",
            fix="check the columns path and device of the manifest",
        )
    table = manifest.table.assign(clip_id=manifest.clip_ids()).iloc[used]
    groups = table["clip_id"]
    for name in ("take", "group"):
        if name in table:
            groups = as_text(table[name]).where(table[name] != "", groups)
    return Descriptions(
        analysis=analysis,
        values=np.array(values),
        devices=tuple(as_text(table["device"])),
        clip_ids=tuple(table["clip_id"]),
        groups=tuple(groups),
        failures=tuple(failures),
    )
