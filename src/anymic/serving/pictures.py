"""The waveform and the log-mel spectrogram of a recording, small enough for a page."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import audio
from anymic.audio import Clip, DecodedFile
from anymic.audio.bandwidth import bandwidth_hz
from anymic.features import Frontend, FrontendConfig

COLUMNS = 600
BANDS = 96
WINDOW_S, HOP_S = 0.025, 0.010
RANGE_DB = 80.0
BLOCK_FRAMES = 2048
LEAST_POWER = 1e-20


def envelope(samples: NDArray[np.float32], columns: int = COLUMNS) -> dict[str, list[float]]:
    """Return the lowest and the highest sample in each of so many equal parts of a recording.

    Fewer parts for a recording of fewer samples.
    """
    starts = np.linspace(0, len(samples), min(columns, len(samples)), endpoint=False)
    begins = starts.astype(np.int64)
    low, high = (one.reduceat(samples, begins) for one in (np.minimum, np.maximum))
    return {"low": np.round(low, 4).tolist(), "high": np.round(high, 4).tolist()}


def log_mel(clip: Clip, columns: int = COLUMNS) -> dict[str, Any]:
    """Return the log-mel spectrogram of a clip as a picture.

    Returns
    -------
    dict
        `bands` and `columns`; `data`, one byte for each band (the lowest first) and column in
        base64, where 0 is `lowest_db` or less and 255 `highest_db`; the frequency in the middle of
        each band, `hz`. A column is the mean power of its frames.
    """
    config = FrontendConfig(
        rate_hz=clip.rate_hz,
        fft_size=2 ** max(int(np.ceil(np.log2(WINDOW_S * clip.rate_hz))), 6),
        hop_samples=max(round(HOP_S * clip.rate_hz), 1),
        bands=BANDS,
        power=2,
        mel_norm=None,
        log_offset=LEAST_POWER,
        centred=False,
    )
    frontend = Frontend(config)
    power = _power(clip.samples, frontend)
    frames = power.shape[1]
    begins = np.linspace(0, frames, min(columns, frames), endpoint=False).astype(np.int64)
    counts = np.diff([*begins, frames])
    means_db = 10 * np.log10(np.add.reduceat(power, begins, axis=1) / counts)
    highest = float(means_db.max())
    scaled = np.clip((means_db - highest) / RANGE_DB + 1, 0, 1) * 255
    return {
        "bands": BANDS,
        "columns": len(begins),
        "lowest_db": highest - RANGE_DB,
        "highest_db": highest,
        "hz": _centres_hz(frontend),
        "data": base64.b64encode(scaled.round().astype(np.uint8).tobytes()).decode(),
    }


@torch.inference_mode()
def _power(samples: NDArray[np.float32], frontend: Frontend) -> NDArray[np.float64]:
    """Return the power (band, frame) of samples, which are padded to whole frames."""
    hop, length = frontend.config.hop_samples, frontend.config.frame_samples
    frames = max(-(-(len(samples) - length) // hop), 0) + 1
    padded = np.zeros((frames - 1) * hop + length, dtype=np.float32)
    padded[: len(samples)] = samples[: len(padded)]
    blocks = []
    for begin in range(0, frames, BLOCK_FRAMES):
        last = min(begin + BLOCK_FRAMES, frames) - 1
        part = torch.from_numpy(padded[begin * hop : last * hop + length])
        blocks.append(frontend.log_mel(part[None])[0].double().exp().numpy())
    power: NDArray[np.float64] = np.concatenate(blocks, axis=1)
    return np.maximum(power, LEAST_POWER)


def _centres_hz(frontend: Frontend) -> list[float]:
    """Return the frequency in the middle of each band."""
    filters, config = frontend.filters.numpy(), frontend.config
    hz = np.linspace(0, config.rate_hz / 2, config.bins)
    weights = np.maximum(filters.sum(axis=1), 1e-12)
    return [round(float(one), 1) for one in (filters @ hz) / weights]


def features(decoded: DecodedFile, rate_hz: int) -> dict[str, Any]:
    """Return what a page shows of a recording.

    Parameters
    ----------
    decoded : DecodedFile
        At its own rate.
    rate_hz : int
        That of the model, at which the spectrogram is made.
    """
    clip, info = decoded.clip(), decoded.info
    model_clip = audio.resample(clip, rate_hz)
    power = float(np.mean(np.square(clip.samples, dtype=np.float64)))
    return {
        "duration_s": clip.duration_s,
        "rate_hz": info.rate_hz,
        "channels": info.channels,
        "format": info.format,
        "peak": float(np.abs(clip.samples).max()),
        "rms_db": 10 * float(np.log10(max(power, LEAST_POWER))),
        "bandwidth_hz": bandwidth_hz(clip),
        "model_rate_hz": rate_hz,
        "waveform": envelope(clip.samples),
        "log_mel": log_mel(model_clip),
        "notes": list(clip.notes),
    }
