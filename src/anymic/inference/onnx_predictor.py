"""Classify files with an ONNX model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from anymic import audio
from anymic.audio import Clip
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
        yield attempt(path, _predict, model, path, device, min_confidence)


def _predict(model: OnnxModel, path: Path, device: str | None, min_confidence: float) -> Prediction:
    info = audio.probe(path)
    exported = model.exported
    model.number(device)  # DeviceError if the contract refuses it
    clips, notes = _clips(model, path, info.rate_hz)
    policy: DevicePolicy = "identity"
    if device in model.devices:
        policy = "blind" if device in model.blind else "profile"
    elif exported is not None:
        notes = (*exported.notes, *notes)
    each = model.windows(clips, device)
    if not np.isfinite(each).all():
        raise ClassifierError(
            f"{path} gives values that are not finite", expected="probabilities", fix="check it"
        )
    own = exported.of_clip(each, device) if exported else average(each)
    best = int(own.argmax())
    return Prediction(
        path=str(path),
        label=model.labels[best],
        probability=float(own[best]),
        probabilities=dict(zip(model.labels, own.tolist(), strict=True)),
        device=device,
        device_from="assumed" if device is None else "stated",
        device_policy=policy,
        windows=len(clips),
        duration_s=audio.length_s(path),
        notes=(*device_note(device, policy, model.devices, model.blind), *notes),
        window_starts_s=tuple(clip.start_s for clip in clips),
        window_probabilities=exported.of_windows(each, device) if exported else each,
        min_confidence=min_confidence,
        thresholds=thresholds_by_label(model),
    )


def _clips(model: OnnxModel, path: Path, rate_hz: int) -> tuple[list[Clip], tuple[str, ...]]:
    exported = model.exported
    if exported is None and model.clip_samples is None:
        clip = audio.read(path, rate_hz=None if rate_hz == model.rate_hz else model.rate_hz)
        resampled = f"resampled from {rate_hz} Hz"
        return [clip], (resampled,) * (rate_hz != model.rate_hz)
    if exported is not None:
        contract, least = exported.contract, exported.shortest_samples
    else:
        length = model.clip_samples or 1
        contract, least = InputContract(model.rate_hz, length / model.rate_hz), 1
    items = list(cut(path, contract, least_samples=least))
    windows = [item for item in items if isinstance(item, Window)]
    clips = [
        Clip(one.samples, model.rate_hz, path=str(path), start_s=one.start_s) for one in windows
    ]
    return clips, getattr(items[-1], "notes", ())
