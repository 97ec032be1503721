"""Settings that are chosen from the training clips if they are not stated."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from anymic._internal.frames import group_numbers
from anymic.data.manifest import Manifest
from anymic.data.pieces import cut_rows
from anymic.errors import ConfigError
from anymic.features import FrontendConfig
from anymic.models import Network
from anymic.training.config import TrainingConfig
from anymic.training.windows import MOST_WINDOWS, Survey, survey

HIGHEST_HZ = 48000  # clips of higher rates are resampled
FFT_S = 0.046  # 2048 samples at 44.1 kHz
FRAMES = 60  # of a clip, at least, as far as the hop allows
SHARPEST_HOP = 8  # of so many parts of the FFT, at least one
MANY_BANDS, FEW_BANDS, MANY_FROM_HZ = 128, 64, 16000
SHORTEST_S = 0.1  # of a window


def settle(config: TrainingConfig, training: Manifest) -> tuple[TrainingConfig, list[str]]:
    """Return settings with all values chosen, and notes on those from the data.

    Those that `config.from_data` names are, unless they differ from their defaults:

    - frontend.rate_hz: the most frequent sampling rate, at most 48 kHz
    - clip_s: the median of the lengths, from 0.1 to 10 s
    - frontend.fft_size: the power of two nearest to 46 ms
    - frontend.hop_samples: half of that, and halved again down to an eighth while a clip has fewer
      than 60 frames
    - frontend.bands: 128, or 64 below 16 kHz

    Otherwise a clip_s of None is the length that all clips have.

    Raises
    ------
    ConfigError
        If the clips differ in length, and it is not taken from the data.
    """
    if not config.from_data and config.clip_s is not None:
        return config, []
    found = survey(training)
    if not config.from_data:
        return replace(config, clip_s=_only_length(found)), []
    stated = {
        name: getattr(config.frontend, name)
        for name in ("rate_hz", "fft_size", "hop_samples", "bands")
        if f"frontend.{name}" not in config.from_data
        or getattr(config.frontend, name) != getattr(FrontendConfig, name)
    }
    common_hz = next(iter(found.rates), FrontendConfig.rate_hz)
    rate_hz = stated.get("rate_hz", min(common_hz, HIGHEST_HZ))
    clip_s = found.window_s(SHORTEST_S) if config.clip_s is None else config.clip_s
    fft_size = stated.get("fft_size", 2 ** round(math.log2(FFT_S * rate_hz)))
    hop = max(1, fft_size // 2)
    while hop > fft_size // SHARPEST_HOP and clip_s * rate_hz / hop < FRAMES:
        hop //= 2
    frontend = replace(
        config.frontend,
        rate_hz=rate_hz,
        fft_size=fft_size,
        hop_samples=stated.get("hop_samples", hop),
        bands=stated.get("bands", MANY_BANDS if rate_hz >= MANY_FROM_HZ else FEW_BANDS),
    )
    notes = [
        f"{rate_hz} Hz, FFT of {frontend.fft_size}, hop of {frontend.hop_samples} samples,"
        f" {frontend.bands} bands",
        *found.notes(rate_hz=rate_hz, window_s=clip_s),
    ]
    return replace(config, frontend=frontend, clip_s=clip_s, from_data=()), notes


def _only_length(found: Survey) -> float:
    lengths = sorted({round(length, 3) for length in found.durations_s})
    if len(lengths) > 1:
        raise ConfigError(
            f"the clips last from {lengths[0]} to {lengths[-1]} s",
            expected="one length",
            fix="cut them to one length, or choose one with clip_s",
        )
    return lengths[0] if lengths else 0.0


def divides(config: TrainingConfig) -> bool:
    """Return whether settings, before values are chosen, divide longer clips into windows."""
    return {"clip_s", "longer"} <= set(config.from_data) and config.clip_s is None


def in_windows(manifest: Manifest, clip_s: float) -> Manifest:
    """Return a row for each window of each clip, at most 60 of a clip (see `cut_rows`).

    A manifest without a clip of one and a half windows or more is returned as it is.
    """
    lengths = survey(manifest).durations_s
    if not lengths or lengths[-1] < 1.5 * clip_s:
        return manifest
    pieces, _ = cut_rows(manifest, length_s=clip_s)
    number = pieces.table.groupby(group_numbers(pieces.table, ["path"])).cumcount().to_numpy()
    return pieces.rows(np.asarray(number < MOST_WINDOWS))


def require_size(config: TrainingConfig, network: Network) -> None:
    """Raise ConfigError if the features would be too small for the network.

    The error names the settings to change. No feature is computed.
    """
    least, frontend = network.smallest_input, config.frontend
    if not config.clip_s:
        return
    samples = round(config.clip_s * frontend.rate_hz)
    _, bands, frames = frontend.input_shape(samples)
    frames = min(frames, config.crop_frames or frames)
    problems, fixes = [], []
    if bands < least:
        problems.append(f"{bands} bands (frontend.bands)")
        fixes.append(f"set frontend.bands to {least} or more")
    if frames < least:
        hop = (samples - 1) // max(1, least - 1 + frontend.lost_frames)
        problems.append(
            f"{max(0, frames)} frames (frontend.hop_samples {frontend.hop_samples},"
            f" frontend.rate_hz {frontend.rate_hz}, clip_s {config.clip_s:g})"
        )
        crop = config.crop_frames is not None and config.crop_frames < least
        fixes.append(
            f"set crop_frames to {least} or more"
            if crop
            else f"set frontend.hop_samples to {max(1, hop)} or less, or clip_s to a longer time"
        )
    if problems:
        raise ConfigError(
            f"the network {config.network} cannot be trained on {' and '.join(problems)}",
            expected=f"at least {least} of each",
            fix=" and ".join(fixes),
        )
