"""Spectrum correction: gains a frequency bin that make every device sound like the reference."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np

from anymic.data.manifest import Manifest
from anymic.devices.analysis import check_analysis
from anymic.devices.correction.estimators import ESTIMATORS, Estimation, failed, no_takes
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.devices.correction.spectra import ClipSpectra, measure
from anymic.errors import DeviceError, Failure

FEW_TAKES = 5


class SpectrumCorrection:
    """Learn, for each device, the gains that turn its spectrum into the reference's.

    Parameters
    ----------
    reference : str or sequence of str
        The device to sound like; several devices make a virtual reference, their mean, each
        weighing the same; "all" means every device of the manifest. Gains of a single reference
        device are exactly 1. With a virtual reference every device has gains, those that make up
        the reference too.
    estimator : str
        With `X(take, device)` the mean over time of the magnitude of the STFT:

        - ``ratio_of_means`` (Nguyen 2020, section 2.1): the mean of the reference's X over clips,
          divided by the mean of the device's X over clips.
        - ``mean_of_ratios`` (Kosmider 2019, section 2): the ratio of reference to device in each
          aligned take, then the mean over takes.
        - ``geometric``: the mean over takes of the difference of mean log magnitudes over the
          jointly active frames, each bin's loud frames weighing most, alike for all devices of
          the take (see `ClipSpectra`); a virtual reference is the geometric mean of its devices.
        - ``geometric_unaligned``: the same with each device's mean over all of its own clips,
          aligned or not; right as far as devices heard similar sounds on average.
    floor_db : float
        Spectra are taken to be at least this, relative to their own root mean square over bins
        (log magnitudes: relative to the loudest frame of their clip), so that an empty bin gives
        a finite gain.
    limit_db : float
        The ratio of each take and each gain lies within -limit_db .. limit_db.
    silence_db : float
        Frames this far below the loudest frame of their clip are left out, for all devices of
        the take at once (see `ClipSpectra`).
    fft_size, hop_samples : int
        The analysis: Hann window, as in the front-end.

    Attributes
    ----------
    profile_ : DeviceProfile
        The gains, with the number of clips and the spread behind each.
    notes_ : tuple of str
        What a user should know of this fit; each is also given as a warning.
    failures_ : tuple of Failure
        Clips that could not be used.
    spectra_ : ClipSpectra
        What was measured.

    Notes
    -----
    Which clips: where the manifest has aligned takes, the three aligned estimators (all but
    ``geometric_unaligned``) use, for each device, the takes that this device *and* every
    reference device recorded, so that what was heard cancels; other clips are not used.
    ``ratio_of_means`` needs no alignment: without any take in the manifest it uses all clips of
    each device. The other two refuse then.

    What the gains are: where a device hears the sound well above its own noise, all estimators
    give the inverse of its response. Where its noise prevails, means compare sound with noise,
    and gains stay below the inverse. That is wanted: the full inverse would raise noise that the
    reference does not have. So an estimator is to be judged by the accuracy it leads to, not by
    its likeness to the inverse response.
    """

    profile_: DeviceProfile
    notes_: tuple[str, ...]
    failures_: tuple[Failure, ...]
    spectra_: ClipSpectra

    def __init__(
        self,
        *,
        reference: str | Sequence[str] = "A",
        estimator: str = "ratio_of_means",
        floor_db: float = -100.0,
        limit_db: float = 40.0,
        silence_db: float = -40.0,
        fft_size: int = 2048,
        hop_samples: int = 512,
    ) -> None:
        self.reference = reference
        self.estimator = estimator
        self.floor_db = floor_db
        self.limit_db = limit_db
        self.silence_db = silence_db
        self.fft_size = fft_size
        self.hop_samples = hop_samples

    def fit(
        self,
        manifest: Manifest,
        *,
        devices: Sequence[str] | None = None,
        rate_hz: int | None = None,
    ) -> SpectrumCorrection:
        """Read the clips of `manifest` once and learn gains for its devices.

        Parameters
        ----------
        manifest : Manifest
            Training clips only. Needs `device`, and `take` for aligned estimators.
        devices : sequence of str, optional
            The devices to make gains for; by default all in the manifest.
        rate_hz : int, optional
            Resample clips to this rate; by default all must have one rate.

        Raises
        ------
        ManifestError
            If a column is missing.
        DeviceError
            If a setting cannot be, a device is unknown or there is no aligned take.
        """
        self._check_settings()
        manifest.require("device", purpose="spectrum correction")
        if self.estimator in ("mean_of_ratios", "geometric"):
            manifest.require("take", purpose=f"the aligned estimator {self.estimator}")
        reference, chosen = self._choose(devices, manifest.devices)
        heard = manifest.where(device=sorted({*chosen, *reference}))
        has_takes = "take" in heard.table and bool((heard.table["take"] != "").any())
        aligned = has_takes and self.estimator != "geometric_unaligned"
        for device in chosen if aligned else ():
            if not len(heard.takes(sorted({*reference, device}))):
                raise no_takes(reference, device)
        spectra = measure(
            heard,
            fft_size=self.fft_size,
            hop_samples=self.hop_samples,
            floor_db=self.floor_db,
            silence_db=self.silence_db,
            rate_hz=rate_hz,
            aligned_only=aligned,
        )
        lost = sorted({*chosen, *reference} - set(spectra.devices))
        if lost:
            raise DeviceError(
                f"no usable clip of device {' and '.join(lost)}{failed(spectra.failures)}",
                expected="at least 1",
                fix="mend the files, or leave the device out",
            )
        return self.fit_spectra(spectra, devices=chosen)

    def fit_spectra(
        self, spectra: ClipSpectra, *, devices: Sequence[str] | None = None
    ) -> SpectrumCorrection:
        """Learn gains from spectra already measured: many estimators, one pass over the audio.

        Raises
        ------
        DeviceError
            If the spectra were measured with other settings, a device is unknown or there is no
            aligned take.
        """
        self._check_settings()
        self._check_analysis_of(spectra)
        known = sorted(set(spectra.devices))
        reference, chosen = self._choose(devices, known)
        estimation = Estimation(spectra, reference, self.estimator, self.floor_db, self.limit_db)
        gains: dict[str, DeviceGains] = {}
        used: set[int] = set()
        for device in sorted({*chosen, *reference}):
            if reference == (device,):
                continue
            gains[device], rows = estimation.solve(device)
            used |= rows
        if len(reference) == 1:
            used = used or set(spectra.rows(reference[0]).tolist())
            behind = sum(spectra.devices[row] == reference[0] for row in used)
            bins = spectra.fft_size // 2 + 1
            gains[reference[0]] = DeviceGains(np.ones(bins), behind, np.zeros(bins))
        self.profile_ = DeviceProfile(
            rate_hz=spectra.rate_hz,
            fft_size=spectra.fft_size,
            reference=reference,
            estimator=self.estimator,
            devices={name: gains[name] for name in sorted(gains)},
            floor_db=float(self.floor_db),
            limit_db=float(self.limit_db),
            silence_db=float(self.silence_db),
            hop_samples=spectra.hop_samples,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            fitted_on=tuple(spectra.clip_ids[row] for row in sorted(used)),
        )
        self.failures_, self.spectra_ = spectra.failures, spectra
        self.notes_ = _notes(self.profile_, spectra.failures)
        for note in self.notes_:
            warnings.warn(note, stacklevel=2)
        return self

    def _choose(
        self, devices: Sequence[str] | None, known: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the reference devices and the devices to make gains for, both checked."""
        if self.reference == "all":
            reference = tuple(sorted(known))
        else:
            names = _known(self.reference, known, what="reference device")
            reference = tuple(sorted(set(names)))
        chosen = _known(devices, known) if devices else tuple(known)
        if len({*chosen, *reference}) < 2:
            raise DeviceError(
                f"no device but {', '.join(known) or 'none'}",
                expected="a reference and at least one device to correct",
                fix="add clips of another device to the manifest",
            )
        return reference, chosen

    def _check_settings(self) -> None:
        check_analysis(self.fft_size, self.hop_samples)
        if self.estimator not in ESTIMATORS:
            near = difflib.get_close_matches(str(self.estimator), ESTIMATORS, n=1)
            raise DeviceError(
                f"estimator {self.estimator!r}",
                expected="one of " + ", ".join(ESTIMATORS),
                fix=f"did you mean {near[0]!r}?" if near else "choose one of them",
            )
        for name, value, right in (
            ("floor_db", self.floor_db, -300 <= self.floor_db < 0),
            ("limit_db", self.limit_db, 0 < self.limit_db <= 300),
            ("silence_db", self.silence_db, -300 <= self.silence_db < 0),
        ):
            if not right:
                wanted = "above 0, up to 300 dB" if name == "limit_db" else "-300 dB to below 0"
                raise DeviceError(f"{name} of {value}", expected=wanted, fix="use the default")
        if not isinstance(self.reference, str) and not list(self.reference):
            raise DeviceError(
                "no reference device", expected="at least one", fix="name one, or 'all'"
            )

    def _check_analysis_of(self, spectra: ClipSpectra) -> None:
        for name in ("fft_size", "hop_samples", "floor_db", "silence_db"):
            got, wanted = getattr(spectra, name), getattr(self, name)
            if got != wanted:
                raise DeviceError(
                    f"spectra measured with {name} {got}",
                    expected=f"{name} {wanted} as in the correction",
                    fix="measure them again, or set the correction to it",
                )


def _known(names: Sequence[str], known: Sequence[str], *, what: str = "device") -> tuple[str, ...]:
    names = (names,) if isinstance(names, str) else tuple(names)
    unknown = [name for name in names if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        raise DeviceError(
            f"{what} {', '.join(map(repr, unknown))}",
            expected="devices of the manifest: " + ", ".join(sorted(known)),
            fix=f"did you mean {near[0]!r}?" if near else "name one of them",
        )
    return names


def _notes(profile: DeviceProfile, failures: Sequence[Failure]) -> tuple[str, ...]:
    notes = []
    for name, device in profile.devices.items():
        if device.count < FEW_TAKES:
            notes.append(
                f"device {name}: only {device.count} clips behind its gains; 10 to 30 are usual"
            )
        limit = 10 ** (profile.limit_db / 20) * (1 - 1e-9)
        limited = int(np.sum((device.gains >= limit) | (device.gains <= 1 / limit)))
        if limited:
            notes.append(
                f"device {name}: {limited} of {len(device.gains)} bins at the limit of "
                f"{profile.limit_db:g} dB"
            )
    if failures:
        notes.append(f"some clips could not be used{failed(failures)}")
    return tuple(notes)
