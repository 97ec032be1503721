"""The ten scenes as tables: which ingredients, how loud, how often, in what room.

The labels are those of TAU Urban Acoustic Scenes (Mesaros, Heittola and Virtanen 2018). The
scenes share their ingredients on purpose: what tells a metro from a tram is how loud the rails
are against the motor, not a sound that only one of them has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from anymic.data.corpora.synthesis import beds, events, voices
from anymic.data.corpora.synthesis.shaping import Samples

Range = tuple[float, float]
Renderer = Callable[[Mapping[str, float], np.random.Generator, int, int], Samples]


@dataclass(frozen=True)
class Ingredient:
    """One kind of sound: who renders it, the ranges of its traits, and how the room hears it.

    Attributes
    ----------
    render : callable
        Of (traits, generator, samples, rate_hz).
    traits : mapping
        From a trait to its lowest and highest value, drawn evenly on a logarithmic scale.
    in_room : bool
        Whether the room answers it; what is already everywhere (wind, ventilation) stays dry.
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
        In which share of the locations it is heard at all.
    traits : mapping
        Ranges that differ from the ingredient's own.
    """

    level_db: float
    share: float = 1.0
    traits: Mapping[str, Range] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Scene:
    """A scene: its parts by ingredient, its room (ranges) and its level in dB full scale."""

    parts: Mapping[str, Part]
    decay_s: Range
    wet: Range
    level_db: float


INGREDIENTS: Mapping[str, Ingredient] = MappingProxyType(
    {
        "traffic": Ingredient(
            beds.traffic, {"corner_hz": (70, 350), "tyre": (0.03, 0.3)}, in_room=False
        ),
        "ventilation": Ingredient(
            beds.ventilation,
            {
                "corner_hz": (80, 500),
                "duct_hz": (180, 1200),
                "quality": (1.0, 6.0),
                "blade_hz": (45, 130),
                "blade": (0.1, 0.8),
            },
            in_room=False,
        ),
        "engine": Ingredient(
            beds.engine,
            {
                "firing_hz": (28, 75),
                "harmonics_db": (4, 9),
                "rough": (0.3, 1.2),
                "cabin_hz": (200, 700),
            },
        ),
        "motor": Ingredient(beds.motor, {"whine_hz": (180, 900), "glide": (0.1, 0.8)}),
        "rail": Ingredient(
            beds.rail,
            {
                "rumble_hz": (70, 220),
                "roar_hz": (400, 1400),
                "roar": (0.04, 0.3),
                "joint_s": (0.5, 1.6),
                "click": (0.5, 4.0),
            },
        ),
        "train": Ingredient(
            beds.passing_train,
            {
                "rumble_hz": (70, 220),
                "roar_hz": (400, 1400),
                "roar": (0.08, 0.4),
                "joint_s": (0.5, 1.6),
                "click": (0.3, 3.0),
            },
        ),
        "wind": Ingredient(
            beds.wind,
            {"gusts_hz": (0.4, 1.5), "corner_hz": (60, 250), "leaves": (0.03, 0.5)},
            in_room=False,
        ),
        "water": Ingredient(beds.water, {"hiss_hz": (1200, 4500), "bubbles": (40, 300)}),
        "babble": Ingredient(
            voices.babble, {"voices": (4, 30), "pitch_hz": (120, 210), "far_hz": (800, 4000)}
        ),
        "announcement": Ingredient(
            voices.announcement,
            {"pitch_hz": (100, 230), "low_hz": (200, 450), "high_hz": (2500, 5500)},
        ),
        "footsteps": Ingredient(events.footsteps, {"walkers": (1, 7), "ground_hz": (600, 2500)}),
        "birds": Ingredient(events.birds, {"calls": (0.2, 1.5), "pitch_hz": (2300, 6000)}),
        "cars": Ingredient(
            events.cars,
            {"cars": (1.5, 6), "speed": (6, 18), "distance_m": (4, 15), "tyre_hz": (700, 1400)},
        ),
        "horn": Ingredient(events.horn, {"pitch_hz": (300, 480)}),
        "chime": Ingredient(events.chime, {"pitch_hz": (400, 1300), "ring_s": (0.15, 0.6)}),
        "squeal": Ingredient(events.squeal, {"pitch_hz": (1500, 5500)}),
        "door": Ingredient(events.door, {"hiss_hz": (1500, 5000)}),
        "trolley": Ingredient(events.trolley, {"tiles_hz": (8, 30), "body_hz": (350, 1400)}),
        "rattle": Ingredient(events.rattle, {"knocks": (4, 30), "pane_hz": (700, 3000)}),
        "music": Ingredient(
            events.music, {"beat_s": (0.42, 0.75), "key_hz": (110, 260), "bright": (0.45, 0.75)}
        ),
    }
)

_HALL: Range = (0.9, 2.0)
_CABIN: Range = (0.12, 0.35)
_OPEN: Range = (0.2, 0.7)

SCENES: Mapping[str, Scene] = MappingProxyType(
    {
        "airport": Scene(
            {
                "babble": Part(-8, 1.0, {"voices": (15, 35), "far_hz": (600, 1500)}),
                "ventilation": Part(-3, 1.0, {"corner_hz": (80, 220), "duct_hz": (180, 450)}),
                "footsteps": Part(8, 0.8),
                "trolley": Part(12, 0.8),
                "announcement": Part(-4, 0.6),
                "chime": Part(-4, 0.25),
                "music": Part(-6, 0.15),
                "traffic": Part(-14, 0.4),
            },
            decay_s=_HALL,
            wet=(0.6, 1.4),
            level_db=-34,
        ),
        "shopping_mall": Scene(
            {
                "babble": Part(-4, 1.0, {"voices": (8, 20), "far_hz": (1500, 3500)}),
                "ventilation": Part(-9, 1.0, {"corner_hz": (120, 350), "duct_hz": (350, 1000)}),
                "footsteps": Part(10, 0.8),
                "music": Part(4, 0.75),
                "trolley": Part(6, 0.25),
                "announcement": Part(-10, 0.2),
                "water": Part(-14, 0.15),
                "chime": Part(-8, 0.2),
            },
            decay_s=(0.5, 1.2),
            wet=(0.3, 0.8),
            level_db=-31,
        ),
        "metro_station": Scene(
            {
                "babble": Part(-11, 1.0, {"voices": (5, 15), "far_hz": (800, 2000)}),
                "ventilation": Part(-5, 1.0, {"corner_hz": (200, 500), "duct_hz": (600, 1500)}),
                "train": Part(1, 0.75),
                "footsteps": Part(9, 0.8),
                "announcement": Part(-6, 0.3),
                "squeal": Part(-5, 0.45),
                "chime": Part(-6, 0.25),
                "door": Part(10, 0.4),
                "trolley": Part(4, 0.15),
            },
            decay_s=_HALL,
            wet=(0.8, 1.8),
            level_db=-30,
        ),
        "metro": Scene(
            {
                "rail": Part(
                    -1,
                    1.0,
                    {
                        "roar_hz": (800, 1500),
                        "roar": (0.2, 0.6),
                        "joint_s": (0.35, 0.8),
                        "click": (1.5, 5.0),
                    },
                ),
                "ventilation": Part(-9),
                "motor": Part(-12, 0.8, {"whine_hz": (400, 1200)}),
                "squeal": Part(-7, 0.5),
                "babble": Part(-15, 0.7),
                "announcement": Part(-10, 0.25),
                "chime": Part(-10, 0.25),
                "rattle": Part(4, 0.4),
                "door": Part(4, 0.2),
            },
            decay_s=_CABIN,
            wet=(0.5, 1.0),
            level_db=-26,
        ),
        "tram": Scene(
            {
                "rail": Part(
                    -4,
                    1.0,
                    {
                        "roar_hz": (300, 700),
                        "roar": (0.03, 0.15),
                        "joint_s": (0.8, 2.0),
                        "click": (1.5, 6.0),
                    },
                ),
                "motor": Part(-4, 0.95),
                "ventilation": Part(-11),
                "squeal": Part(-8, 0.4),
                "babble": Part(-13, 0.8),
                "chime": Part(-4, 0.35),
                "announcement": Part(-10, 0.2),
                "traffic": Part(-12, 0.5),
                "door": Part(4, 0.2),
                "rattle": Part(4, 0.4),
            },
            decay_s=_CABIN,
            wet=(0.3, 0.8),
            level_db=-30,
        ),
        "bus": Scene(
            {
                "engine": Part(0),
                "traffic": Part(-9),
                "ventilation": Part(-12),
                "babble": Part(-13, 0.8),
                "rattle": Part(9, 0.8),
                "door": Part(6, 0.25),
                "chime": Part(-8, 0.2),
                "announcement": Part(-11, 0.15),
                "cars": Part(2, 0.25),
            },
            decay_s=_CABIN,
            wet=(0.3, 0.8),
            level_db=-28,
        ),
        "park": Scene(
            {
                "wind": Part(-5, 0.9),
                "traffic": Part(-10, 1.0, {"corner_hz": (60, 150), "tyre": (0.02, 0.1)}),
                "birds": Part(-2, 0.9),
                "footsteps": Part(2, 0.4),
                "babble": Part(-20, 0.5),
                "water": Part(-14, 0.2),
                "cars": Part(-6, 0.15),
            },
            decay_s=_OPEN,
            wet=(0.02, 0.15),
            level_db=-41,
        ),
        "public_square": Scene(
            {
                "babble": Part(-9, 1.0, {"voices": (10, 30), "far_hz": (900, 2500)}),
                "traffic": Part(-7),
                "footsteps": Part(4, 0.7),
                "water": Part(-8, 0.55),
                "birds": Part(-8, 0.5),
                "wind": Part(-9, 0.7),
                "music": Part(-4, 0.2),
                "cars": Part(0, 0.3),
                "horn": Part(-6, 0.1),
            },
            decay_s=_OPEN,
            wet=(0.05, 0.3),
            level_db=-36,
        ),
        "street_pedestrian": Scene(
            {
                "babble": Part(-5, 1.0, {"voices": (2, 8), "far_hz": (2500, 5000)}),
                "footsteps": Part(14, 1.0, {"walkers": (3, 9)}),
                "traffic": Part(-10),
                "music": Part(-4, 0.25),
                "birds": Part(-12, 0.25),
                "cars": Part(0, 0.2),
                "trolley": Part(6, 0.25),
                "wind": Part(-15, 0.3),
            },
            decay_s=_OPEN,
            wet=(0.08, 0.4),
            level_db=-33,
        ),
        "street_traffic": Scene(
            {
                "cars": Part(16, 1.0, {"cars": (3, 8), "tyre_hz": (600, 1000)}),
                "traffic": Part(-4),
                "engine": Part(-12, 0.4),
                "horn": Part(-4, 0.2),
                "footsteps": Part(4, 0.4),
                "babble": Part(-17, 0.4),
                "birds": Part(-12, 0.2),
                "wind": Part(-12, 0.35),
                "squeal": Part(-12, 0.15),
            },
            decay_s=_OPEN,
            wet=(0.05, 0.3),
            level_db=-28,
        ),
    }
)
