"""Device profiles from uploaded takes, and predictions with them; no model is changed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from anymic import audio
from anymic._internal.files import scratch_folder
from anymic.audio import Clip, DecodedFile
from anymic.bundle import Bundle, Ensemble
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import AnymicError, DeviceError
from anymic.inference.new_device import add_device, add_profile
from anymic.inference.prediction import Prediction
from anymic.inference.predictor import Predictor
from anymic.serving.comparing import gain_curve

MOST_NAME = 60  # characters: with the ending, at most 244 of the 255 bytes of a file's name


def stem(name: str) -> str:
    """Return the name of a take for an uploaded file: its name without folder and ending."""
    text = PurePosixPath(name.replace("\\", "/")).stem
    return re.sub(r"[^\w .+-]", "_", text).strip(" .")[:MOST_NAME] or "recording"


def profile_of(
    bundle: Bundle | Ensemble,
    device: str,
    takes: Mapping[str, Clip],
    reference_takes: Mapping[str, Clip],
) -> dict[str, Any]:
    """Estimate the gains of a new device from takes with the reference of a model.

    Parameters
    ----------
    bundle : Bundle or Ensemble
        It is not changed; of an ensemble, the result is that of its first member.
    device : str
        The name of the new device.
    takes, reference_takes : mapping of str to Clip
        Recordings by their names; equal names are recordings of the same sound.

    Raises
    ------
    DeviceError
        As `add_device`; if no name is in both.
    """
    if not set(takes) & set(reference_takes):
        raise DeviceError(
            "no recording of the new device has the name of one of the reference",
            expected="equal names for recordings of the same sound, such as 01.wav",
            fix="rename them",
        )
    with scratch_folder() as folder:
        try:
            places = [
                _written(folder / name, clips)
                for name, clips in (("device", takes), ("reference", reference_takes))
            ]
            added = add_device(
                bundle, device, takes=places[0], reference_takes=places[1], replace_known=True
            )
        except AnymicError as error:
            raise _without(folder, error) from None
    first = added.estimated[0]
    (expected,) = added.devices
    return {
        "profile": first.profile.to_mapping(),
        "gains": gain_curve(first.profile, device),
        "expected": {**asdict(expected), "uncertain_hz": [list(p) for p in expected.uncertain_hz]},
        "lags_s": {Path(path).stem: lag_s for path, lag_s in first.lags_s.items()},
        "lags_of": {Path(path).stem: Path(path).parent.name for path in first.lags_s},
        "takes": sorted(set(takes) & set(reference_takes)),
        "notes": [note.replace(f"{folder}/", "") for note in added.notes],
        "failures": [
            {"path": Path(one.path).name, "reason": one.reason.replace(f"{folder}/", "")}
            for one in added.failures
        ],
    }


def _written(folder: Path, clips: Mapping[str, Clip]) -> Path:
    folder.mkdir()
    for name, clip in clips.items():
        audio.write(folder / f"{name}.wav", clip)
    return folder


def _without(folder: Path, error: AnymicError) -> AnymicError:
    """Return an error whose texts do not name a folder of the service."""
    parts = (error.problem, error.expected, error.fix)
    problem, expected, fix = (re.sub(rf"{re.escape(str(folder))}/?", "", part) for part in parts)
    return DeviceError(problem, expected=expected, fix=fix)


def predict_with(
    predictor: Predictor, profile: Path, device: str | None, recording: DecodedFile
) -> Prediction:
    """Return a prediction of a model that has the devices of a profile in addition.

    Parameters
    ----------
    predictor : Predictor
        Of the model, which is not changed.
    profile : path
        A device profile, as `DeviceProfile.write` writes it.
    device : str, optional
        That recorded it; by default the only device of the profile beside its reference.
    recording : DecodedFile
        As a model expects it.

    Raises
    ------
    DeviceError
        If the file is no profile, does not fit the model, or has several devices and none is named.
    """
    try:
        found = DeviceProfile.read(profile)
    except AnymicError as error:
        parts = (error.problem, error.expected, error.fix)
        problem, expected, fix = (text.replace(str(profile), "the profile") for text in parts)
        raise DeviceError(problem, expected=expected, fix=fix) from None
    name = device or _only(sorted(set(found.devices) - set(found.reference)))
    found.of(name)
    changed = add_profile(predictor.bundle, found, replace_known=True)
    assert isinstance(changed, Bundle | Ensemble)
    own = Predictor(changed, accelerator=str(predictor.engine.place))
    ((_, outcome),) = own.outcomes([recording], devices=[name])
    if isinstance(outcome, AnymicError):
        raise outcome
    return outcome


def _only(names: Sequence[str]) -> str:
    if len(names) != 1:
        raise DeviceError(
            f"the profile has {len(names)} devices beside its reference",
            expected="the name of the device that recorded the clip",
            fix=f"name one of {', '.join(names)}" if names else "choose another profile",
        )
    return names[0]
