"""Compute the features of several front-ends with one pass over the samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from anymic._internal.gain_factors import of_one_width
from anymic.features.frontend import IDENTITY, Frontend, in_tiles

# The gains of one clip, for each front-end: amplitude factors (bin,) of its magnitudes, perhaps
# with noise, or (band,) of its mel bands in the log-mel domain; None leaves the clip as it is.
Gains = tuple[Tensor | None, ...]

# For each front-end: log-mel features (batch, band, frame) before standardization.
Features = tuple[Tensor, ...]


class SharedFrontends:
    """Several front-ends for the same clips, which share work if their settings are equal.

    If each clip has the same gains in all of them, their features are one tensor. Otherwise they
    share the Fourier transform. On a processor it is followed by one product for all of them,
    since both gains and mel filters are weights of bins. Where noise is subtracted, they are not.
    """

    def __init__(self, frontends: Sequence[Frontend]) -> None:
        self.frontends = tuple(frontends)
        self.groups = _equal_settings(self.frontends)

    def log_mel(self, samples: Tensor, gains: Sequence[Gains] | None = None) -> Features:
        """Return each front-end's log-mel features, before standardization.

        Parameters
        ----------
        samples : Tensor, (batch, sample), float32
        gains : sequence of Gains, optional
            One for each clip; None leaves every clip uncorrected. Errors are those of
            `Frontend.log_mel`.
        """
        features: dict[int, Tensor] = {}
        for group in self.groups:
            own = [[clip[number] for number in group] for clip in gains or ()]
            found = _log_mel(self.frontends[group[0]], samples, own, len(group))
            features.update(zip(group, found, strict=True))
        return tuple(features[number] for number in range(len(self.frontends)))


def _log_mel(
    frontend: Frontend, samples: Tensor, gains: Sequence[Sequence[Tensor | None]], members: int
) -> Sequence[Tensor]:
    """Return the features of each member of a group with the settings of `frontend`."""
    if all(own is clip[0] for clip in gains for own in clip):
        own = stack(frontend, [clip[0] for clip in gains])
        return [frontend.log_mel(samples, gains=own)] * members
    shares = frontend.gain_domain == "magnitude" and frontend.config.features == "log_mel"
    bins = frontend.config.bins
    shares = shares and all(one is None or len(one) == bins for clip in gains for one in clip)
    if samples.device.type == "cpu" and shares:
        return frontend.scale_clips(_apart(frontend, samples, gains).permute(2, 0, 3, 1)).unbind()
    return [
        frontend.log_mel(samples, gains=stack(frontend, [clip[place] for clip in gains]))
        for place in range(members)
    ]


def stack(frontend: Frontend, gains: Sequence[Tensor | None]) -> Tensor | None:
    """Return the clips' gains (batch, bin); None if no clip has any."""
    if all(one is None for one in gains):
        return None
    unchanged = frontend.gains[IDENTITY]
    return of_one_width([unchanged if one is None else one for one in gains])


def _apart(frontend: Frontend, samples: Tensor, gains: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """Return features (batch, frame, member, band), by gains of each clip and member."""
    config = frontend.config
    frames = frontend.overlapping(samples)
    shape = (*frames.shape[:2], len(gains[0]), config.bands)
    features = samples.new_empty(shape)
    known: dict[tuple[int, ...], list[Tensor]] = {}
    for clip, own in enumerate(gains):
        key = tuple(map(id, own))
        if key not in known:
            ones = samples.new_ones(config.bins)
            factors = torch.stack([ones if one is None else one for one in own])
            known[key] = frontend.mel.for_gains(factors**config.power)
        begin = 0
        for tile in in_tiles(frames[clip]):
            spectrum = frontend.transform(tile)
            spectrum = spectrum.square() if config.power == 2 else spectrum
            # The logarithm is taken by blocks, which are still in the processor's cache.
            blocks = [
                block.add_(config.log_offset).log_()
                for block in frontend.mel.weighted(spectrum, known[key])
            ]
            torch.cat(blocks, dim=-1, out=features[clip, begin : begin + len(tile)])
            begin += len(tile)
    return features


def _equal_settings(frontends: Sequence[Frontend]) -> list[list[int]]:
    """Return the numbers of front-ends that differ in gains and standardization only."""
    groups: dict[Any, list[int]] = {}
    for number, frontend in enumerate(frontends):
        filters = frontend.filters.cpu().numpy().tobytes()
        groups.setdefault((frontend.config, frontend.gain_domain, filters), []).append(number)
    return list(groups.values())
