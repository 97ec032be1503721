"""Compare the answers of an exported file with those of its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.onnx_session import load_session
from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble, InputContract
from anymic.errors import AudioError, Failure, attempt, counted
from anymic.inference.answers import average, calibrate
from anymic.inference.engine import Engine
from anymic.inference.predictor import Predictor
from anymic.inference.windowing import Window, cut

BUILT_IN = 3  # clips


@dataclass(frozen=True)
class Parity:
    """The largest difference of a probability, and what it was measured on."""

    difference: float
    clips: int
    on: str
    failures: tuple[Failure, ...] = ()


def compare(
    content: bytes,
    bundle: Bundle | Ensemble,
    devices: Sequence[str],
    clips: Sequence[str | Path | Clip] = (),
    *,
    windows: bool,
) -> Parity:
    """Return the largest difference over clips, without a device and with each of them.

    The model answers in float32 on the processor. Clips are cut into windows by its contract; with
    `windows`, generated clips that have several windows are compared too.
    """
    session = load_session(content, threads=1)
    each, failures = _windows(clips, bundle) if clips else (built_in(bundle), ())
    engine = Engine(bundle, precision="float32", accelerator="cpu")
    largest = 0.0
    for number, device in enumerate((None, *devices)):
        found = _run(session, each, number)
        parts = [_overlapping(one, bundle) if windows else one[None] for one in each]
        gains = [engine.profile_gains(device)] * sum(map(len, parts))
        found_each = engine.classify(
            engine.features(torch.from_numpy(np.concatenate(parts)), gains)
        )
        ends = np.cumsum([len(one) for one in parts])[:-1]
        answers = np.stack([average(one) for one in np.split(found_each, ends)])
        expected = calibrate(answers, bundle.calibration, [device] * len(each))
        largest = max(largest, float(np.abs(found - expected).max()))
    if windows:
        largest = max(largest, _of_several_windows(session, bundle, devices))
    return Parity(largest, len(each), "given clips" if clips else "generated clips", failures)


def built_in(bundle: Bundle | Ensemble) -> NDArray[np.float32]:
    """Return generated sounds (clip, sample) of the model's length: noise, a tone, and clicks."""
    contract = bundle.contract
    return generated(contract.clip_samples, contract.rate_hz)


def generated(samples: int, rate_hz: int) -> NDArray[np.float32]:
    """Return three sounds (clip, sample) of so many samples."""
    generator = np.random.default_rng(0)
    noise = generator.normal(scale=0.1, size=(BUILT_IN, samples))
    time_s = np.arange(samples) / rate_hz
    noise[1] = 0.3 * np.sin(2 * np.pi * 0.06 * rate_hz * time_s) + 0.01 * noise[1]
    noise[2] *= (time_s % 0.25) < 0.02
    return noise.clip(-1, 1).astype(np.float32)


def _run(session: Any, samples: NDArray[np.float32], device: int) -> NDArray[np.float64]:
    inputs = {"samples": samples, "device": np.full(len(samples), device, np.int64)}
    found: NDArray[np.float32] = session.run(["probabilities"], inputs)[0]
    return found.astype(np.float64)


def _windows(
    clips: Sequence[str | Path | Clip], bundle: Bundle | Ensemble
) -> tuple[NDArray[np.float32], tuple[Failure, ...]]:
    """Return the windows (window, sample) of clips, and the clips that cannot be read."""
    cuts = [
        attempt(clip.path if isinstance(clip, Clip) else clip, _cut, clip, bundle.contract)
        for clip in clips
    ]
    failures = tuple(one for one in cuts if isinstance(one, Failure))
    windows = [samples for one in cuts if not isinstance(one, Failure) for samples in one]
    if not windows:
        raise AudioError(
            f"none of the {counted(len(clips), 'clip')} can be read ({failures[0].reason})",
            expected="a readable clip, on which the answers are compared",
            fix="pass others, or none",
        )
    return np.stack(windows), failures


def _cut(clip: str | Path | Clip, contract: InputContract) -> list[NDArray[np.float32]]:
    return [item.samples for item in cut(clip, contract) if isinstance(item, Window)]


def _overlapping(samples: NDArray[np.float32], bundle: Bundle | Ensemble) -> NDArray[np.float32]:
    """Return the windows (window, sample) that a clip of one window has where they overlap."""
    contract = bundle.contract
    if contract.hop_samples == contract.clip_samples:
        return samples[None]
    return np.stack(_cut(Clip(samples, contract.rate_hz), contract))


def _of_several_windows(session: Any, bundle: Bundle | Ensemble, devices: Sequence[str]) -> float:
    contract = bundle.contract
    predictor = Predictor(bundle, precision="float32", accelerator="cpu")
    sounds = generated(contract.clip_samples * 27 // 10, contract.rate_hz)
    known = [name for name in devices if name in bundle.devices]
    largest = 0.0
    none = [None] * (contract.unknown_device == "identity" and bundle.identifier is None)
    for device in known[:2] or none:
        number = 0 if device is None else 1 + list(devices).index(device)
        found = _run(session, sounds, number)
        for row, samples in zip(found, sounds, strict=True):
            answer = predictor.predict(samples, rate_hz=contract.rate_hz, device=device)
            expected = [answer.probabilities[label] for label in bundle.labels]
            largest = max(largest, float(np.abs(row - expected).max()))
    return largest
