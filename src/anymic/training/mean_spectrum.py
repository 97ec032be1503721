"""The mean spectrum of the clips that a model was trained on, as every training writes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic._internal.threads import READERS, in_order
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.devices.correction.blind import FEWEST_CLIPS, MeanSpectrum, as_recordings
from anymic.devices.correction.frames import SampleFrames
from anymic.devices.correction.spectra import ClipSpectra, statistics_of_take
from anymic.errors import Failure, attempt

# So that the time does not grow with the corpus: for clips of 5 s at 44.1 kHz it is 4 s of one
# core, at 16 kHz 1.5 s.
MOST_CLIPS = 200
MOST_S = 10.0  # of each clip
_LEVELS: dict[str, Any] = {"floor_db": -100.0, "silence_db": -40.0}


def with_spectrum(bundle: Bundle, training: Manifest) -> Bundle:
    """Return the model with the mean spectrum of its training clips.

    At most `MOST_CLIPS` are read, evenly spaced in the order of their ids, and `MOST_S` of each.
    Clips that cannot be used are left out; with fewer than ten there is no spectrum.
    """
    order = np.argsort(training.clip_ids())
    places = np.linspace(0, len(order) - 1, min(len(order), MOST_CLIPS)).round().astype(int)
    manifest = as_recordings(training.rows(np.unique(order[places])))
    config = bundle.frontend.config
    analysis: dict[str, Any] = {
        "fft_size": config.fft_size,
        "hop_samples": min(config.hop_samples, config.fft_size // 2),
    }

    parts = manifest.parts()
    clips = list(zip(manifest.paths(), parts["start_s"], parts["duration_s"], strict=True))

    def one(row: int) -> dict[str, NDArray[Any]] | Failure:
        return attempt(row, _measured, *clips[row], config.rate_hz, analysis)

    found = list(in_order(one, range(len(manifest)), workers=READERS))
    rows = [row for row, each in enumerate(found) if not isinstance(each, Failure)]
    if len(rows) < FEWEST_CLIPS:
        return replace(bundle, spectrum=None)
    used = [each for each in found if not isinstance(each, Failure)]
    arrays: dict[str, Any] = {
        name: np.concatenate([each[name] for each in used]) for name in used[0]
    }
    ids = manifest.clip_ids()
    spectra = ClipSpectra(
        rate_hz=config.rate_hz,
        **analysis,
        **_LEVELS,
        clip_ids=tuple(ids[row] for row in rows),
        devices=tuple(manifest.table["device"].iloc[rows]),
        takes=(None,) * len(rows),
        **arrays,
    )
    spectrum = MeanSpectrum.of(spectra, bundle.profile)
    fitted_on = {**bundle.fitted_on, "spectrum": spectrum.fitted_on}
    return replace(bundle, spectrum=spectrum, fitted_on=fitted_on)


def _measured(
    path: Path, start_s: float, duration_s: float, rate_hz: int, analysis: dict[str, Any]
) -> dict[str, NDArray[Any]]:
    """Return the statistics of the first seconds of a clip."""
    left_s = min(audio.length_s(path) - start_s, MOST_S)
    clip = audio.read(
        path,
        rate_hz=rate_hz,
        start_s=start_s,
        duration_s=left_s if np.isnan(duration_s) else min(duration_s, left_s),
    )
    return statistics_of_take([SampleFrames(clip.samples, **analysis)], **_LEVELS)
