"""Networks by name: features (batch, 1, band, frame) in, logits (batch, classes) out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anymic.errors import ConfigError
from anymic.models.basic import Basic, basic1, basic2

NETWORKS: dict[str, Callable[..., Basic]] = {"basic1": basic1, "basic2": basic2}


def names() -> list[str]:
    """List the networks that `build` knows."""
    return sorted(NETWORKS)


def build(name: str, *, classes: int, **arguments: Any) -> Basic:
    """Build the network `name` for `classes` labels, with fresh weights.

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


__all__ = ["Basic", "build", "names"]
