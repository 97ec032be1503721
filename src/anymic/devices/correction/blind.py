"""Blind gains: those of an unknown device, estimated from its recordings alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymic.data.manifest import Manifest
from anymic.devices.analysis import NEPER_DB
from anymic.devices.correction.device_prior import (
    PRIORS,
    Component,
    Prior,
    components,
    posterior,
)
from anymic.devices.correction.profile import DeviceProfile
from anymic.devices.file_format import reading
from anymic.errors import AudioError, DeviceError, counted

if TYPE_CHECKING:
    from anymic.devices.correction.spectra import ClipSpectra

Array = NDArray[np.float64]

FORMAT, VERSION = "anymic-mean-spectrum", 2
FEWEST_CLIPS = 10
LIMIT_DB = 40.0
# Standard deviation of a response from the interpolation between the bands.
PRIOR_FINE_DB = 1.0

# Fewer recordings do not tell whether they are of too few kinds of sound. Of ten clips that were
# drawn from all 50 classes of ESC-50, 2 in 100 have a variety below 0.6.
FEWEST_TO_COMPARE, LEAST_VARIETY = 8, 0.6

BANDS, LOWEST_HZ = 32, 40.0

_ANALYSIS = {
    "rate_hz": int,
    "fft_size": int,
    "hop_samples": int,
    "floor_db": float,
    "silence_db": float,
}
_ARRAYS = ("log_magnitude", "known", "covariance", "spread")


@dataclass(frozen=True, eq=False)
class BlindEstimate:
    """Gains that were estimated from recordings of a device alone.

    Attributes
    ----------
    gains : (bin,)
        Positive amplitude factors.
    uncertainty_db : (bin,)
        The standard error of each gain, with that of the level of the device.
    variety : float
        Variance among the recordings over that among the training clips, summed over bands; NaN
        for a single recording. The response of a device does not change it.
    recordings : int
    """

    gains: Array
    uncertainty_db: Array
    variety: float
    recordings: int

    @property
    def alike(self) -> bool:
        """Whether the recordings are so alike that gains may correct their sound instead."""
        return self.recordings >= FEWEST_TO_COMPARE and self.variety < LEAST_VARIETY

    @property
    def notes(self) -> tuple[str, ...]:
        """What makes the gains doubtful, in words."""
        if not self.alike:
            return ()
        share = f"{100 * self.variety:.0f} % of the variance of the training clips"
        return (
            f"the {self.recordings} recordings are alike ({share}): blind gains may correct what "
            "their sounds have in common; add recordings of other sounds",
        )


@dataclass(frozen=True, eq=False)
class MeanSpectrum:
    """The mean spectrum of a network's training clips, the target of blind gains.

    The mean log spectrum of a recording is the sum of the sound (its content) and the log response
    of the device. Content varies between clips by far more than responses between devices, so the
    plain difference to the mean spectrum (`geometric_unaligned`) is right for many recordings
    together, and for a single one would remove what distinguishes the classes. `estimate` returns
    the expected gains if both are normally distributed. With content covariance S of one clip,
    which is measured here, and a device of mean p and covariance K, those of n recordings are ::

        log g = p + K (K + S / n)^-1 (log_magnitude - mean of the recordings - p)

    in bands evenly spaced over log frequency. In each bin, the residual of the bands is weighted
    by the same rule. There are several kinds of devices (`device_prior.components`): the gains are
    the mean of theirs, weighted by how probable each kind is, given the recordings. For many
    recordings g becomes that of `geometric_unaligned`. A length that does not fit the FFT size, or
    a number that is not finite, raises a DeviceError.

    Attributes
    ----------
    rate_hz, fft_size, hop_samples : int
        The analysis: that of the network's front-end.
    floor_db, silence_db : float
        See `anymic.devices.correction.spectra.ClipSpectra`.
    log_magnitude : (bin,), natural logarithm
        Mean over clips of their mean log magnitude, after correction by the profile.
    known : (device, bin), natural logarithm
        Log gains of the known devices; none without a profile.
    covariance : (band, band), natural logarithm squared
        Of the clips' spectra in `bands`.
    spread : (bin,), natural logarithm
        Standard deviation over clips of the residual of the bands.
    count : int
        The number of clips.
    fitted_on : tuple of str
        Their ids (`Manifest.clip_ids`).
    prior : {"microphones", "smooth"}
        See `device_prior.components`.
    """

    rate_hz: int
    fft_size: int
    hop_samples: int
    floor_db: float
    silence_db: float
    log_magnitude: Array
    known: Array
    covariance: Array
    spread: Array
    count: int
    fitted_on: tuple[str, ...] = ()
    prior: Prior = "microphones"

    def __post_init__(self) -> None:
        bins, bands = self.fft_size // 2 + 1, len(self.bands)
        shapes = {"covariance": (bands, bands), "known": (len(self.known), bins)}
        problems = []
        for name in _ARRAYS:
            values: Array = getattr(self, name)
            if values.shape != shapes.get(name, (bins,)):
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
            known=np.array([*known.values()]).reshape(-1, bins),
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
        """Return the gains (bin,) of a device from its recordings; see `estimate`."""
        return self.estimate(spectra).gains

    def estimate(self, spectra: Array) -> BlindEstimate:
        """Estimate the gains of a device from its recordings.

        Parameters
        ----------
        spectra : (recording, bin)
            From `observe` or `ClipSpectra.log_magnitude`; at least one. A recording of any length
            counts as one, because its content is not independent over time.

        Returns
        -------
        BlindEstimate
            Its gains are within 40 dB of 1.
        """
        spectra = np.asarray(spectra, dtype=np.float64)
        if spectra.ndim != 2 or not len(spectra) or spectra.shape[1:] != self.log_magnitude.shape:
            raise DeviceError(
                f"the spectra have shape {spectra.shape}",
                expected=f"one or more recordings of {len(self.log_magnitude)} bins",
                fix="pass the results of `observe`",
            )
        difference = self.log_magnitude - spectra.mean(axis=0)
        into, back = band_matrices(self.rate_hz, self.fft_size)
        coarse = into @ difference
        found = posterior(self._prior, coarse, self.covariance / len(spectra))
        expected = self.known.mean(axis=0) if len(self.known) else np.zeros(len(difference))
        rest = expected - back @ (into @ expected)  # what the bands leave of it
        fine, own = (PRIOR_FINE_DB / NEPER_DB) ** 2, self.spread**2 / len(spectra)
        left = rest + fine / (fine + own) * (difference - back @ coarse - rest)
        limit = LIMIT_DB / NEPER_DB
        log_gains = np.clip(back @ found.mean + left, -limit, limit)
        variance = np.einsum("fb,bc,fc->f", back, found.covariance, back, optimize=True)
        variance = np.maximum(variance, 0.0) + fine * own / (fine + own)
        variety = np.nan
        if len(spectra) > 1:
            among = np.var(spectra @ into.T, axis=0, ddof=1).sum()
            variety = float(among / np.trace(self.covariance))
        uncertainty_db = np.asarray(NEPER_DB * np.sqrt(variance))
        return BlindEstimate(np.exp(log_gains), uncertainty_db, variety, len(spectra))

    @cached_property
    def _prior(self) -> tuple[Component, ...]:
        into, _ = band_matrices(self.rate_hz, self.fft_size)
        return components(self.prior, self.bands, self.known @ into.T)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the state, for `from_parts`: plain JSON values, and tensors."""
        record = {name: getattr(self, name) for name in (*_ANALYSIS, "count")}
        record |= {"format": FORMAT, "version": VERSION, "fitted_on": list(self.fitted_on)}
        record["prior"] = self.prior
        tensors = {
            name: torch.from_numpy(np.ascontiguousarray(getattr(self, name))) for name in _ARRAYS
        }
        return record, tensors

    @classmethod
    def from_parts(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> MeanSpectrum:
        """Build a mean spectrum from what `to_parts` returned; raises as `file_format.reading`."""
        where, kind = "the mean spectrum", "a mean spectrum"
        version = 1 if record.get("version") == 1 else VERSION
        with reading(record, FORMAT, version, where=where, kind=kind, again="measure it again"):
            analysis: dict[str, Any] = {
                name: read(record[name]) for name, read in _ANALYSIS.items()
            }
            if version == 1:  # the mean of the known devices, and one kind of device
                tensors = {**tensors, "known": tensors["expected"][None]}
                record = {**record, "prior": "smooth"}
            if record["prior"] not in PRIORS:
                raise ValueError(f"prior {record['prior']!r}")
            arrays: dict[str, Any] = {name: tensors[name].double().numpy() for name in _ARRAYS}
            return cls(
                count=int(record["count"]),
                fitted_on=tuple(map(str, record["fitted_on"])),
                prior=record["prior"],
                **analysis,
                **arrays,
            )


def as_recordings(manifest: Manifest) -> Manifest:
    """Return the manifest without takes, and with a device in every row, for `spectra.measure`."""
    names = manifest.table["device"] if "device" in manifest.table else [""] * len(manifest)
    return manifest.with_columns(device=[name or "not stated" for name in names], take="")


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
