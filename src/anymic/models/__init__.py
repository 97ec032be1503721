"""Networks by name: features (batch, channel, band, frame) in, logits (batch, classes) out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anymic.errors import ConfigError
from anymic.models.basic import Basic, basic1, basic2
from anymic.models.fcnn import Fcnn, fcnn
from anymic.models.heads import AttentionHead, DenseHead, LSTMHead
from anymic.models.network import ALL, Network, Segment, choose_segments
from anymic.models.tagger import Tagger
from anymic.models.vggish import VGGish


def names() -> list[str]:
    """List the networks that `build` knows."""
    return sorted(NETWORKS)


def build(name: str, *, classes: int, **arguments: Any) -> Network:
    """Build the network `name` for `classes` labels, with fresh weights.

    Every network that hears log-mel features takes `channels`, of its input (1), and `width`, a
    factor on its own (1.0); the heads, which hear embeddings, take `inputs` and `width`.

    Raises
    ------
    ConfigError
        If there is no such network.
    """
    if name not in NETWORKS:
        raise ConfigError(
            f"network {name!r}", expected="one of " + ", ".join(names()), fix="mend `network`"
        )
    return NETWORKS[name](classes=classes, **arguments)


def tagger(
    *,
    classes: int,
    embedder: Mapping[str, Any],
    head: Mapping[str, Any],
    segment_frames: int,
) -> Tagger:
    """Build a network that embeds every segment of a clip and classifies their sequence.

    Parameters
    ----------
    classes : int
    embedder, head : mapping
        The name of a network and its arguments: {"name": "vggish", "width": 0.125}. The head's
        `inputs` are those that the embedder makes.
    segment_frames : int
        96 for VGGish.

    Raises
    ------
    ConfigError
        If there is no such network, or no name.
    """
    first, second = dict(embedder), dict(head)
    name = str(first.pop("name", ""))
    heard = build(name, classes=0 if name == "vggish" else 1, **first)  # which go unused
    width = _features(heard)
    last = build(str(second.pop("name", "")), classes=classes, inputs=width, **second)
    return Tagger(heard, last, segment_frames=segment_frames, inputs=width)


def _features(network: Network) -> int:
    """Return how many pooled features a network has."""
    if isinstance(network, VGGish):
        return network.embedding_size
    if isinstance(network, Basic):
        return network.classifier.in_features
    if isinstance(network, Fcnn):
        return network.embedding_size
    raise ConfigError(
        f"a {type(network).__name__} to embed segments",
        expected="vggish, basic1, basic2 or fcnn",
        fix="choose one of them as `embedder`",
    )


NETWORKS: dict[str, Callable[..., Network]] = {
    "basic1": basic1,
    "basic2": basic2,
    "fcnn": fcnn,
    "vggish": VGGish,
    "dense_head": DenseHead,
    "lstm_head": LSTMHead,
    "attention_head": AttentionHead,
    "tagger": tagger,
}

__all__ = ["ALL", "Basic", "Fcnn", "Network", "Segment", "build", "choose_segments", "names"]
