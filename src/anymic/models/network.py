"""The interface of every network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from anymic.errors import ConfigError

ALL = "all"


class Segment(NamedTuple):
    """A part of a network that is trained, or left as it is, as a whole.

    Attributes
    ----------
    name : str
    modules : tuple of nn.Module
        Their parameters and running statistics belong to no other segment.
    """

    name: str
    modules: tuple[nn.Module, ...]


class Network(nn.Module, ABC):
    """Features (batch, channel, band, frame) in, logits (batch, class) out.

    Attributes
    ----------
    channels : int
        Of the features: 1 for log-mel alone, 3 with deltas and their deltas.
    smallest_input : int
        The fewest bands, and the fewest frames, that it takes.
    """

    channels: int
    smallest_input: int

    @abstractmethod
    def embed(self, features: Tensor) -> Tensor:
        """Return the pooled features (batch, channel of the last maps)."""

    @abstractmethod
    def segments(self) -> tuple[Segment, ...]:
        """Return its parts from input to output; together they are the whole network."""

    def require_size(self, features: Tensor) -> None:
        """Raise ConfigError if features (batch, channel, band, frame) do not suit the network."""
        channels, bands, frames = features.shape[-3:]
        if min(bands, frames) < self.smallest_input:
            raise ConfigError(
                f"the features have {bands} bands x {frames} frames",
                expected=f"at least {self.smallest_input} of each",
                fix="use longer clips, a shorter hop, or more bands",
            )
        if channels != self.channels:
            raise ConfigError(
                f"the features have {channels} channels",
                expected=f"{self.channels} channels",
                fix="set frontend.deltas to one less than the network's channels",
            )


def mean_of_maps(maps: Tensor) -> Tensor:
    """Return the mean over band and frame: (batch, channel, band, frame) to (batch, channel).

    Its gradient is laid out channels last, as the maps are. PyTorch's own is one number a map,
    spread out in no layout, over which batch normalization takes twenty times as long: a fifth of
    a training step on a processor.
    """
    if maps.requires_grad:
        maps.register_hook(_channels_last)  # type: ignore[no-untyped-call]
    return maps.mean(dim=(2, 3))


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)


def choose_segments(network: Network, wanted: str) -> tuple[int, ...]:
    """Return the places, from 0, of the segments that a text names.

    Parameters
    ----------
    network : Network
    wanted : str
        "all", or numbers and ranges from 1 on: "7", "5-7", "1,9-10".

    Raises
    ------
    ConfigError
        If it names none, or one that the network does not have.
    """
    names = [segment.name for segment in network.segments()]
    if wanted == ALL:
        return tuple(range(len(names)))
    chosen: set[int] = set()
    for part in wanted.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        numbers = (first, last if dash else first)
        if not all(number.isdecimal() for number in numbers):
            chosen.add(-1)
            break
        chosen.update(range(int(first) - 1, int(numbers[1])) or [-1])
    if not chosen <= set(range(len(names))):
        listed = ", ".join(f"{number} {name}" for number, name in enumerate(names, start=1))
        raise ConfigError(
            f"there are no segments {wanted!r}",
            expected=f"all, or numbers and ranges of {listed}",
            fix="write 7, 5-7 or 1,9-10, for example",
        )
    return tuple(sorted(chosen))
