"""Blind gains: those of an unknown device, estimated from its recordings alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymic.data.manifest import Manifest
from anymic.devices.analysis import NEPER_DB
from anymic.devices.correction.profile import DeviceProfile
from anymic.devices.file_format import reading
from anymic.errors import AudioError, DeviceError, counted

if TYPE_CHECKING:
    from anymic.devices.correction.spectra import ClipSpectra

Array = NDArray[np.float64]

FORMAT, VERSION = "anymic-mean-spectrum", 1
FEWEST_CLIPS = 10
LIMIT_DB = 40.0
# Standard deviations of a device's response from its expectation at these frequencies,
# interpolated linearly over log frequency. The shape is the root mean square over 22 measured
# microphones (MicIRP, 0 dB from 100 Hz to 10 kHz), with at least 6 dB in the middle, where these
# have 3 to 6 dB, because other microphones differ more.
PRIOR_HZ = (62.0, 125.0, 250.0, 4000.0, 8000.0, 11_000.0, 16_000.0)
PRIOR_DB = (15.0, 10.0, 6.0, 6.0, 8.0, 15.0, 30.0)
# The correlation of a response at two frequencies falls by 1/e over this many octaves.
PRIOR_OCTAVES = 2.0
# Standard deviation of a response from the interpolation between the bands.
PRIOR_FINE_DB = 1.0

BANDS, LOWEST_HZ = 32, 40.0

_ANALYSIS = {
    "rate_hz": int,
    "fft_size": int,
    "hop_samples": int,
    "floor_db": float,
    "silence_db": float,
}
_ARRAYS = ("log_magnitude", "expected", "covariance", "spread")


@dataclass(frozen=True, eq=False)
class MeanSpectrum:
    """The mean spectrum of a network's training clips, the target of blind gains.

    The mean log spectrum of a recording is the sum of the sound (its content) and the log response
    of the device. Content varies between clips by far more than responses between devices, so the
    plain difference to the mean spectrum (`geometric_unaligned`) is right for many recordings
    together, and for a single one would remove what distinguishes the classes. `gains` returns
    the most probable difference under normal distributions. With content covariance S of one
    clip, which is measured here, and device covariance K, which is assumed (`device_covariance`),
    the gains of n recordings are ::

        log g = p + K (K + S / n)^-1 (log_magnitude - mean of the recordings - p)

    in bands evenly spaced over log frequency. In each bin, the residual of the bands is weighted
    by the same rule. p is the mean of the known devices' log gains. For many recordings g becomes
    that of `geometric_unaligned`. A length that does not fit the FFT size, or a number that is not
    finite, raises a DeviceError.

    Attributes
    ----------
    rate_hz, fft_size, hop_samples : int
        The analysis: that of the network's front-end.
    floor_db, silence_db : float
        See `anymic.devices.correction.spectra.ClipSpectra`.
    log_magnitude : (bin,), natural logarithm
        Mean over clips of their mean log magnitude, after correction by the profile.
    expected : (bin,), natural logarithm
        Mean of the known devices' log gains; zeros without a profile.
    covariance : (band, band), natural logarithm squared
        Of the clips' spectra in `bands`.
    spread : (bin,), natural logarithm
        Standard deviation over clips of the residual of the bands.
    count : int
        The number of clips.
    fitted_on : tuple of str
        Their ids (`Manifest.clip_ids`).
    """

    rate_hz: int
    fft_size: int
    hop_samples: int
    floor_db: float
    silence_db: float
    log_magnitude: Array
    expected: Array
    covariance: Array
    spread: Array
    count: int
    fitted_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        bins, bands = self.fft_size // 2 + 1, len(self.bands)
        problems = []
        for name in _ARRAYS:
            values: Array = getattr(self, name)
            if values.shape != ((bands, bands) if name == "covariance" else (bins,)):
                problems.append(f"{name} of {' x '.join(map(str, values.shape))}")
            if not np.isfinite(values).all():
                problems.append(f"non-finite {name}")
        if problems:
            raise DeviceError(
                "the mean spectrum has " + "; ".join(problems),
                expected=f"finite numbers for {bins} bins and {bands} bands",
                fix="measure it again",
            )

    @classmethod
    def measure(
        cls,
        manifest: Manifest,
        profile: DeviceProfile | None,
        **analysis: Any,
    ) -> MeanSpectrum:
        """Read the training clips of a network once; DeviceError if fewer than 10 can be used.

        Parameters
        ----------
        manifest : Manifest
        profile : DeviceProfile or None
            Corrects the clips. Those without a device, or of a device that is not in it, are used
            uncorrected.
        **analysis
            rate_hz, fft_size and hop_samples of the front-end. By default those of the profile;
            without a profile those of `spectra.measure`.
        """
        from anymic.devices.correction.spectra import measure

        if profile is not None:
            names = ("rate_hz", "fft_size", "hop_samples")
            analysis = {name: getattr(profile, name) for name in names} | analysis
        return cls.of(measure(as_recordings(manifest), **analysis), profile)

    @classmethod
    def of(
        cls,
        spectra: ClipSpectra,
        profile: DeviceProfile | None,
        *,
        clip_ids: Collection[str] | None = None,
    ) -> MeanSpectrum:
        """Average spectra already measured, or some of them; see `measure`."""
        from sklearn.covariance import ledoit_wolf

        wanted = spectra.clip_ids if clip_ids is None else clip_ids
        chosen = [row for row, clip_id in enumerate(spectra.clip_ids) if clip_id in wanted]
        if len(chosen) < FEWEST_CLIPS:
            raise DeviceError(
                f"only {counted(len(chosen), 'clip')} can be used for the mean spectrum",
                expected=f"at least {FEWEST_CLIPS}",
                fix="pass the clips that the model was trained on",
            )
        bins = spectra.fft_size // 2 + 1
        known = {}
        if profile is not None:
            profile.require(rate_hz=spectra.rate_hz, fft_size=spectra.fft_size)
            known = {name: np.log(device.gains) for name, device in profile.devices.items()}
        gains = [known.get(spectra.devices[row], np.zeros(bins)) for row in chosen]
        corrected = spectra.log_magnitude[chosen] + gains
        mean = corrected.mean(axis=0)
        into, back = band_matrices(spectra.rate_hz, spectra.fft_size)
        coarse = (corrected - mean) @ into.T
        return cls(
            **{name: getattr(spectra, name) for name in _ANALYSIS},
            log_magnitude=mean,
            expected=np.mean([*known.values()], axis=0) if known else np.zeros(bins),
            covariance=ledoit_wolf(coarse, assume_centered=True)[0],
            spread=(corrected - mean - coarse @ back.T).std(axis=0),
            count=len(chosen),
            fitted_on=tuple(spectra.clip_ids[row] for row in chosen),
        )

    @property
    def bands(self) -> Array:
        """The frequencies (band,) in Hz at which covariances hold."""
        return bands_hz(self.rate_hz, self.fft_size)

    def observe(self, samples: NDArray[np.float32]) -> Array:
        """Return the mean log magnitude (bin,) of a recording (sample,); AudioError if silent."""
        from anymic.devices.correction.frames import SampleFrames
        from anymic.devices.correction.spectra import statistics_of_take

        if not samples.any():
            raise AudioError(
                "the recording is silent",
                expected="at least one sample that is not zero",
                fix="leave it out",
            )
        frames = SampleFrames(samples, fft_size=self.fft_size, hop_samples=self.hop_samples)
        found = statistics_of_take([frames], floor_db=self.floor_db, silence_db=self.silence_db)
        return np.asarray(found["log_magnitude"][0])

    def gains(self, spectra: Array) -> Array:
        """Estimate the gains of a device from its recordings.

        Parameters
        ----------
        spectra : (recording, bin)
            From `observe` or `ClipSpectra.log_magnitude`; at least one. A recording of any length
            counts as one, because its content is not independent over time.

        Returns
        -------
        (bin,) float64
            Positive amplitude factors, within 40 dB of 1.
        """
        spectra = np.asarray(spectra, dtype=np.float64)
        if spectra.ndim != 2 or not len(spectra) or spectra.shape[1:] != self.log_magnitude.shape:
            raise DeviceError(
                f"the spectra have shape {spectra.shape}",
                expected=f"one or more recordings of {len(self.log_magnitude)} bins",
                fix="pass the results of `observe`",
            )
        difference = self.log_magnitude - spectra.mean(axis=0) - self.expected
        into, back = band_matrices(self.rate_hz, self.fft_size)
        device, content = device_covariance(self.bands), self.covariance / len(spectra)
        coarse = into @ difference
        fine = difference - back @ coarse
        fine_variance = (PRIOR_FINE_DB / NEPER_DB) ** 2
        fine *= fine_variance / (fine_variance + self.spread**2 / len(spectra))
        log_gains = (
            self.expected + back @ (device @ np.linalg.solve(device + content, coarse)) + fine
        )
        limit = LIMIT_DB / NEPER_DB
        gains: Array = np.exp(np.clip(log_gains, -limit, limit))
        return gains

    def uncertainty_db(self, recordings: int) -> Array:
        """Return the standard error (bin,) of gains from this number of recordings, in dB."""
        _, back = band_matrices(self.rate_hz, self.fft_size)
        device, content = device_covariance(self.bands), self.covariance / recordings
        left = device - device @ np.linalg.solve(device + content, device)
        fine, own = (PRIOR_FINE_DB / NEPER_DB) ** 2, self.spread**2 / recordings
        variance = np.einsum("fb,bc,fc->f", back, left, back) + fine * own / (fine + own)
        return np.asarray(NEPER_DB * np.sqrt(np.maximum(variance, 0.0)))

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the state, for `from_parts`: plain JSON values, and tensors."""
        record = {name: getattr(self, name) for name in (*_ANALYSIS, "count")}
        record |= {"format": FORMAT, "version": VERSION, "fitted_on": list(self.fitted_on)}
        tensors = {
            name: torch.from_numpy(np.ascontiguousarray(getattr(self, name))) for name in _ARRAYS
        }
        return record, tensors

    @classmethod
    def from_parts(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> MeanSpectrum:
        """Build a mean spectrum from what `to_parts` returned; raises as `file_format.reading`."""
        where, kind = "the mean spectrum", "a mean spectrum"
        with reading(record, FORMAT, VERSION, where=where, kind=kind, again="measure it again"):
            analysis: dict[str, Any] = {
                name: read(record[name]) for name, read in _ANALYSIS.items()
            }
            arrays: dict[str, Any] = {name: tensors[name].double().numpy() for name in _ARRAYS}
            fitted_on = tuple(map(str, record["fitted_on"]))
            return cls(count=int(record["count"]), fitted_on=fitted_on, **analysis, **arrays)


def as_recordings(manifest: Manifest) -> Manifest:
    """Return the manifest without takes, and with a device in every row, for `spectra.measure`."""
    names = manifest.table["device"] if "device" in manifest.table else [""] * len(manifest)
    return manifest.with_columns(device=[name or "not stated" for name in names], take="")


def device_covariance(hz: Array) -> Array:
    """Return the covariance of an unknown device's log response, (band, band), squared nepers."""
    deviation = np.interp(np.log(hz), np.log(PRIOR_HZ), PRIOR_DB) / NEPER_DB
    octaves = np.abs(np.log2(hz[:, None] / hz))
    covariance: Array = np.outer(deviation, deviation) * np.exp(-octaves / PRIOR_OCTAVES)
    return covariance


def bands_hz(rate_hz: int, fft_size: int) -> Array:
    """Return frequencies of bins, about evenly spaced over log frequency: (band,), ascending."""
    step_hz = rate_hz / fft_size
    wanted = np.geomspace(max(LOWEST_HZ, step_hz), rate_hz / 2, BANDS)
    found: Array = np.unique(np.round(wanted / step_hz)) * step_hz
    return found


@lru_cache(maxsize=16)
def band_matrices(rate_hz: int, fft_size: int) -> tuple[Array, Array]:
    """Return the matrices into the bands (band, bin), by least squares, and back (bin, band)."""
    hz = bands_hz(rate_hz, fft_size)
    every_hz = np.maximum(np.linspace(0, rate_hz / 2, fft_size // 2 + 1), 1.0)
    lines = [np.interp(np.log(every_hz), np.log(hz), row) for row in np.eye(len(hz))]
    back = np.stack(lines, axis=1).astype(np.float64)
    return np.linalg.pinv(back).astype(np.float64), back
