"""Augmentations against differences between devices: random devices, and Freq-MixStyle.

As in `anymic.training.loop.augmentation` parameters are drawn first, then applied. In training
random devices come first, then Freq-MixStyle, then mixup: each clip has its own device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymic.devices.simulation.random_devices import RandomDevices
from anymic.errors import ConfigError
from anymic.features import FrontendConfig
from anymic.features.mel import mel_filters

NEPER_DB = 20 / math.log(10)
RAYLEIGH_MEAN = math.sqrt(math.pi) / 2  # mean magnitude of noise over its root mean square
SMALLEST_DEVIATION = 1e-4  # of log-mel: a band that varies less has no style


class DeviceDraw(NamedTuple):
    """Random devices for some clips of a batch."""

    clip: Tensor  # (changed,), int64: positions in the batch
    gain: Tensor  # (changed, band), float32: factor on the sum of a mel filter
    noise: Tensor  # (changed, band), float32: that sum for the device's noise, on average
    texture: Tensor  # (band, frame), float32: how noise fluctuates, as a factor
    shift: Tensor  # (changed,), int64: frames by which each clip's texture is rolled
    log_offset: float
    power: int  # of the magnitudes that the filters sum

    def apply(self, features: Tensor) -> Tensor:
        """Return log-mel features (clip, band, frame) as the devices would record them.

        Noise adds to the sound in power. The filter sums are those of a spectrum that is flat
        within a band.
        """
        if not len(self.clip):
            return features
        result = features.clone()
        frames = torch.arange(features.shape[-1], device=features.device)
        for place, gain, noise, shift in zip(
            self.clip.tolist(), self.gain, self.noise, self.shift.tolist(), strict=True
        ):
            bands = features[place].exp().sub_(self.log_offset).clamp_(min=0).mul_(gain[:, None])
            rolled = self.texture[:, (frames + shift) % self.texture.shape[-1]] * noise[:, None]
            if self.power == 1:
                bands = bands.square_().addcmul_(rolled, rolled).sqrt_()
            else:
                bands = bands.add_(rolled)
            result[place] = bands.add_(self.log_offset).log_()
        return result


class DeviceAugmentation:
    """Draws random devices for batches of log-mel features.

    Parameters
    ----------
    devices : RandomDevices
    config : FrontendConfig
        Of the features.

    Raises
    ------
    ConfigError
        If features do not say what a gain makes of them: scaled to 0..1, or samples.
    DeviceError
        If the folder of measured responses has none.
    """

    def __init__(self, devices: RandomDevices, config: FrontendConfig) -> None:
        if config.scaling != "none" or config.features != "log_mel":
            what = "the samples" if config.features != "log_mel" else "scaled to 0..1"
            raise ConfigError(
                f"the features are {what}, and random devices change log-mel features",
                expected="a front-end with log-mel features that are not scaled",
                fix="leave random_devices out, or choose another front-end",
            )
        self.devices, self.config = devices, config
        self.hz = np.linspace(0, config.rate_hz / 2, config.bins)
        filters = mel_filters(config).numpy().astype(np.float64)
        self.filters, self.sums = filters, filters.sum(axis=1)
        # Fluctuation of a filter's sum over independent bins, as a share of its mean.
        bins = self.sums**2 / np.maximum((filters**2).sum(axis=1), np.finfo(float).tiny)
        single = math.sqrt(1 / RAYLEIGH_MEAN**2 - 1) if config.power == 1 else 1.0
        self.deviation = single / np.sqrt(bins)
        # White noise of 0 dBFS: mean power of a bin, and what the filters make of it.
        energy = float(torch.hann_window(config.frame_samples).square().sum())
        magnitude = math.sqrt(energy) * RAYLEIGH_MEAN
        self.full_scale = self.sums * (magnitude if config.power == 1 else energy)
        devices.draw(1, self.hz, np.random.default_rng(0))  # a folder without responses fails now

    def draw(self, clips: int, frames: int, generator: np.random.Generator) -> DeviceDraw:
        """Draw for a batch; the same generator state gives the same draw."""
        power = self.config.power
        changed = np.flatnonzero(generator.random(clips) < self.devices.share)
        drawn = self.devices.draw(len(changed), self.hz, generator)
        factors = np.exp(power * drawn.levels_db / NEPER_DB) @ self.filters.T
        gain = factors / np.maximum(self.sums, np.finfo(float).tiny)
        noise = np.exp(power * drawn.noise_db / NEPER_DB)[:, None] * self.full_scale
        texture = generator.standard_normal((len(self.sums), frames), dtype=np.float32)
        texture = np.exp(texture * self.deviation[:, None].astype(np.float32))
        return DeviceDraw(
            torch.from_numpy(changed),
            _float32(gain),
            _float32(noise),
            torch.from_numpy(texture),
            torch.from_numpy(generator.integers(0, frames, len(changed))),
            self.config.log_offset,
            power,
        )


def _float32(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


class FreqMixStyleDraw(NamedTuple):
    """Freq-MixStyle of one batch: clip i keeps weight[i] of its own statistics of each band."""

    partner: Tensor  # (clip,), int64: a position in the batch
    weight: Tensor  # (clip,), float32

    def apply(self, features: Tensor) -> Tensor:
        """Return features (clip, band, frame) whose bands have mixed means and deviations."""
        mixed = torch.nonzero(self.weight < 1).flatten()
        if not len(mixed):
            return features
        mean = features.mean(dim=-1, keepdim=True)
        deviation = features.std(dim=-1, keepdim=True, correction=0).clamp_min(SMALLEST_DEVIATION)
        own, other = mixed, self.partner[mixed]
        weight = self.weight[mixed].view(-1, 1, 1)
        style_mean = torch.lerp(mean[other], mean[own], weight)
        style_deviation = torch.lerp(deviation[other], deviation[own], weight)
        result = features.clone()
        result[own] = (features[own] - mean[own]) / deviation[own] * style_deviation + style_mean
        return result


@dataclass(frozen=True)
class FreqMixStyle:
    """Mix mean and deviation of each band with those of another clip of the batch; not the label.

    Schmid 2022 (DCASE technical report, section 4), after MixStyle (Zhou 2021) and Kim 2022. There
    a whole batch is mixed or not; here each clip is.

    Attributes
    ----------
    share : float
        Share of the clips that are mixed.
    alpha : float
        Parameter of the Beta distribution that the weight is drawn from.
    """

    share: float = 0.5
    alpha: float = 0.3

    def __post_init__(self) -> None:
        """Raise ConfigError for a share outside 0 to 1 or an alpha that is not positive."""
        if not 0 <= self.share <= 1 or not self.alpha > 0:
            raise ConfigError(
                f"Freq-MixStyle has share {self.share} and alpha {self.alpha}",
                expected="a share from 0 to 1 and a positive alpha",
                fix="correct the settings of freq_mixstyle",
            )

    def draw(self, clips: int, generator: np.random.Generator) -> FreqMixStyleDraw:
        """Draw for a batch of `clips` clips; the same generator state gives the same draw."""
        partner = generator.permutation(clips).astype(np.int64)
        weight = generator.beta(self.alpha, self.alpha, size=clips)
        weight[generator.random(clips) >= self.share] = 1.0
        return FreqMixStyleDraw(
            torch.from_numpy(partner), torch.from_numpy(weight.astype(np.float32))
        )
