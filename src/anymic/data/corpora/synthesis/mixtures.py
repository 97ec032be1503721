"""The ten scenes, read from scenes.yaml: which ingredients, how loud, how often, in what room.

The labels are those of TAU Urban Acoustic Scenes (Mesaros, Heittola and Virtanen 2018). The
scenes share their ingredients on purpose: a metro differs from a tram by the level of the rails
against the motor, not by a sound that only one of them has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np
import yaml

from anymic.data.corpora.synthesis import beds, events, voices
from anymic.data.corpora.synthesis.shaping import Samples

Range = tuple[float, float]
Renderer = Callable[[Mapping[str, float], np.random.Generator, int, int], Samples]
RENDERERS = {"beds": beds, "events": events, "voices": voices}


@dataclass(frozen=True)
class Ingredient:
    """One kind of sound.

    Attributes
    ----------
    render : callable
        Of (traits, generator, samples, rate_hz).
    traits : mapping
        From a trait to its lowest and highest value, drawn uniformly on a logarithmic scale.
    in_room : bool
        Whether the room adds its echo; wind and ventilation stay dry.
    """

    render: Renderer
    traits: Mapping[str, Range]
    in_room: bool = True


@dataclass(frozen=True)
class Part:
    """An ingredient's place in a scene.

    Attributes
    ----------
    level_db : float
        Its middle level; the scene as a whole is set to its own level afterwards.
    share : float
        The share of the locations that contain it.
    traits : mapping
        Ranges that differ from the ingredient's own.
    """

    level_db: float
    share: float = 1.0
    traits: Mapping[str, Range] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """A scene: its parts by ingredient, its room (ranges) and its level in dB full scale."""

    parts: Mapping[str, Part]
    decay_s: Range
    wet: Range
    level_db: float


def _ranges(values: Mapping[str, Any]) -> dict[str, Range]:
    return {name: (low, high) for name, (low, high) in values.items()}


def _ingredient(values: Mapping[str, Any]) -> Ingredient:
    module, _, function = values["render"].partition(".")
    render = getattr(RENDERERS[module], function)
    return Ingredient(render, _ranges(values["traits"]), values.get("in_room", True))


def _scene(values: Mapping[str, Any]) -> Scene:
    parts = {
        name: Part(part["level_db"], part.get("share", 1.0), _ranges(part.get("traits", {})))
        for name, part in values["parts"].items()
    }
    room = _ranges({name: values[name] for name in ("decay_s", "wet")})
    return Scene(parts, level_db=values["level_db"], **room)


_TABLES = yaml.safe_load(files(__package__).joinpath("scenes.yaml").read_text(encoding="utf-8"))
INGREDIENTS = {name: _ingredient(values) for name, values in _TABLES["ingredients"].items()}
SCENES = {name: _scene(values) for name, values in _TABLES["scenes"].items()}
