"""An embedding of every segment of a clip, and a head that classifies their sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from anymic.errors import ConfigError
from anymic.models.network import Network, Segment
from anymic.models.registry import NETWORKS, build, register_network


class Standardization(nn.Module):
    """Subtract a mean (feature,), at first 0, and divide by a scale (feature,), at first 1."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def forward(self, values: Tensor) -> Tensor:
        """Return the standardized values."""
        return (values - self.mean) / self.scale

    def maps(self, sequences: Tensor) -> Tensor:
        """Lay sequences (batch, feature, segment) out as a head takes them, standardized."""
        standardized: Tensor = self(sequences.transpose(1, 2))
        return standardized.transpose(1, 2).unsqueeze(1)


class Tagger(Network):
    """Cut features into segments, embed each of them, and classify the sequence.

    Parameters
    ----------
    embedder : Network
        Features (batch, channel, band, frame) of a segment to (batch, feature), by its `embed`.
    head : Network
        Sequences (batch, segment, feature) to logits; see `anymic.models.heads`.
    segment_frames : int
        Frames of a segment; 96 for VGGish. A shorter rest at the end is not used.
    inputs : int
        Features of a segment.
    segment_hop_frames : int, optional
        Frames between the starts of two segments; 48 for YAMNet, whose segments overlap by half.
        By default `segment_frames`.

    Attributes
    ----------
    standardization : Standardization
        Of the embeddings, before the head.
    """

    def __init__(
        self,
        embedder: Network,
        head: Network,
        *,
        segment_frames: int,
        inputs: int,
        segment_hop_frames: int | None = None,
    ) -> None:
        super().__init__()
        self.segment_hop_frames = segment_hop_frames or segment_frames
        if not 1 <= self.segment_hop_frames <= segment_frames:
            raise ConfigError(
                f"a segment has {segment_frames} frames, every {self.segment_hop_frames} frames",
                expected="1 or more, and a distance of at most a segment",
            )
        self.embedder, self.head = embedder, head
        self.segment_frames, self.channels = segment_frames, embedder.channels
        self.smallest_input = 1
        self.standardization = Standardization(inputs)

    def sequence(self, features: Tensor) -> Tensor:
        """Return embeddings (batch, segment, feature), not yet standardized.

        Raises
        ------
        ConfigError
            If there are too few frames for a segment.
        """
        clips, frames = features.shape[0], features.shape[-1]
        if frames < self.segment_frames:
            raise ConfigError(
                f"the features have {frames} frames",
                expected=f"at least one segment of {self.segment_frames} frames",
                fix="use longer clips",
            )
        apart = features.unfold(-1, self.segment_frames, self.segment_hop_frames)
        apart = apart.permute(0, 3, 1, 2, 4)  # (batch, segment, channel, band, frame)
        embedded = self.embedder.embed(apart.flatten(0, 1))
        sequence: Tensor = embedded.reshape(clips, apart.shape[1], -1)
        return sequence

    def segments(self) -> tuple[Segment, ...]:
        """Return the embedder's parts, the standardization and the head's parts."""
        embedder = [Segment(f"embedder {name}", part) for name, part in self.embedder.segments()]
        head = [Segment(f"head {name}", part) for name, part in self.head.segments()]
        return (*embedder, Segment("standardization", (self.standardization,)), *head)

    def embed(self, features: Tensor) -> Tensor:
        """Return the embedding of the head: (batch, feature)."""
        return self.head.embed(self.standardization(self.sequence(features)))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits: (batch, channel, band, frame) to (batch, classes)."""
        logits: Tensor = self.head(self.standardization(self.sequence(features)))
        return logits


@register_network("tagger")
def tagger(
    *,
    classes: int,
    embedder: Mapping[str, Any],
    head: Mapping[str, Any],
    segment_frames: int,
    segment_hop_frames: int | None = None,
) -> Tagger:
    """Build a network that embeds every segment of a clip and classifies their sequence.

    Parameters
    ----------
    classes : int
    embedder, head : mapping
        The name of a network and its arguments: {"name": "vggish", "width": 0.125}. The head's
        `inputs` is the size of the embedding.
    segment_frames : int
        96 for VGGish.
    segment_hop_frames : int, optional
        48 for YAMNet; by default `segment_frames`.

    Raises
    ------
    ConfigError
        If there is no such network, or the first does not embed.
    """
    first, second = dict(embedder), dict(head)
    spec = NETWORKS.get(str(first.pop("name", "")))
    below = build(spec.name, classes=0 if spec.without_labels else 1, **first)  # not used
    inputs = getattr(below, "embedding_size", None)
    if not spec.embeds or not isinstance(inputs, int):
        raise ConfigError(
            f"network {spec.name!r} does not embed segments",
            expected=f"one of {', '.join(one.name for one in NETWORKS.specs() if one.embeds)}",
            fix="choose another `embedder`",
        )
    above = build(str(second.pop("name", "")), classes=classes, inputs=inputs, **second)
    return Tagger(
        below,
        above,
        segment_frames=segment_frames,
        inputs=inputs,
        segment_hop_frames=segment_hop_frames,
    )
