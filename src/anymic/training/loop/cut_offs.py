"""Random cut-offs: the bands above a frequency are emptied, as codecs and lower rates do.

Codecs at low bitrates encode nothing above some frequency. Where that frequency tells apart clips
of different origin, a network learns it; with random cut-offs it does not. As in
`anymic.training.loop.augmentation` parameters are drawn first, then applied.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from anymic.devices.simulation.random_devices import LOWEST_CUTOFF_HZ
from anymic.errors import ConfigError
from anymic.features import FrontendConfig
from anymic.features.mel import mel_filters
from anymic.training.config import TrainingConfig


class CutOffDraw(NamedTuple):
    """Random cut-offs of one batch."""

    first: Tensor  # (clip,), int64: the first band that is emptied; the number of bands for none
    empty: float  # the value of a band without a signal

    def apply(self, features: Tensor) -> Tensor:
        """Return features (clip, band, frame) without the bands from `first` on."""
        band = torch.arange(features.shape[1], device=features.device)
        gone = band >= self.first[:, None]
        return torch.where(gone[:, :, None], self.empty, features)


class CutOffs:
    """Draws random cut-offs for batches of log-mel features.

    A cut-off is uniform over the logarithm of the frequency, from 3.4 kHz (or a quarter of the rate
    where that is less) to half the rate.

    Parameters
    ----------
    share : float
        Share of the clips with a cut-off.
    config : FrontendConfig
        Of the features.

    Raises
    ------
    ConfigError
        If the features are samples.
    """

    def __init__(self, share: float, config: FrontendConfig) -> None:
        if config.features != "log_mel":
            raise ConfigError(
                "the features are the samples, and a cut-off empties bands of log-mel features",
                expected="a front-end with log-mel features",
                fix="set codecs.masks to 0, or choose another front-end",
            )
        self.share, self.highest_hz = share, config.rate_hz / 2
        filters = mel_filters(config).numpy().astype(np.float64)
        hz = np.linspace(0, self.highest_hz, filters.shape[1])
        self.centres_hz = filters @ hz / np.maximum(filters.sum(axis=1), np.finfo(float).tiny)
        self.empty = 0.0 if config.scaling == "clip" else math.log(config.log_offset)

    def draw(self, clips: int, generator: np.random.Generator) -> CutOffDraw:
        """Draw for a batch; the same generator state gives the same draw."""
        lowest_hz = min(LOWEST_CUTOFF_HZ, self.highest_hz / 2)
        hz = np.exp(generator.uniform(np.log(lowest_hz), np.log(self.highest_hz), clips))
        hz[generator.random(clips) >= self.share] = np.inf
        return CutOffDraw(torch.from_numpy(np.searchsorted(self.centres_hz, hz)), self.empty)


def cut_offs(config: TrainingConfig) -> CutOffs | None:
    """Return the cut-offs that the settings of a training ask for; None without any.

    Raises
    ------
    ConfigError
        If the settings state a share of them, and the features are samples.
    """
    codecs = config.codecs
    if codecs is None or not codecs.masked:
        return None
    if codecs.masks is None and config.frontend.features != "log_mel":
        return None
    return CutOffs(codecs.masked, config.frontend)
