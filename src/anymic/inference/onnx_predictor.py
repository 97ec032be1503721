"""Classify files with an ONNX model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic.audio import Clip, DecodedFile
from anymic.bundle import InputContract
from anymic.errors import ClassifierError, Failure, attempt
from anymic.inference.answers import average, thresholds_by_label
from anymic.inference.device_policy import device_note
from anymic.inference.onnx_model import OnnxModel
from anymic.inference.prediction import DevicePolicy, Prediction
from anymic.inference.windowing import Window, cut


def predict_onnx(
    model: OnnxModel,
    paths: Iterable[Path],
    *,
    device: str | None = None,
    min_confidence: float = 0.0,
) -> Iterator[Prediction | Failure]:
    """Yield one result for each file.

    A file is classified as a whole, or in windows where the model's input has a fixed length; the
    mean of their probabilities decides. The clips of a device with a profile are corrected. With a
    file that anymic exported, windows, devices and calibration are those of the exported model.
    """
    for path in paths:
        yield attempt(path, predict_one, model, path, device, min_confidence)


def predict_one(
    model: OnnxModel, source: Path | DecodedFile, device: str | None, min_confidence: float
) -> Prediction:
    """Return the prediction of one file; see `predict_onnx`.

    Raises
    ------
    AudioError
        If it cannot be read, or the contract refuses it.
    DeviceError
        If the contract refuses clips of unknown devices.
    ClassifierError
        If the model fails.
    """
    decoded = isinstance(source, DecodedFile)
    info = source.info if isinstance(source, DecodedFile) else audio.probe(source)
    path = info.path if decoded else str(source)
    exported = model.exported
    model.number(device)  # DeviceError if the contract refuses it
    clips, notes = _clips(model, source, info.rate_hz)
    policy = policy_for(model, device)
    each = model.windows(clips, device)
    require_finite(each, path)
    own = exported.of_clip(each, device) if exported else average(each)
    best = int(own.argmax())
    return Prediction(
        path=path,
        label=model.labels[best],
        probability=float(own[best]),
        probabilities=dict(zip(model.labels, own.tolist(), strict=True)),
        device=device,
        device_from="assumed" if device is None else "stated",
        device_policy=policy,
        windows=len(clips),
        duration_s=source.duration_s if isinstance(source, DecodedFile) else audio.length_s(source),
        notes=(*device_notes(model, device), *notes),
        window_starts_s=tuple(clip.start_s for clip in clips),
        window_probabilities=exported.of_windows(each, device) if exported else each,
        min_confidence=min_confidence,
        thresholds=thresholds_by_label(model),
    )


def policy_for(model: OnnxModel, device: str | None) -> DevicePolicy:
    """Return what the model does with clips of a device."""
    if device in model.devices:
        return "blind" if device in model.blind else "profile"
    return "identity"


def device_notes(model: OnnxModel, device: str | None) -> tuple[str, ...]:
    """Return the notes on a clip's device, and on what the file does not do for it."""
    policy = policy_for(model, device)
    own = device_note(device, policy, model.devices, model.blind)
    missing = model.exported.notes if model.exported and policy == "identity" else ()
    return (*own, *missing)


def require_finite(probabilities: NDArray[np.float64], path: str) -> None:
    """Raise ClassifierError where probabilities (window, label) are not finite."""
    if not np.isfinite(probabilities).all():
        raise ClassifierError(
            f"{path} gives values that are not finite", expected="probabilities", fix="check it"
        )


def _clips(
    model: OnnxModel, source: Path | DecodedFile, rate_hz: int
) -> tuple[list[Clip], tuple[str, ...]]:
    exported = model.exported
    if exported is None and model.clip_samples is None and isinstance(source, Path):
        clip = audio.read(source, rate_hz=None if rate_hz == model.rate_hz else model.rate_hz)
        resampled = f"resampled from {rate_hz} Hz"
        return [clip], (resampled,) * (rate_hz != model.rate_hz)
    if exported is not None:
        contract, least = exported.contract, exported.shortest_samples
    else:
        length = model.clip_samples or 1
        contract, least = InputContract(model.rate_hz, length / model.rate_hz), 1
    items = list(cut(source, contract, least_samples=least))
    windows = [item for item in items if isinstance(item, Window)]
    path = source.path if isinstance(source, DecodedFile) else str(source)
    clips = [Clip(one.samples, model.rate_hz, path=path, start_s=one.start_s) for one in windows]
    return clips, getattr(items[-1], "notes", ())
