"""Networks by name: features (batch, channel, band, frame) in, logits (batch, classes) out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anymic.errors import ConfigError
from anymic.models.basic import Basic, basic1, basic2
from anymic.models.fcnn import Fcnn, fcnn
from anymic.models.network import Network, Segment, choose_segments

NETWORKS: dict[str, Callable[..., Network]] = {"basic1": basic1, "basic2": basic2, "fcnn": fcnn}


def names() -> list[str]:
    """List the networks that `build` knows."""
    return sorted(NETWORKS)


def build(name: str, *, classes: int, **arguments: Any) -> Network:
    """Build the network `name` for `classes` labels, with fresh weights.

    Every network takes `channels`, of its input (1), and `width`, a factor on its own (1.0).

    Raises
    ------
    ConfigError
        If there is no such network.
    """
    if name not in NETWORKS:
        raise ConfigError(
            f"network {name!r}", wanted="one of " + ", ".join(names()), remedy="mend `network`"
        )
    return NETWORKS[name](classes=classes, **arguments)


__all__ = ["Basic", "Fcnn", "Network", "Segment", "build", "choose_segments", "names"]
