"""Blind gains: those of an unknown device, estimated from its recordings alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymic.data.manifest import Manifest
from anymic.devices.analysis import NEPER_DB
from anymic.devices.correction.device_prior import (
    PRIOR_FINE_DB,
    band_matrices,
    bands_hz,
    device_covariance,
)
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import DeviceError, version_fix

if TYPE_CHECKING:
    from anymic.devices.correction.spectra import ClipSpectra

Array = NDArray[np.float64]

FORMAT, VERSION = "anymic-mean-spectrum", 1
FEWEST_CLIPS = 10
LIMIT_DB = 40.0


@dataclass(frozen=True, eq=False)
class MeanSpectrum:
    """The mean spectrum of a network's training clips, the target of blind gains.

    A recording's mean log spectrum is the sum of the sound (its content) and the log response of
    the device. Content varies between clips by far more than responses between devices, so the
    plain difference to the mean spectrum (`geometric_unaligned`) is right for many recordings
    together, and for a single one would remove what distinguishes the classes. `gains` is the most
    probable difference given both spreads, under normal distributions: with content covariance S
    of one clip, measured here, and device covariance K, assumed (`device_covariance`), of n
    recordings ::

        log g = p + K (K + S / n)^-1 (log_magnitude - mean of the recordings - p)

    in bands evenly spaced over log frequency; in each bin, the residual of the bands is weighted by
    the same rule. p is the expectation for an unknown device: the mean of the known devices' log
    gains. For many recordings g becomes that of `geometric_unaligned`.

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

    Raises
    ------
    DeviceError
        If a length does not fit the FFT size, or a number is not finite.
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
        shapes: dict[str, tuple[int, ...]] = {
            **dict.fromkeys(("log_magnitude", "expected", "spread"), (bins,)),
            "covariance": (bands, bands),
        }
        problems = [
            f"{name} of {' x '.join(map(str, getattr(self, name).shape))}"
            for name, shape in shapes.items()
            if getattr(self, name).shape != shape
        ]
        problems += [
            f"non-finite {name}" for name in shapes if not np.isfinite(getattr(self, name)).all()
        ]
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
        *,
        rate_hz: int | None = None,
        fft_size: int | None = None,
        hop_samples: int | None = None,
    ) -> MeanSpectrum:
        """Read every clip of `manifest` once.

        Parameters
        ----------
        manifest : Manifest
            The clips that the network was trained on.
        profile : DeviceProfile or None
            Corrects them; clips without a device, or of a device that is not in it, are used
            uncorrected.
        rate_hz, fft_size, hop_samples
            Those of the network's front-end; by default those of the profile, without one the
            clips' own rate, 2048 and 512.

        Raises
        ------
        DeviceError
            If fewer than 10 clips can be used.
        """
        from anymic.devices.correction.spectra import measure

        usual: tuple[int | None, int, int] = (None, 2048, 512)
        if profile is not None:
            usual = (profile.rate_hz, profile.fft_size, profile.hop_samples)
        spectra = measure(
            as_recordings(manifest),
            rate_hz=rate_hz or usual[0],
            fft_size=fft_size or usual[1],
            hop_samples=hop_samples or usual[2],
        )
        return cls.of(spectra, profile)

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

        chosen = [row for row, one in enumerate(spectra.clip_ids) if _among(one, clip_ids)]
        if len(chosen) < FEWEST_CLIPS:
            raise DeviceError(
                f"only {len(chosen)} clips can be used for the mean spectrum",
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
            rate_hz=spectra.rate_hz,
            fft_size=spectra.fft_size,
            hop_samples=spectra.hop_samples,
            floor_db=spectra.floor_db,
            silence_db=spectra.silence_db,
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
        """Return the mean log magnitude (bin,) of a recording (sample,) at this rate.

        Raises
        ------
        AudioError
            If it is silent.
        """
        from anymic.devices.correction.take_statistics import mean_log_magnitude

        return mean_log_magnitude(
            samples,
            fft_size=self.fft_size,
            hop_samples=self.hop_samples,
            floor_db=self.floor_db,
            silence_db=self.silence_db,
        )

    def gains(self, spectra: Array) -> Array:
        """Estimate the gains of a device from its recordings.

        Parameters
        ----------
        spectra : (recording, bin)
            From `observe`, or `ClipSpectra.log_magnitude`: one a recording, however long, because
            the content of one recording is not independent over time.

        Returns
        -------
        (bin,) float64
            Positive amplitude factors, within 40 dB of 1.

        Raises
        ------
        DeviceError
            If there is no recording.
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

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the state, for `from_parts`: plain JSON values, and tensors."""
        names = ("rate_hz", "fft_size", "hop_samples", "floor_db", "silence_db", "count")
        record = {name: getattr(self, name) for name in names}
        record |= {"format": FORMAT, "version": VERSION, "fitted_on": list(self.fitted_on)}
        tensors = {
            name: torch.from_numpy(np.ascontiguousarray(getattr(self, name)))
            for name in ("log_magnitude", "expected", "covariance", "spread")
        }
        return record, tensors

    @classmethod
    def from_parts(cls, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> MeanSpectrum:
        """Build a mean spectrum from what `to_parts` returned.

        Raises
        ------
        DeviceError
            If the parts are those of another version, incomplete, or do not fit each other.
        """
        if record.get("format") != FORMAT or record.get("version") != VERSION:
            raise DeviceError(
                f"the mean spectrum has format {record.get('format')!r},"
                f" version {record.get('version')!r}",
                expected=f"{FORMAT!r}, version {VERSION}",
                fix=version_fix(record.get("version"), VERSION, otherwise="measure it again"),
            )
        try:
            return cls(
                rate_hz=int(record["rate_hz"]),
                fft_size=int(record["fft_size"]),
                hop_samples=int(record["hop_samples"]),
                floor_db=float(record["floor_db"]),
                silence_db=float(record["silence_db"]),
                count=int(record["count"]),
                fitted_on=tuple(map(str, record["fitted_on"])),
                log_magnitude=tensors["log_magnitude"].double().numpy(),
                expected=tensors["expected"].double().numpy(),
                covariance=tensors["covariance"].double().numpy(),
                spread=tensors["spread"].double().numpy(),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DeviceError(
                f"the parts of the mean spectrum do not fit ({error!r})",
                expected="the files that `anymic devices policy` wrote",
                fix="measure it again",
            ) from error


def as_recordings(manifest: Manifest) -> Manifest:
    """Return the manifest without takes, and with a device in every row, for `spectra.measure`."""
    names = manifest.table["device"] if "device" in manifest.table else [""] * len(manifest)
    return manifest.with_columns(device=[name or "not stated" for name in names], take="")


def _among(clip_id: str, clip_ids: Collection[str] | None) -> bool:
    return clip_ids is None or clip_id in clip_ids
