"""Sounds that come and go: steps, birds, cars, horns, chimes, brakes, doors, trolleys, music."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from anymic.data.corpora.synthesis.shaping import (
    Samples,
    Traits,
    high_pass,
    low_pass,
    noise_bins,
    periodic,
    place,
    ramp,
    resonance,
    shaped_noise,
    swelling,
    wandering,
    white_noise,
)

# Events keep the level at which they are drawn (a peak near 1 when close): a step that falls
# once in a clip must not be raised to the level of a bed.


def footsteps(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render people walking by: `walkers`, and heels on a ground that sounds at `ground_hz`."""
    length = round(0.12 * rate_hz)
    decay = np.exp(-np.arange(length, dtype=np.float32) / (0.012 * rate_hz))
    thump = np.sin(2 * np.pi * 110 * np.arange(length) / rate_hz) * decay
    canvas = np.zeros(samples, np.float32)
    bins_hz = noise_bins(length, rate_hz)
    for _ in range(max(1, round(traits["walkers"]))):
        ground_hz = traits["ground_hz"] * generator.uniform(0.7, 1.4)
        period_s = generator.uniform(0.42, 0.62)
        nearest_s, width_s = generator.uniform(-1, 5), generator.uniform(1.0, 4.0)
        near = 10 ** (generator.normal(-5, 4) / 20)
        start_s = -generator.uniform(0, period_s)
        while start_s < samples / rate_hz:
            heel = shaped_noise(generator, resonance(bins_hz, ground_hz, 1.2), length)
            step = 0.5 * decay * heel + np.float32(0.5) * thump.astype(np.float32)
            away = 1 + ((start_s - nearest_s) / width_s) ** 2
            place(canvas, step, int(start_s * rate_hz), near * generator.uniform(0.6, 1) / away)
            start_s += period_s * generator.normal(1.0, 0.03)
    return canvas


