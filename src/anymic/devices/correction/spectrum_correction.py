"""Spectrum correction: a gain for each frequency bin equalizes the spectra of devices."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from anymic.data.manifest import Manifest
from anymic.data.reading import without_labels
from anymic.devices.analysis import check_analysis, wrong_levels
from anymic.devices.correction.apply import apply_to_magnitude
from anymic.devices.correction.arrays import (
    ArrayError,
    Domain,
    Unknown,
    check_choices,
    checked_clips,
    one_a_row,
)
from anymic.devices.correction.clip_sources import ArrayClips, read_rows
from anymic.devices.correction.estimators import ESTIMATORS
from anymic.devices.correction.gain_fitting import (
    Estimation,
    choose_devices,
    failed,
    no_takes,
    notes_of,
)
from anymic.devices.correction.profile import DeviceProfile
from anymic.devices.correction.spectra import ClipSpectra, Weighting, measure, measure_clips
from anymic.errors import AnymicWarning, DeviceError, Failure, require_type


class SpectrumCorrection(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learn gains that correct the spectrum of each device towards a reference.

    A scikit-learn transformer: `fit` learns gains from clips of several devices, `transform`
    multiplies the spectra of new clips by the gains of their devices. Clips are files (a
    `Manifest`, or a DataFrame with its columns) or arrays (see `domain`).

    Parameters
    ----------
    reference : str or sequence of str
        The device to correct towards. Several devices make a virtual reference, their mean with
        equal weights; "all" means every device. Gains of a single reference device are exactly 1.
        With a virtual reference every device has gains.
    estimator : str
        With `X(take, device)` the mean over time of the magnitude of the STFT:

        - ``ratio_of_means`` (Nguyen 2020, section 2.1): the mean of the reference's X over clips,
          divided by the mean of the device's X over clips.
        - ``mean_of_ratios`` (Kosmider 2019, section 2): the ratio of reference to device in each
          aligned take, then the mean over takes.
        - ``geometric``: the mean over takes of the difference of mean log magnitudes over the
          jointly active frames, weighted by `weighting` (see `ClipSpectra`). A virtual reference is
          the geometric mean of its devices.
        - ``geometric_unaligned``: the same with each device's mean over all of its own clips,
          for devices that recorded similar sounds on average.
    floor_db : float
        The least magnitude, relative to the root mean square of the spectrum over bins (for log
        magnitudes: relative to the loudest frame of the clip). It makes gains of empty bins finite.
    limit_db : float
        The ratio of each take and each gain lies within -limit_db .. limit_db.
    silence_db : float
        Frames this far below the loudest frame of their clip are left out, for all devices of
        the take at once (see `ClipSpectra`).
    weighting : {"loudness", "none"}
        How frames count in the means of ``geometric``: by their magnitude in each bin, or all
        alike, which is the published definition (with `silence_db` and `floor_db` of -300 every
        frame that is not digital silence counts, as it is).
    subtract_noise : bool
        Also subtract from the power of a bin what the gain makes of the device's noise, as far as
        it exceeds the noise of the reference. Both are measured in the pauses of the clips. The
        papers do not.
    fft_size, hop_samples : int
        The analysis: Hann window, as in the front-end.
    domain : {"waveform", "stft", "magnitude"}
        The kind of arrays in `fit` and `transform`: real samples (clip, sample), complex STFTs
        (clip, bin, frame), or linear magnitudes (clip, bin, frame). `transform` also accepts one
        clip without the first axis. Gains learned in one domain are valid in all.
    unknown : {"error", "identity"}
        Whether `transform` refuses clips of a device without gains, or returns them unchanged.

    Attributes
    ----------
    profile_ : DeviceProfile
        The gains, with the number of clips and the spread behind each.
    notes_ : tuple of str
        Notes on the fit. Each is also given as a warning.
    failures_ : tuple of Failure
        Clips that could not be used.
    spectra_ : ClipSpectra
        The measured spectra.
    resample_ : bool
        Whether `transform` resamples files to the rate of the gains: if `fit` was given a rate.

    Notes
    -----
    For each device, the aligned estimators (all but ``geometric_unaligned``) use the takes that
    this device *and* every reference device recorded, so that the sound itself cancels. Without
    any take, ``ratio_of_means`` uses all clips of each device and the other two raise an error.

    Where a device records the sound well above its own noise, all estimators give the inverse of
    its response. Where noise prevails, gains stay below the inverse, which would raise noise that
    the reference does not have. Judge an estimator by the accuracy that it leads to.

    In a pipeline, pass a DataFrame of files with a column `device`. With arrays, `device` and
    `take` are scikit-learn metadata (`set_fit_request`, `set_transform_request`).

    Examples
    --------
    >>> import anymic, numpy as np
    >>> generator = np.random.default_rng(0)
    >>> sound = generator.standard_normal((8, 16000))  # eight takes of one second
    >>> clips = np.concatenate([sound, 0.5 * sound])  # B records at half the level of A
    >>> devices, takes = ["A"] * 8 + ["B"] * 8, [*range(8), *range(8)]
    >>> correction = anymic.SpectrumCorrection(reference="A")
    >>> correction = correction.fit(clips, device=devices, take=takes, rate_hz=16000)
    >>> float(correction.profile_.gains_for("B").mean().round(3))
    2.0
    >>> correction.transform(clips, device=devices).shape
    (16, 16000)
    """

    profile_: DeviceProfile
    notes_: tuple[str, ...]
    failures_: tuple[Failure, ...]
    spectra_: ClipSpectra
    resample_: bool

    def __init__(
        self,
        *,
        reference: str | Sequence[str] = "A",
        estimator: str = "ratio_of_means",
        floor_db: float = -100.0,
        limit_db: float = 40.0,
        silence_db: float = -40.0,
        weighting: Weighting = "loudness",
        subtract_noise: bool = False,
        fft_size: int = 2048,
        hop_samples: int = 512,
        domain: Domain = "waveform",
        unknown: Unknown = "error",
    ) -> None:
        self.reference = reference
        self.estimator = estimator
        self.floor_db = floor_db
        self.limit_db = limit_db
        self.silence_db = silence_db
        self.weighting = weighting
        self.subtract_noise = subtract_noise
        self.fft_size = fft_size
        self.hop_samples = hop_samples
        self.domain = domain
        self.unknown = unknown

    def fit(
        self,
        X: Manifest | pd.DataFrame | ArrayLike,
        y: object = None,
        *,
        device: str | Iterable[str] | None = None,
        take: Iterable[object] | None = None,
        devices: Sequence[str] | None = None,
        rate_hz: int | None = None,
    ) -> SpectrumCorrection:
        """Read the clips once and learn gains for their devices.

        Parameters
        ----------
        X : Manifest, DataFrame or array
            Training clips. A table needs `path` and `device`, and `take` for aligned estimators.
            For arrays see `domain`.
        y : object
            Ignored.
        device : sequence of str
            For an array: the device that recorded each clip.
        take : sequence, optional
            For an array: equal for clips that were recorded at the same moment; None or "" for a
            clip without aligned partner.
        devices : sequence of str, optional
            The devices to make gains for; by default all.
        rate_hz : int, optional
            For files: resample clips to this rate; by default all must have one rate. For an
            array: the rate of the samples, from which spectra may have been computed.

        Raises
        ------
        ManifestError
            If a column is missing.
        DeviceError
            If a setting is not valid, a device is unknown, there is no aligned take, or an array
            does not fit the domain.
        """
        self._check_settings()
        if not isinstance(X, Manifest | pd.DataFrame):
            spectra = self._measure_array(X, device, take, rate_hz)
            self.resample_ = False
            return self.fit_spectra(spectra, devices=devices)
        if device is not None or take is not None:
            raise DeviceError(
                "`device` or `take` is passed with a table",
                expected="both in the columns of the table",
                fix="leave the arguments out",
            )
        manifest = without_labels(X)
        manifest.require("device", purpose="spectrum correction")
        takes = ESTIMATORS.get(self.estimator).takes
        if takes == "required":
            manifest.require("take", purpose=f"the aligned estimator {self.estimator}")
        reference, chosen = choose_devices(self.reference, devices, manifest.devices)
        used = manifest.where(device=sorted({*chosen, *reference}))
        has_takes = "take" in used.table and bool((used.table["take"] != "").any())
        aligned = has_takes and takes != "ignored"
        for name in chosen if aligned else ():
            if not len(used.takes(sorted({*reference, name}))):
                raise no_takes(reference, name)
        how = {"aligned_only": aligned, "noise": self.subtract_noise, **self._analysis()}
        spectra = measure(used, rate_hz=rate_hz, **how)
        lost = sorted({*chosen, *reference} - set(spectra.devices))
        if lost:
            raise DeviceError(
                f"no clip can be used of device {' and '.join(lost)}{failed(spectra.failures)}",
                expected="at least one",
                fix="correct the files, or leave the device out",
            )
        self.resample_ = rate_hz is not None
        return self.fit_spectra(spectra, devices=chosen)

    def fit_spectra(
        self, spectra: ClipSpectra, *, devices: Sequence[str] | None = None
    ) -> SpectrumCorrection:
        """Learn gains from spectra that are already measured (`spectra.measure`).

        Raises
        ------
        DeviceError
            If the spectra were measured with other settings, a device is unknown or there is no
            aligned take.
        """
        self._check_settings()
        spectra.require(**self._analysis())
        reference, chosen = choose_devices(self.reference, devices, sorted(set(spectra.devices)))
        limits = (self.floor_db, self.limit_db, self.subtract_noise)
        estimation = Estimation(spectra, reference, self.estimator, *limits)
        self.profile_ = estimation.profile(chosen)
        self.failures_, self.spectra_ = spectra.failures, spectra
        self.notes_ = notes_of(self.profile_, spectra.failures)
        for note in self.notes_:
            warnings.warn(note, AnymicWarning, stacklevel=2)
        return self

    def transform(
        self,
        X: Manifest | pd.DataFrame | ArrayLike,
        *,
        device: str | Iterable[str | None] | None = None,
    ) -> NDArray[Any]:
        """Return the clips multiplied by the gains of their devices.

        Parameters
        ----------
        X : Manifest, DataFrame or array
            Not changed. A table needs `path`, and `device` unless that is passed here; its files
            must have equal lengths, and the rate of the gains unless `fit` was given `rate_hz`. An
            array has the rate of the gains and any length.
        device : str or sequence of str
            The device that recorded all clips, or one name for each clip.

        Returns
        -------
        array
            Of the shape of `X`, (clip, sample) for a table. Waveforms are float32 (see
            `anymic.devices.correction.apply.apply_to_samples`), spectra keep their type.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        DeviceError
            If a device has no gains and `unknown` is "error", or an array does not fit the domain.
        """
        check_is_fitted(self, "profile_")
        check_choices(self.domain, self.unknown)
        profile = self.profile_
        if isinstance(X, Manifest | pd.DataFrame):
            manifest = without_labels(X)
            if device is None:
                manifest.require("device", purpose="spectrum correction")
                device = manifest.table["device"]
            if self.domain != "waveform":
                raise DeviceError(
                    f"files cannot be read in the domain {self.domain}",
                    expected="files in the domain waveform, or an array of spectra",
                    fix="compute the spectra first, or leave `domain` at waveform",
                )
            clips = read_rows(manifest, rate_hz=profile.rate_hz, resample=self.resample_)
            shape = clips.shape
        else:
            if device is None:
                raise ArrayError(
                    "the array has no devices",
                    expected="the device that recorded each clip",
                    fix="pass `device`, one name for all clips or one for each",
                )
            clips = checked_clips(X, self.domain, fft_size=profile.fft_size)
            shape = np.asarray(X).shape
        if self.domain == "waveform":
            corrected = profile.apply(clips, profile.rate_hz, device=device, unknown=self.unknown)
            return corrected.reshape(shape)
        factors = profile.factors_for_each(one_a_row(device, len(clips)), unknown=self.unknown)
        pairs = zip(clips, factors, strict=True)
        return np.reshape([apply_to_magnitude(clip, own) for clip, own in pairs], shape)

    def fit_transform(
        self,
        X: Manifest | pd.DataFrame | ArrayLike,
        y: object = None,
        *,
        device: str | Iterable[str] | None = None,
        **fit_arguments: Any,
    ) -> NDArray[Any]:
        """Fit, then transform the same clips; see `fit` and `transform`."""
        return self.fit(X, y, device=device, **fit_arguments).transform(X, device=device)

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn's checks may expect of the domain."""
        tags = super().__sklearn_tags__()
        spectra = self.domain != "waveform"
        tags.input_tags.two_d_array = not spectra
        tags.input_tags.three_d_array = spectra
        tags.input_tags.positive_only = self.domain == "magnitude"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"] if spectra else []
        return tags

    def _analysis(self) -> dict[str, Any]:
        names = ("fft_size", "hop_samples", "floor_db", "silence_db", "weighting")
        return {name: getattr(self, name) for name in names}

    def _measure_array(
        self,
        values: ArrayLike,
        device: str | Iterable[str] | None,
        take: Iterable[object] | None,
        rate_hz: int | None,
    ) -> ClipSpectra:
        if device is None or isinstance(device, str) or rate_hz is None:
            raise ArrayError(
                "the array has no " + ("rate_hz" if rate_hz is None else "device for each clip"),
                expected="`device`, one name for each clip, and `rate_hz`",
                fix="pass both, or a Manifest or DataFrame of files",
            )
        clips = checked_clips(values, self.domain, fft_size=self.fft_size)
        analysis = {"fft_size": self.fft_size, "hop_samples": self.hop_samples}
        source = ArrayClips(clips, device=device, take=take, rate_hz=rate_hz, **analysis)
        return measure_clips(
            source,
            floor_db=self.floor_db,
            silence_db=self.silence_db,
            weighting=self.weighting,
            noise=self.subtract_noise,
        )

    def _check_settings(self) -> None:
        check_analysis(self.fft_size, self.hop_samples)
        check_choices(self.domain, self.unknown)
        ESTIMATORS.get(self.estimator)
        for name, value, wanted in wrong_levels(self):
            raise DeviceError(f"{name} is {value}", expected=wanted, fix="use the default")
        if self.weighting not in get_args(Weighting):
            raise DeviceError(
                f"unknown weighting {self.weighting!r}", expected="loudness or none", fix="use one"
            )
        wanted = "the name of a device, or several"
        require_type(
            self.reference, (str, Iterable), "the reference", expected=wanted, error=DeviceError
        )
        if not isinstance(self.reference, str) and not list(self.reference):
            raise DeviceError(
                "there is no reference device", expected="at least one", fix="pass one, or 'all'"
            )
