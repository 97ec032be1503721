"""The ten scenes, read from scenes.yaml: which ingredients, how loud, how often, in what room.

The labels are those of TAU Urban Acoustic Scenes (Mesaros, Heittola and Virtanen 2018). The
scenes share their ingredients on purpose: a metro differs from a tram by the level of the rails
against the motor, not by a sound that only one of them has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anymic._internal.settings import from_mapping, read_yaml
from anymic.data.corpora.synthesis import beds, events, voices
from anymic.data.corpora.synthesis.shaping import Samples, Sound

Range = tuple[float, float]


@dataclass(frozen=True)
class Ingredient:
    """One kind of sound; `scenes.yaml` says what its fields mean."""

    function: str
    traits: dict[str, Range]
    in_room: bool = True

    def render(self, sound: Sound, traits: Mapping[str, float]) -> Samples:
        """Return samples of the ingredient with these traits."""
        module, _, name = self.function.partition(".")
        modules = {"beds": beds, "events": events, "voices": voices}
        render: Callable[..., Samples] = getattr(modules[module], name)
        return render(sound, **traits)


@dataclass(frozen=True)
class Part:
    """An ingredient's place in a scene; `scenes.yaml` says what its fields mean."""

    level_db: float
    share: float = 1.0
    traits: dict[str, Range] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """A scene: its parts by ingredient, its room (ranges) and its level in dB full scale."""

    parts: dict[str, Part]
    decay_s: Range
    wet: Range
    level_db: float


_TABLES = read_yaml(Path(__file__).with_name("scenes.yaml"))
INGREDIENTS = {name: from_mapping(Ingredient, one) for name, one in _TABLES["ingredients"].items()}
SCENES = {name: from_mapping(Scene, one) for name, one in _TABLES["scenes"].items()}
