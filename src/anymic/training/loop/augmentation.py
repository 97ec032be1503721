"""Augmentations of a training batch: parameters are drawn first, then applied on any torch device.

A draw consists of plain tensors, so that it can be logged, sent to a GPU, divided among several
processes, and replayed: the same draw gives the same batch. In training the order is mixup, time
warp, masks: masks apply to the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from anymic.errors import ConfigError


class MixupDraw(NamedTuple):
    """Mixup of one batch: clip i becomes weight[i] of itself and 1 - weight[i] of its partner."""

    partner: Tensor  # (clip,), int64: a position in the batch
    weight: Tensor  # (clip,), float32

    def apply(self, values: Tensor) -> Tensor:
        """Return the mixed features (clip, band, frame) or targets (clip, class) of a batch."""
        mixed = torch.nonzero(self.weight < 1).flatten()
        result = values.clone()
        share = self.weight[mixed].view(-1, *[1] * (values.ndim - 1))
        result[mixed] = torch.lerp(values[self.partner[mixed]], values[mixed], share)
        return result


@dataclass(frozen=True)
class Mixup:
    """Mix pairs of clips and their targets (Zhang 2018, equation 1; Kosmider 2019).

    Attributes
    ----------
    share : float
        Share of the clips that are mixed; Kosmider 2019 and Nguyen 2020 mix 0.3.
    alpha : float
        Parameter of the Beta distribution that the weight is drawn from.
    """

    share: float = 0.3
    alpha: float = 0.2

    def __post_init__(self) -> None:
        """Raise ConfigError for a share outside 0 to 1 or an alpha that is not positive."""
        if not 0 <= self.share <= 1 or self.alpha <= 0:
            raise ConfigError(
                f"the mixup has share {self.share} and alpha {self.alpha}",
                expected="a share from 0 to 1 and a positive alpha",
            )

    def draw(self, clips: int, generator: np.random.Generator) -> MixupDraw:
        """Draw for a batch of `clips` clips; the same generator state gives the same draw."""
        partner = generator.permutation(clips).astype(np.int64)
        weight = generator.beta(self.alpha, self.alpha, size=clips)
        weight[generator.random(clips) >= self.share] = 1.0
        return MixupDraw(torch.from_numpy(partner), torch.from_numpy(weight.astype(np.float32)))


class TimeWarpDraw(NamedTuple):
    """Time warp of one batch: a frame, and by how many frames it moves later."""

    centre: Tensor  # (clip,), float32
    shift: Tensor  # (clip,), float32; a negative shift moves it earlier

    def apply(self, features: Tensor) -> Tensor:
        """Return features (clip, ..., band, frame) whose frame `centre` has moved by `shift`.

        First and last frame stay in place. Time is stretched uniformly on each side of the centre,
        and frames are interpolated linearly.
        """
        last = features.shape[-1] - 1
        frame = torch.arange(last + 1, device=features.device, dtype=torch.float32)
        centre, goal = self.centre[:, None], (self.centre + self.shift)[:, None]
        before = frame * (centre / goal)
        after = last - (last - frame) * ((last - centre) / (last - goal))
        source = torch.where(frame < goal, before, after).clamp(0, last)
        first = source.floor().clamp(max=last - 1)
        share = (source - first).to(features.dtype)
        start = first.long()
        # Clip by clip: a gather over the whole batch would index every band separately.
        warped = [
            torch.lerp(clip.index_select(-1, at), clip.index_select(-1, at + 1), weight)
            for clip, at, weight in zip(features, start, share, strict=True)
        ]
        return torch.stack(warped)


@dataclass(frozen=True)
class TimeWarp:
    """Move a random frame in time and stretch the frames around it (Park 2019, section 2).

    Attributes
    ----------
    width : int
        Largest distance that a frame moves, in frames; Kosmider 2019: 40.
    """

    width: int = 40

    def __post_init__(self) -> None:
        """Raise ConfigError for a width that is not positive."""
        if self.width < 1:
            raise ConfigError(f"the time warp is at most {self.width} frames", expected="1 or more")

    def draw(self, clips: int, frames: int, generator: np.random.Generator) -> TimeWarpDraw:
        """Draw for a batch; ConfigError if the clips are too short to move a frame that far."""
        if frames <= 2 * self.width + 1:
            raise ConfigError(
                f"the clips have {frames} frames, and the time warp is up to {self.width}",
                expected=f"more than {2 * self.width + 1} frames",
                fix="lower time_warp.width",
            )
        centre = generator.integers(self.width + 1, frames - 1 - self.width, size=clips)
        shift = generator.uniform(-self.width, self.width, size=clips)
        return TimeWarpDraw(
            torch.from_numpy(centre.astype(np.float32)), torch.from_numpy(shift.astype(np.float32))
        )


class SpecAugmentDraw(NamedTuple):
    """Masked frames and bands of one batch (clip, mask), int64: from `start` to before `stop`."""

    frame_start: Tensor
    frame_stop: Tensor
    band_start: Tensor
    band_stop: Tensor

    def apply(self, features: Tensor, fill: Tensor) -> Tensor:
        """Return features (clip, ..., band, frame) with masked values replaced by `fill`.

        The shape of `fill` is (..., band, 1); it is 0 for standardized features.
        """
        frames = _inside(self.frame_start, self.frame_stop, features.shape[-1])
        bands = _inside(self.band_start, self.band_stop, features.shape[-2])
        masked = frames[:, None, :] | bands[:, :, None]
        while masked.ndim < features.ndim:
            masked = masked.unsqueeze(1)  # the same in every channel
        return torch.where(masked, fill.to(features), features)


def _inside(start: Tensor, stop: Tensor, length: int) -> Tensor:
    """Return (clip, position): whether some mask of the clip covers the position."""
    place = torch.arange(length, device=start.device)
    return ((place >= start[..., None]) & (place < stop[..., None])).any(dim=1)


@dataclass(frozen=True)
class SpecAugment:
    """Mask blocks of time and bands of frequency (Park 2019, section 2; limits: Kosmider 2019).

    The size of each mask is drawn uniformly from 0 to its limit, then its position.

    Attributes
    ----------
    frames, bands : int
        Largest number of masked frames and bands of a mask; Kosmider 2019: 80 and 27.
    time_masks, band_masks : int
        Number of masks of each kind for a clip.
    """

    frames: int = 80
    bands: int = 27
    time_masks: int = 1
    band_masks: int = 1

    def __post_init__(self) -> None:
        """Raise ConfigError for negative limits and numbers."""
        if min(self.frames, self.bands, self.time_masks, self.band_masks) < 0:
            raise ConfigError(
                f"the masks are {self.time_masks} of {self.frames} frames and {self.band_masks} of "
                f"up to {self.bands} bands",
                expected="0 or more of each",
            )

    def draw(
        self, clips: int, bands: int, frames: int, generator: np.random.Generator
    ) -> SpecAugmentDraw:
        """Draw for a batch; ConfigError if a mask may be larger than the features."""
        if self.frames > frames or self.bands > bands:
            raise ConfigError(
                f"masks of up to {self.frames} frames and {self.bands} bands do not fit features "
                f"of {bands} bands x {frames} frames",
                expected="smaller masks",
                fix="lower spec_augment.frames or spec_augment.bands",
            )
        time = _masks(self.frames, frames, (clips, self.time_masks), generator)
        return SpecAugmentDraw(
            *time, *_masks(self.bands, bands, (clips, self.band_masks), generator)
        )


def _masks(
    limit: int, length: int, shape: tuple[int, int], generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    width = generator.integers(0, limit + 1, size=shape)
    start = generator.integers(0, length - width + 1)
    return torch.from_numpy(start), torch.from_numpy(start + width)
