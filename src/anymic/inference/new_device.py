"""Add a new device to any model in one call: from takes, from its recordings, or its response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anymic import bundle as bundles
from anymic._internal.process_state import left_as_found
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.device_changes import add_devices, add_to_each
from anymic.devices.correction import new_device
from anymic.devices.correction.blind import MeanSpectrum
from anymic.devices.correction.expectation import Expectation, expectation
from anymic.devices.correction.merging import merge, refuse_known
from anymic.devices.correction.new_device import Analysis, Estimated
from anymic.devices.correction.profile import UNNAMED, DeviceProfile
from anymic.devices.correction.takes import Table, read_takes
from anymic.errors import BundleError, DeviceError, Failure
from anymic.inference.onnx_model import FFT_SIZE, HOP_SAMPLES, OnnxModel

if TYPE_CHECKING:
    from anymic.devices.correction.takes import Takes


@dataclass(frozen=True)
class Addition:
    """A model with a new device, and the expected effect of its gains.

    Attributes
    ----------
    model : Bundle, Ensemble or OnnxModel
        Not yet saved.
    devices : tuple of Expectation
        One for each new device; of an ensemble, for its first member.
    notes : tuple of str
        What was done, and what remains uncertain.
    failures : tuple of Failure
        Recordings that could not be used.
    estimated : tuple of Estimated
        The gains as estimated, before they were added; one for each member of an ensemble.
    """

    model: Bundle | Ensemble | OnnxModel
    devices: tuple[Expectation, ...]
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    estimated: tuple[Estimated, ...] = ()


@dataclass(frozen=True)
class _Part:
    """What gains are estimated for: a member of an ensemble, a single model or an ONNX file."""

    analysis: Analysis
    profile: DeviceProfile | None
    spectrum: MeanSpectrum | None
    bins: NDArray[np.bool_]  # that the model uses
    recorded_by: tuple[str, ...] = ()  # the devices of its training clips, where known
    measurable: bool = True  # the mean spectrum of its training clips: not of an ONNX file


@left_as_found()
def add_device(
    model: Bundle | Ensemble | OnnxModel | str | Path,
    device: str | None = None,
    *,
    takes: Table | None = None,
    reference_takes: str | Path | None = None,
    recordings: str | Path | Sequence[str | Path] | None = None,
    response: str | Path | None = None,
    reference_response: str | Path | None = None,
    reference: str | Sequence[str] = (),
    estimator: str | None = None,
    limit_db: float = 40.0,
    subtract_noise: bool = True,
    replace_known: bool = False,
) -> Addition:
    """Estimate the gains of a new device, and add them to a model.

    No weight changes, and the answers for other devices stay the same. One of `takes`,
    `recordings` and `response` is passed.

    Parameters
    ----------
    model : Bundle, Ensemble, OnnxModel or path
        It is not changed. A path is that of its folder or .onnx file.
    device : str, optional
        The name of the new device. For takes of several devices, all that the model does not have.
    takes : Manifest, DataFrame or path, optional
        Recordings of the same sounds by the new device and the reference: a table with path,
        device and take, or a folder of one folder a device, where equal file names make a take.
        Recordings that are up to 10 s late are shifted.
    reference_takes : path, optional
        The folder of the reference's recordings; `takes` is then that of the new device's.
    recordings : path or sequence of path, optional
        Recordings of the new device alone: its gains are estimated blindly, and marked so. They
        need the mean spectrum of the training clips.
    response : path, optional
        A file of its measured response: see `read_response`.
    reference_response : path, optional
        That of the reference device, for `response`; by default it is taken to be flat.
    reference : str or sequence of str, optional
        The devices of the takes that recorded the training clips; see `reference_in`.
    estimator : str, optional
        For takes: by default that of the model, else ratio_of_means.
    limit_db : float
        The gains lie within -limit_db .. limit_db.
    subtract_noise : bool
        For takes: also subtract the noise that the gains would add to what the reference has; see
        `SpectrumCorrection`. Gains of other sources subtract none.
    replace_known : bool
        Also replace the gains of devices that the model already has.

    Returns
    -------
    anymic.inference.new_device.Addition
        `model`, a copy with the new device, which is not saved; `devices`, the expected effect of
        the gains in dB; and notes.

    Raises
    ------
    BundleError
        If the model has gains of mel bands, or no mean spectrum where it is needed.
    DeviceError
        If not one source is given, the reference is not known, the model has the device already,
        or no recording can be used.

    Examples
    --------
    >>> import anymic
    >>> added = anymic.add_device(
    ...     "run", "phone", takes="phone/", reference_takes="recorder/", reference="A"
    ... )
    >>> sorted(added.model.profile.devices)
    ['A', 'B', 'C', 'phone']
    >>> added.model.save("with-phone").name
    'with-phone'
    """
    model = _loaded(model)
    stated = (reference,) if isinstance(reference, str) else tuple(reference)
    _check_sources(device, takes, recordings, response)
    if device is not None and not replace_known:
        refuse_known({device} & set(model.devices), replace_known)
    members = model.members if isinstance(model, Ensemble) else (model,)
    parts = [_part_of(member) for member in members]
    estimate: Any
    if takes is not None:
        folders = (takes, reference_takes)
        settings = {"limit_db": limit_db, "subtract_noise": subtract_noise}
        estimate = _Takes(parts[0], folders, device, stated, estimator, replace_known, settings)
    elif recordings is not None:
        places = [recordings] if isinstance(recordings, str | Path) else list(recordings)
        estimate = _Blind(places, str(device), limit_db)
    else:
        assert response is not None
        estimate = _Response(response, reference_response, str(device), stated, limit_db)
    found = [estimate(part) for part in parts]
    changed: Bundle | Ensemble | OnnxModel
    if isinstance(model, Ensemble):
        profiles = [each.profile for each in found]
        changed = add_to_each(model, profiles, replace_known=replace_known)
        profile = changed.members[0].profile
    else:
        changed = add_profile(model, found[0].profile, replace_known=replace_known)
        profile = changed.profile
    assert profile is not None
    first = found[0]
    return Addition(
        changed,
        tuple(
            expectation(first, name, profile.devices[name], parts[0].bins) for name in first.devices
        ),
        tuple(dict.fromkeys(note for each in found for note in each.notes)),
        tuple(dict.fromkeys(failure for each in found for failure in each.failures)),
        tuple(found),
    )


def add_profile(
    model: Bundle | Ensemble | OnnxModel | str | Path,
    profile: DeviceProfile,
    *,
    replace_known: bool = False,
) -> Bundle | Ensemble | OnnxModel:
    """Return a model with the devices of a profile; see `add_devices`.

    Parameters
    ----------
    model, replace_known
        As in `add_device`.
    profile : DeviceProfile
        Of the rate and the FFT size of the model.

    Raises
    ------
    BundleError
        If the model cannot be read.
    DeviceError
        If the profile does not fit the model, or a device is known and `replace_known` is False.
    """
    model = _loaded(model)
    if isinstance(model, OnnxModel):
        return model.with_profile(merge(model.profile, profile, replace_known=replace_known))
    if isinstance(model, Ensemble):
        return add_devices(model, profile, replace_known=replace_known)
    return add_devices(model, profile, replace_known=replace_known)


def _loaded(model: Bundle | Ensemble | OnnxModel | str | Path) -> Bundle | Ensemble | OnnxModel:
    if not isinstance(model, str | Path):
        return model
    return OnnxModel(model) if Path(model).suffix == ".onnx" else bundles.load(model)


def _check_sources(device: str | None, takes: object, recordings: object, response: object) -> None:
    given = [one for one in (takes, recordings, response) if one is not None]
    if len(given) != 1 or (takes is None and not device):
        raise DeviceError(
            f"there are {len(given)} sources of the gains"
            if len(given) != 1
            else "the new device has no name",
            expected="takes, recordings of the device alone, or its measured response"
            if len(given) != 1
            else "a name for it, such as phone",
            fix="pass one of them" if len(given) != 1 else "pass it",
        )


def _part_of(model: Bundle | OnnxModel) -> _Part:
    if isinstance(model, OnnxModel):
        analysis = Analysis(model.rate_hz, FFT_SIZE, HOP_SAMPLES)
        own = model.profile
        if own is not None:
            analysis = Analysis(own.rate_hz, own.fft_size, own.hop_samples)
        every = np.ones(analysis.fft_size // 2 + 1, dtype=np.bool_)
        return _Part(analysis, own, None, every, measurable=False)
    config = model.frontend.config
    if model.frontend.gain_domain == "log_mel":
        raise BundleError(
            "the model was trained with gains of mel bands",
            expected="a model with gains of frequency bins",
            fix="train it with correction.domain=magnitude in the settings",
        )
    return _Part(
        Analysis(config.rate_hz, config.fft_size, min(config.hop_samples, config.fft_size // 2)),
        model.profile,
        model.spectrum,
        np.asarray((model.frontend.filters > 0).any(dim=0).numpy()),
        tuple(model.training.get("devices", ())),
    )


class _Takes:
    """Estimates gains from takes, once for each analysis."""

    def __init__(
        self,
        part: _Part,
        folders: tuple[Table, str | Path | None],
        device: str | None,
        stated: tuple[str, ...],
        estimator: str | None,
        replace_known: bool,
        settings: dict[str, Any],
    ) -> None:
        own, (takes, reference_takes) = part.profile, folders
        if not stated and own is None:
            stated = part.recorded_by
        if reference_takes is not None and len(stated) != 1:
            stated = own.reference if own is not None and len(own.reference) == 1 else (UNNAMED,)
        self.takes: Takes = read_takes(
            takes,
            reference_takes=reference_takes,
            device=device or "",
            reference=stated[0] if stated else "",
        )
        if stated == part.recorded_by and not set(stated) <= set(self.takes.devices):
            stated = ()
        self.reference = new_device.reference_in(self.takes, own, device=device, stated=stated)
        known = set(own.devices) if own is not None and not replace_known else set()
        others = [name for name in self.takes.devices if name not in {*self.reference, *known}]
        self.devices = [device] if device is not None else others
        if not self.devices:
            refuse_known(known & set(self.takes.devices) - set(self.reference), replace_known)
        self.settings = {**settings, "estimator": new_device.estimator_for(own, estimator)}
        self.estimated = cache(self._estimated)

    def __call__(self, part: _Part) -> Estimated:
        return self.estimated(part.analysis)

    def _estimated(self, analysis: Analysis) -> Estimated:
        return new_device.from_takes(
            self.takes,
            analysis,
            reference=self.reference,
            devices=self.devices,
            **self.settings,
        )


@dataclass(frozen=True)
class _Blind:
    places: Sequence[str | Path]
    device: str
    limit_db: float

    def __call__(self, part: _Part) -> Estimated:
        if part.spectrum is None:
            raise BundleError(
                "the model has no mean spectrum of its training clips",
                expected="one, which recordings of a device alone are compared with",
                fix="record takes with the reference"
                + ", or measure it with `anymic devices policy` and the training clips"
                * part.measurable,
            )
        reference = part.profile.reference if part.profile else part.recorded_by or (UNNAMED,)
        return new_device.from_recordings(
            self.places, part.spectrum, self.device, reference=reference, limit_db=self.limit_db
        )


@dataclass(frozen=True)
class _Response:
    response: str | Path
    reference_response: str | Path | None
    device: str
    stated: tuple[str, ...]
    limit_db: float

    def __call__(self, part: _Part) -> Estimated:
        own = part.profile.reference if part.profile else part.recorded_by
        name = (self.stated or own or (UNNAMED,))[0]
        return new_device.from_response(
            self.response,
            part.analysis,
            self.device,
            reference=name,
            reference_response=self.reference_response,
            limit_db=self.limit_db,
        )