def birds(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render calls of chirps with a gliding pitch: `calls` a second around `pitch_hz`."""
    canvas = np.zeros(samples, np.float32)
    for _ in range(1 + int(generator.poisson(traits["calls"] * samples / rate_hz))):
        pitch_hz = traits["pitch_hz"] * generator.uniform(0.75, 1.3)
        length = round(generator.uniform(0.04, 0.16) * rate_hz)
        sweep, trill_hz = generator.uniform(-0.35, 0.35), generator.uniform(15, 60)
        time_s = np.arange(length) / rate_hz
        glide = 1 + sweep * (time_s * rate_hz / length - 0.5)
        glide += generator.uniform(0, 0.06) * np.sin(2 * np.pi * trill_hz * time_s)
        phase = np.cumsum(pitch_hz * glide) / rate_hz
        chirp = np.sin(2 * np.pi * phase) * ramp(length, rate_hz, 0.01, 0.03)
        near = 10 ** (generator.normal(-6, 5) / 20)
        start, gap = generator.integers(-length, samples), generator.uniform(1.15, 2.2)
        for repeat in range(generator.integers(1, 9)):
            place(canvas, chirp.astype(np.float32), int(start + repeat * gap * length), near)
    return canvas


def cars(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render cars that pass: louder and brighter when near, the engine's pitch falling by Doppler.

    `cars` in ten seconds, `speed` in m/s, `distance_m` of the road, `tyre_hz`.
    """
    canvas = np.zeros(samples, np.float32)
    bins_hz = noise_bins(samples, rate_hz)
    time_s = np.arange(samples) / rate_hz
    tyre = resonance(bins_hz, traits["tyre_hz"], 0.7) * low_pass(bins_hz, 4000, 1.5)
    body = low_pass(bins_hz, 250, 1.0) * high_pass(bins_hz, 40, 1)
    near_noise = shaped_noise(generator, tyre + 0.1 * high_pass(bins_hz, 3000, 1), samples)
    far_noise = shaped_noise(generator, body + 0.15 * tyre, samples)
    for _ in range(max(1, int(generator.poisson(traits["cars"] * samples / rate_hz / 10)))):
        speed = traits["speed"] * generator.uniform(0.7, 1.3)
        distance_m = traits["distance_m"] * generator.uniform(0.7, 1.5)
        along_m = speed * (time_s - generator.uniform(-1.5, samples / rate_hz + 1.5))
        range_m = np.sqrt(distance_m**2 + along_m**2)
        near = (distance_m / range_m).astype(np.float32)
        doppler = 1 - speed * along_m / range_m / 343.0
        phase = np.cumsum(generator.uniform(35, 80) * doppler) / rate_hz
        hum = periodic(phase, 0.8 ** np.arange(24))
        loud = np.float32(10 ** (generator.normal(-12, 3) / 20))
        canvas += loud * near * (near * near_noise + 0.6 * far_noise + 0.6 * hum)
    return canvas


def horn(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render a car's horn, two notes of many harmonics: `pitch_hz`."""
    canvas = np.zeros(samples, np.float32)
    for _ in range(generator.integers(1, 4)):
        length = round(generator.uniform(0.12, 0.9) * rate_hz)
        phase = np.arange(length, dtype=np.float64) * (traits["pitch_hz"] / rate_hz)
        heights = 0.75 ** np.arange(16)
        blast = periodic(phase, heights) + periodic(1.26 * phase, heights)
        start = generator.integers(-length // 2, samples)
        place(canvas, 0.5 * blast * ramp(length, rate_hz, 0.02, 0.05), int(start))
    return canvas


def chime(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render struck tones, as before an announcement or at doors: `pitch_hz`, `ring_s`."""
    canvas = np.zeros(samples, np.float32)
    length = round(min(1.5, 4 * traits["ring_s"]) * rate_hz)
    time_s = np.arange(length) / rate_hz
    start_s = generator.uniform(-0.3, 0.9 * samples / rate_hz)
    for interval in generator.choice(
        [0.667, 0.75, 0.8, 1.0, 1.25, 1.333], generator.integers(2, 5)
    ):
        tone = np.zeros(length)
        for partial, height in ((1.0, 1.0), (2.0, 0.4), (2.76, 0.25), (5.4, 0.1)):
            pitch_hz = traits["pitch_hz"] * interval * partial
            decay = np.exp(-time_s * partial**0.7 / traits["ring_s"])
            tone += height * decay * np.sin(2 * np.pi * pitch_hz * time_s)
        strike = tone * ramp(length, rate_hz, 0.003, 0.05)
        place(canvas, (0.6 * strike).astype(np.float32), int(start_s * rate_hz))
        start_s += generator.uniform(0.25, 0.5)
    return canvas


def squeal(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render brakes and flanges: a wandering high tone with overtones: `pitch_hz`."""
    length = round(generator.uniform(0.6, 2.5) * rate_hz)
    drift = 0.02 * wandering(generator, length, rate_hz, 8.0).astype(np.float64)
    phase = np.cumsum(traits["pitch_hz"] * (1 + drift)) / rate_hz
    tone = 0.5 * np.sin(2 * np.pi * phase) + 0.2 * np.sin(2 * np.pi * 1.5 * phase)
    rough = swelling(generator, length, rate_hz, 25.0, 4.0)
    canvas = np.zeros(samples, np.float32)
    start = int(generator.integers(-length // 2, max(1, samples - length // 2)))
    place(canvas, (tone * rough * ramp(length, rate_hz, 0.3, 0.4)).astype(np.float32), start)
    return canvas


def door(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render compressed air at a door, then its thud: `hiss_hz`."""
    length = round(generator.uniform(0.3, 1.0) * rate_hz)
    bins_hz = noise_bins(length, rate_hz)
    hiss = shaped_noise(generator, resonance(bins_hz, traits["hiss_hz"], 0.8), length)
    hiss = hiss * np.exp(-np.arange(length, dtype=np.float32) / (0.3 * length))
    canvas = np.zeros(samples, np.float32)
    start = int(generator.integers(-length // 2, samples))
    place(canvas, hiss * ramp(length, rate_hz, 0.02, 0.1), start, 0.3)
    thud = shaped_noise(generator, low_pass(bins_hz, 180, 2), length)
    decay = np.exp(-np.arange(length, dtype=np.float32) / (0.04 * rate_hz))
    place(canvas, thud * decay, start + length, 0.5)
    return canvas


def trolley(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render small wheels over tiles: a rattle at `tiles_hz` that sounds at `body_hz`."""
    bins_hz = noise_bins(samples, rate_hz)
    body = resonance(bins_hz, traits["body_hz"], 0.9) + 0.3 * high_pass(bins_hz, 3000, 1)
    bed = shaped_noise(generator, body, samples)
    speed = 1 + 0.15 * wandering(generator, samples, rate_hz, 1.0).astype(np.float64)
    phase = np.cumsum(traits["tiles_hz"] * speed) / rate_hz % 1.0
    rattle = np.exp(-4 * phase).astype(np.float32)
    middle_s, width_s = generator.uniform(0, 4), generator.uniform(0.8, 2.5)
    away = 1 + ((np.arange(samples) / rate_hz - middle_s) / width_s) ** 2
    return np.asarray(0.35 * bed * rattle / away, np.float32)


def rattle(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render loose panes, shaken at random: `knocks` a second that ring at `pane_hz`."""
    canvas = np.zeros(samples, np.float32)
    length = round(0.05 * rate_hz)
    time_s = np.arange(length) / rate_hz
    ring = np.sin(2 * np.pi * traits["pane_hz"] * time_s) + 0.6 * white_noise(generator, length)
    knock = (ring * np.exp(-time_s / 0.008)).astype(np.float32)
    shaking = swelling(generator, samples, rate_hz, 2.0, 6.0)
    for start in generator.integers(0, samples, int(traits["knocks"] * samples / rate_hz)):
        place(canvas, knock, int(start), 0.2 * shaking[start] * generator.exponential(1.0))
    return canvas


def music(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render chords and a beat from a loudspeaker: `beat_s`, `key_hz`, `bright` (overtones)."""
    canvas = np.zeros(samples, np.float32)
    length = round(2.2 * traits["beat_s"] * rate_hz)
    time = np.arange(length) / rate_hz
    decay = np.exp(-time / (1.2 * traits["beat_s"])) * ramp(length, rate_hz, 0.01, 0.05)
    heights = traits["bright"] ** np.arange(10)
    tick = round(0.03 * rate_hz)
    hat = white_noise(generator, tick) * np.exp(-np.arange(tick) / (0.006 * rate_hz))
    hat = np.diff(hat, prepend=0.0).astype(np.float32)
    start_s = -generator.uniform(0, 2 * traits["beat_s"])
    degree = 0
    while start_s < samples / rate_hz:
        degree = int(generator.choice([0, 5, 7, 9])) if generator.random() < 0.5 else degree
        for step in (0, int(generator.choice([3, 4])), 7):
            pitch_hz = traits["key_hz"] * 2 ** ((degree + step) / 12)
            note = (periodic(time * pitch_hz, heights) * decay).astype(np.float32)
            place(canvas, note, int(start_s * rate_hz), 0.25)
        for half in range(4):
            place(canvas, hat, int((start_s + half * traits["beat_s"] / 2) * rate_hz), 0.15)
        start_s += 2 * traits["beat_s"]
    return canvas
