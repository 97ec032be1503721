"""Draw a place of a scene, then moments at that place, then turn a moment into sound.

The ten scenes are read from scenes.yaml: which ingredients, how loud, how often, in what room. The
labels are those of TAU Urban Acoustic Scenes (Mesaros, Heittola and Virtanen 2018). The scenes
share their ingredients on purpose: a metro differs from a tram by the level of the rails against
the motor, not by a sound that only one of them has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from anymic import audio
from anymic._internal.settings import from_mapping, read_yaml
from anymic.data.corpora.synthesis import beds, events, voices
from anymic.data.corpora.synthesis.shaping import Room, Samples, Sound, reverberate, unit_rms
from anymic.errors import ConfigError

LOCATION_SPREAD_DB = 3.0  # from place to place, of each ingredient
TAKE_SPREAD_DB = 2.0  # from moment to moment, of each ingredient
LEVEL_SPREAD_DB = 3.0  # of a place as a whole: the distance and gain of the recorder
RECORDER_NOISE_DB = -80.0  # of device A
DAMPING_HZ = (1500.0, 5000.0)  # of the room of a place
PEAK = 0.5  # louder takes are attenuated to this

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
LABELS = tuple(sorted(SCENES))


@dataclass(frozen=True)
class Location:
    """A place: all that its takes share.

    Attributes
    ----------
    levels_db, traits : mapping
        Each ingredient of the place and its level, and its traits.
    level_db : float
        Root mean square of the place, in dB full scale.
    entropy : tuple of int
        The seed of its room.
    """

    scene: str
    index: int
    levels_db: Mapping[str, float]
    traits: Mapping[str, Mapping[str, float]]
    room: Room
    level_db: float
    entropy: tuple[int, ...]

    @property
    def name(self) -> str:
        """The group of its takes."""
        return f"{self.scene}-{self.index:02d}"


@dataclass(frozen=True)
class Take:
    """A moment at a place: its levels, which differ from the place's, and the seed of its noise."""

    location: Location
    index: int
    levels_db: Mapping[str, float]
    level_db: float
    entropy: tuple[int, ...]

    @property
    def name(self) -> str:
        """The take, which is the same for all devices that record this moment."""
        return f"{self.location.name}-{self.index}"


def draw_location(scene: str, index: int, *, seed: int = 0) -> Location:
    """Draw place number `index` of a scene; ConfigError if there is no such scene."""
    if scene not in SCENES:
        raise ConfigError(f"unknown scene {scene!r}", expected=f"one of {', '.join(LABELS)}")
    entropy = (seed, LABELS.index(scene), index)
    generator = np.random.default_rng(entropy)
    recipe = SCENES[scene]
    levels_db, traits = {}, {}
    for name, part in recipe.parts.items():
        # Drawn in either case, so that a change of one share moves nothing else.
        present, level = generator.random() < part.share, generator.normal(0.0, LOCATION_SPREAD_DB)
        ranges = {**INGREDIENTS[name].traits, **part.traits}
        drawn = {trait: _draw(generator, span) for trait, span in ranges.items()}
        if present:
            levels_db[name] = part.level_db + level
            traits[name] = drawn
    return Location(
        scene=scene,
        index=index,
        levels_db=levels_db,
        traits=traits,
        room=Room(*(_draw(generator, span) for span in (recipe.decay_s, recipe.wet, DAMPING_HZ))),
        level_db=recipe.level_db + generator.normal(0.0, LEVEL_SPREAD_DB),
        entropy=entropy,
    )


def draw_take(location: Location, index: int) -> Take:
    """Draw moment number `index` at a place."""
    entropy = (*location.entropy, 1 + index)
    generator = np.random.default_rng(entropy)
    levels_db = {
        name: level + generator.normal(0.0, TAKE_SPREAD_DB)
        for name, level in location.levels_db.items()
    }
    level_db = location.level_db + generator.normal(0.0, 1.5)
    return Take(location, index, levels_db, level_db, entropy)


def render(take: Take, *, clip_s: float = 3.0, rate_hz: int = 22050) -> audio.Clip:
    """Render a take: round(clip_s * rate_hz) samples with a peak of at most `PEAK`."""
    samples = round(clip_s * rate_hz)
    location = take.location
    dry, in_room = np.zeros(samples, np.float32), np.zeros(samples, np.float32)
    for name, level_db in take.levels_db.items():
        ingredient = INGREDIENTS[name]
        # A stream for each, so that a change of one ingredient leaves the others as they were.
        generator = np.random.default_rng((*take.entropy, 1 + list(INGREDIENTS).index(name)))
        sound = Sound(generator, samples, rate_hz)
        bus = in_room if ingredient.in_room else dry
        bus += np.float32(10 ** (level_db / 20)) * ingredient.render(sound, location.traits[name])
    walls = np.random.default_rng((*location.entropy, 0, 1))
    mixture = dry + reverberate(in_room, walls, rate_hz, location.room)
    return audio.Clip(_recorded(mixture, take), rate_hz)


def _draw(generator: np.random.Generator, span: Range) -> float:
    low, high = np.log(span)
    return float(np.exp(generator.uniform(low, high)))


def _recorded(mixture: Samples, take: Take) -> Samples:
    generator = np.random.default_rng((*take.entropy, 0, 2))
    level = np.float32(10 ** (take.level_db / 20))
    noise = generator.standard_normal(len(mixture), dtype=np.float32)
    recorded = level * unit_rms(mixture - mixture.mean())
    recorded = recorded + np.float32(10 ** (RECORDER_NOISE_DB / 20)) * noise
    peak = float(np.abs(recorded).max())
    return np.asarray(recorded * np.float32(min(1.0, PEAK / peak)), np.float32)
