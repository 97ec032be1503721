"""Device profiles: the gains of devices, how they were estimated, and their JSON file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic._internal.files import write_text
from anymic._internal.reading import read_json
from anymic.devices.analysis import check_analysis, wrong_levels
from anymic.devices.correction.arrays import Unknown, checked_clips, one_a_row
from anymic.devices.correction.noise import factors_with_noise
from anymic.devices.file_format import number, reading, whole_number
from anymic.errors import DeviceError, did_you_mean

FORMAT = "anymic-device-profile"
VERSION = 1
UNNAMED = "training"  # the reference device where nobody named what recorded the training clips
Source = Literal["takes", "blind", "response"]
_KIND, _AGAIN = "a device profile", "make one with `anymic devices profile`"


def _texts(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(map(str, values))


# The fields of a profile in its file, in this order, and how to read each.
_FIELDS: dict[str, Callable[[Any], Any]] = {
    "created": str,
    "rate_hz": whole_number,
    "fft_size": whole_number,
    "hop_samples": whole_number,
    "reference": _texts,
    "estimator": str,
    "floor_db": number,
    "limit_db": number,
    "silence_db": number,
    "weighting": str,
    "fitted_on": _texts,
}
_LATER = {"weighting": "loudness"}  # fields that a profile has only where they are not this


@dataclass(frozen=True, eq=False)
class DeviceGains:
    """The gains that correct one device towards the reference.

    Attributes
    ----------
    gains : (bin,) float64
        Positive factors for the magnitudes (not powers) of each frequency bin.
    count : int
        Clips of this device that the gains were estimated from.
    spread_db : (bin,) float64
        Standard deviation over those clips of the log gain, in dB; 0 for a single clip.
    source : {"takes", "blind", "response"}
        What the gains were estimated from: takes with the reference, recordings of the device
        alone, or a file of its measured response.
    noise : (2, bin) float64, optional
        The level of the noise of the device, and of the reference, for gains that subtract noise;
        see `noise.noise_level`.
    """

    gains: NDArray[np.float64] = field(repr=False)
    count: int
    spread_db: NDArray[np.float64] = field(repr=False)
    source: Source = "takes"
    noise: NDArray[np.float64] | None = field(default=None, repr=False)

    @property
    def factors(self) -> NDArray[np.float64]:
        """What corrects magnitudes: the gains (bin,), or with noise (3 * bin,)."""
        return self.gains if self.noise is None else factors_with_noise(self.gains, self.noise)

    def scaled(self, factors: NDArray[np.float64] | float) -> DeviceGains:
        """Return gains towards the reference times factors, of all bins or of each."""
        noise = None if self.noise is None else np.stack([self.noise[0], self.noise[1] * factors])
        return replace(self, gains=self.gains * factors, noise=noise)

    def after(self, other: DeviceGains) -> DeviceGains:
        """Return gains towards the reference of `other`, whose own device is the reference here."""
        found = self.scaled(other.gains)
        if found.noise is None or other.noise is None:
            return found
        return replace(found, noise=np.stack([found.noise[0], other.noise[1]]))

    def summary(self, bins: NDArray[np.bool_] | slice = slice(None)) -> dict[str, Any]:
        """Return the number of clips, and gains and spread over (some of) the bins in dB.

        The spread is None where there is none: of fewer than two clips, or a measured response.
        """
        gains_db = 20 * np.log10(self.gains[bins])
        return {
            "clips": self.count,
            "lowest_db": float(gains_db.min()),
            "median_db": float(np.median(gains_db)),
            "highest_db": float(gains_db.max()),
            "spread_db": float(np.median(self.spread_db[bins])) if self.count > 1 else None,
        }

    def to_mapping(self) -> dict[str, Any]:
        """Return the plain mapping of a profile; `source` if it is not takes, `noise` if any."""
        source = {} if self.source == "takes" else {"source": self.source}
        noise = {} if self.noise is None else {"noise": self.noise.tolist()}
        return {
            "count": self.count,
            **source,
            "gains": self.gains.tolist(),
            "spread_db": [round(value, 4) for value in self.spread_db.tolist()],
            **noise,
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> DeviceGains:
        """Build gains from what `to_mapping` returned."""
        source = values.get("source", "takes")
        if source not in get_args(Source):
            raise ValueError(f"the source {source!r}")
        arrays = (np.asarray(values[name], dtype=np.float64) for name in ("gains", "spread_db"))
        gains, spread_db = arrays
        noise = np.asarray(values["noise"], dtype=np.float64) if "noise" in values else None
        return cls(gains, whole_number(values["count"]), spread_db, source, noise)


@dataclass(frozen=True, eq=False)
class DeviceProfile:
    """Gains of one or more devices, and how they were estimated.

    Attributes
    ----------
    rate_hz, fft_size, hop_samples : int
        The analysis; gains are valid for this rate and FFT size only, for any hop.
    reference : tuple of str
        The devices whose mean spectrum the gains correct towards.
    estimator : str
    devices : dict of str to DeviceGains
        The corrected devices, the reference devices among them.
    floor_db, limit_db, silence_db, weighting : float, str
        See `SpectrumCorrection`.
    created : str
        When, ISO 8601, UTC.
    fitted_on : tuple of str
        Ids of the clips that were used (`Manifest.clip_ids`).

    Raises
    ------
    DeviceError
        If lengths do not fit the FFT size or a gain is not positive and finite. The message names
        every problem.

    Examples
    --------
    >>> import anymic
    >>> profile = anymic.profile("clips.csv", reference="A", fft_size=512, hop_samples=256)
    >>> clip = anymic.audio.read("clip.wav")
    >>> corrected = profile.apply(clip.samples, clip.rate_hz, device="B")
    >>> corrected.shape == clip.samples.shape
    True
    >>> bool(abs(corrected).mean() > abs(clip.samples).mean())  # B is quieter than A
    True
    """

    rate_hz: int
    fft_size: int
    reference: tuple[str, ...]
    estimator: str
    devices: dict[str, DeviceGains]
    floor_db: float = -100.0
    limit_db: float = 40.0
    silence_db: float = -40.0
    weighting: str = "loudness"
    hop_samples: int = 512
    created: str = ""
    fitted_on: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        check_analysis(self.fft_size, self.hop_samples)
        problems = [
            problem
            for name, device in self.devices.items()
            for problem in _problems(name, device, self.fft_size // 2 + 1)
        ]
        if not self.devices:
            problems.append("no device")
        if self.rate_hz < 1:
            problems.append(f"a rate of {self.rate_hz} Hz")
        problems += [
            f"{name} {value:g} (not {wanted})" for name, value, wanted in wrong_levels(self)
        ]
        if problems:
            raise DeviceError(
                "the device profile has " + "; ".join(problems),
                expected=f"positive, finite gains for {self.fft_size // 2 + 1} bins",
                fix="make the profile again with `anymic devices profile`",
            )

    @property
    def blind(self) -> tuple[str, ...]:
        """The devices whose gains were estimated from recordings of them alone."""
        return tuple(name for name, device in self.devices.items() if device.source == "blind")

    def frequencies_hz(self) -> NDArray[np.float64]:
        """Return the centre of each bin, (bin,) in Hz."""
        return np.linspace(0.0, self.rate_hz / 2, self.fft_size // 2 + 1)

    def of(self, device: str) -> DeviceGains:
        """Return the entry of `device`; DeviceError if the profile has no such device."""
        if device not in self.devices:
            raise DeviceError(
                f"the profile has no device {device!r}{did_you_mean(device, self.devices)}",
                expected="one of " + ", ".join(sorted(self.devices)),
                fix="choose one of them, or add the device to the profile",
            )
        return self.devices[device]

    def gains_for(self, device: str) -> NDArray[np.float64]:
        """Return the gains (bin,) of `device`; DeviceError if the profile has no such device."""
        return self.of(device).gains

    def factors_for_each(
        self, devices: Sequence[str], *, unknown: Unknown = "error"
    ) -> list[NDArray[np.float64]]:
        """Return what corrects each of these devices, as `DeviceGains.factors`.

        Raises
        ------
        DeviceError
            If the profile has no such device and `unknown` is "error". With "identity" its gains
            are 1.
        """
        ones = np.ones(self.fft_size // 2 + 1)
        skipped = set(devices) - set(self.devices) if unknown == "identity" else set()
        return [ones if name in skipped else self.of(name).factors for name in devices]

    def require(
        self,
        *,
        rate_hz: int,
        fft_size: int | None = None,
        what: Literal["audio", "model"] = "audio",
    ) -> None:
        """Raise a DeviceError if the rate or the FFT size of `what` is not that of the profile."""
        if rate_hz != self.rate_hz:
            fix = f"make a profile at {rate_hz} Hz"
            raise DeviceError(
                f"the rate of the {what} is {rate_hz} Hz",
                expected=f"{self.rate_hz} Hz, the rate of the device profile",
                fix=fix if what == "model" else f"resample the audio, or {fix}",
            )
        if fft_size is not None and fft_size != self.fft_size:
            raise DeviceError(
                f"the FFT size is {fft_size}",
                expected=f"{self.fft_size}, the FFT size of the device profile",
                fix="set the front-end to it, or make a profile with that FFT size",
            )

    def apply(
        self,
        samples: ArrayLike,
        rate_hz: int,
        *,
        device: str | Iterable[str | None],
        unknown: Unknown = "error",
    ) -> NDArray[np.float32]:
        """Return samples of `device` with the spectrum of the reference.

        See `anymic.devices.correction.apply.apply_to_samples`.

        Parameters
        ----------
        samples : (sample,) or (clip, sample), float
            Not changed.
        rate_hz : int
            The rate of the samples, which must be that of the profile.
        device : str or sequence of str
            The device that recorded the samples, or one for each clip.
        unknown : {"error", "identity"}
            Whether a device without gains is refused, or its samples are returned unchanged.

        Returns
        -------
        float32
            Of the shape of `samples`.

        Raises
        ------
        DeviceError
            If the rate differs, the profile has no such device, or `samples` does not hold
            waveforms.

        Examples
        --------
        >>> import anymic, numpy as np
        >>> profile = anymic.profile("clips.csv", reference="A", fft_size=512, hop_samples=256)
        >>> samples = np.sin(np.arange(16000) / 10)  # a second at 16 kHz
        >>> profile.apply(samples, 16000, device="B").shape
        (16000,)
        """
        from anymic.devices.correction.apply import apply_to_samples

        self.require(rate_hz=rate_hz)
        clips = checked_clips(samples, "waveform", fft_size=self.fft_size)
        gains = self.factors_for_each(one_a_row(device, len(clips)), unknown=unknown)
        analysis = {"fft_size": self.fft_size, "hop_samples": self.hop_samples}
        pairs = zip(clips, gains, strict=True)
        corrected = np.stack([apply_to_samples(clip, row, **analysis) for clip, row in pairs])
        return corrected.reshape(np.shape(samples))

    def to_mapping(self) -> dict[str, Any]:
        """Return the plain mapping that is written as JSON."""
        plain = {name: getattr(self, name) for name in _FIELDS}
        plain = {name: v for name, v in plain.items() if v != _LATER.get(name)}
        return {
            "format": FORMAT,
            "version": VERSION,
            **{name: list(v) if isinstance(v, tuple) else v for name, v in plain.items()},
            "devices": {name: device.to_mapping() for name, device in self.devices.items()},
        }

    @classmethod
    def from_mapping(
        cls, values: Mapping[str, Any], *, where: str = "the profile"
    ) -> DeviceProfile:
        """Build a profile from what `to_mapping` returned; raises as `file_format.reading`."""
        with reading(values, FORMAT, VERSION, where=where, kind=_KIND, again=_AGAIN):
            devices = {
                str(name): DeviceGains.from_mapping(device)
                for name, device in values["devices"].items()
            }
            stored = {**_LATER, **values}
            plain: dict[str, Any] = {name: read(stored[name]) for name, read in _FIELDS.items()}
            return cls(devices=devices, **plain)

    def write(self, path: str | Path) -> Path:
        """Write the profile as JSON, whole or not at all."""
        path = Path(path)
        if not path.parent.is_dir():
            raise DeviceError(
                f"no folder {path.parent}", expected="a folder to write to", fix="create it"
            )
        write_text(path, json.dumps(self.to_mapping(), indent=1, allow_nan=False) + "\n")
        return path

    @classmethod
    def read(cls, path: str | Path) -> DeviceProfile:
        """Read a profile from JSON; DeviceError if there is none, or as for `from_mapping`."""
        path = Path(path)
        if not path.is_file():
            raise DeviceError(f"no file {path}", expected=_KIND, fix=f"check the path, or {_AGAIN}")
        values = read_json(path, DeviceError, expected=_KIND, fix=_AGAIN)
        return cls.from_mapping(values, where=str(path))


def _problems(name: str, device: DeviceGains, bins: int) -> list[str]:
    problems = []
    for what, values in (("gains", device.gains), ("spreads", device.spread_db)):
        if values.shape != (bins,):
            problems.append(f"{values.size} {what} for device {name} instead of {bins}")
        elif not np.isfinite(values).all():
            problems.append(f"non-finite {what} for device {name}")
    if device.count < 0:
        problems.append(f"a count of {device.count} for device {name}")
    if (device.spread_db < 0).any():
        problems.append(f"spreads below 0 for device {name}")
    noise = device.noise
    if noise is not None and (
        noise.shape != (2, bins) or not ((noise >= 0) & (noise < np.inf)).all()
    ):
        problems.append(f"noise levels of device {name} that are not two of 0 or more for each bin")
    if not problems:
        with np.errstate(over="ignore", invalid="ignore"):
            factors = device.factors.astype(np.float32)
        if not np.isfinite(factors).all():
            problems.append(f"gains or noise of device {name} beyond the range of float32")
    if device.gains.shape == (bins,) and (device.gains <= 0).any():
        problems.append(f"gains of 0 or less for device {name}")
    return problems
