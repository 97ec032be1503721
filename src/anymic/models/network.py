"""The interface of every network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from anymic.errors import ConfigError, counted

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


def numbered(name: str, modules: Iterable[nn.Module]) -> list[Segment]:
    """Return a segment of each module: "block 1", "block 2", ..."""
    return [Segment(f"{name} {number}", (each,)) for number, each in enumerate(modules, start=1)]


class Network(nn.Module, ABC):
    """Features (batch, channel, band, frame) in, logits (batch, class) out.

    Attributes
    ----------
    channels : int
        Of the features: 1 for log-mel alone, 3 with deltas and their deltas.
    smallest_input : int
        The smallest number of bands, and of frames, that the network takes.
    classifier : nn.Module
        What makes logits of the embedding, unless the network has a `forward` of its own.
    """

    channels: int
    smallest_input: int
    classifier: nn.Module

    @abstractmethod
    def embed(self, features: Tensor) -> Tensor:
        """Return the embedding (batch, feature), such as the mean of the last maps."""

    @abstractmethod
    def segments(self) -> tuple[Segment, ...]:
        """Return the parts from input to output; together they are the whole network."""

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (batch, class)."""
        logits: Tensor = self.classifier(self.embed(features))
        return logits

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
                f"the features have {counted(channels, 'channel')}",
                expected=f"{counted(self.channels, 'channel')}",
                fix="set frontend.deltas to one less than the network's channels",
            )


class PatchNetwork(Network):
    """A network of patches of one size.

    Attributes
    ----------
    input_shape : (band, frame)
        Of the features.
    title : str
        The name of the network in messages.
    """

    input_shape: tuple[int, int]
    title: str

    def require_size(self, features: Tensor) -> None:
        """Raise ConfigError if features (batch, channel, band, frame) are not patches."""
        bands, frames = features.shape[-2:]
        if (bands, frames) != self.input_shape:
            own_bands, own_frames = self.input_shape
            raise ConfigError(
                f"the features have {bands} bands x {frames} frames",
                expected=f"{self.title} patches of {own_bands} x {own_frames}",
                fix=f"use the front-end of {self.title}, and clips of one patch",
            )
        super().require_size(features)


def scaled(channels: int, width: float) -> int:
    """Return a number of channels times a factor, at least 1."""
    return max(1, round(channels * width))


def initialize(network: nn.Module, scheme: Callable[[Tensor], Tensor]) -> None:
    """Initialize the weights of convolutions and dense layers by a scheme, their biases by 0."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            scheme(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def evaluate_once(network: nn.Module, features: Tensor) -> Any:
    """Return the output in evaluation mode, without gradients; the mode of each layer stays."""
    modes = {module: module.training for module in network.modules()}
    try:
        with torch.no_grad():
            return network.eval()(features)
    finally:
        for module, mode in modes.items():
            module.training = mode


def mean_of_maps(maps: Tensor) -> Tensor:
    """Return the mean over band and frame: (batch, channel, band, frame) to (batch, channel).

    Its gradient is in the memory format of the maps, channels last in a training. PyTorch's own
    gradient is an expanded tensor, on which batch normalization takes twenty times as long: a fifth
    of a training step on a CPU.
    """
    if maps.requires_grad:
        last = maps.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        maps.register_hook(  # type: ignore[no-untyped-call]
            lambda gradient: gradient.contiguous(memory_format=layout)
        )
    return maps.mean(dim=(2, 3))


def choose_segments(network: Network, wanted: str) -> tuple[int, ...]:
    """Return the numbers, from 0, of the segments that a text names.

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
        last = last if dash else first
        if first.isdecimal() and last.isdecimal():
            chosen.update(range(int(first) - 1, int(last)) or [-1])
        else:
            chosen.add(-1)
    if not chosen <= set(range(len(names))):
        listed = ", ".join(f"{number} {name}" for number, name in enumerate(names, start=1))
        raise ConfigError(
            f"there are no segments {wanted!r}",
            expected=f"all, or numbers and ranges of {listed}",
            fix="write 7, 5-7 or 1,9-10, for example",
        )
    return tuple(sorted(chosen))
