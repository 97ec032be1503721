"""Sounds that come and go: steps, birds, cars, horns, chimes, brakes, doors, trolleys, music."""

from __future__ import annotations

import numpy as np

from anymic.data.corpora.synthesis.shaping import Samples, Sound, periodic, place

# Events keep the level at which they are drawn (a peak near 1 when close): a step that falls
# once in a clip must not be raised to the level of a bed.


def footsteps(sound: Sound, *, walkers: float, ground_hz: float) -> Samples:
    """Render people walking by, with heels on a ground that sounds at `ground_hz`."""
    generator, canvas = sound.generator, np.zeros(sound.samples, np.float32)
    step = sound.lasting(0.12)
    decay = step.decay(0.012 * sound.rate_hz)
    thump = np.sin(2 * np.pi * 110 * np.arange(step.samples) / sound.rate_hz) * decay
    for _ in range(max(1, round(walkers))):
        own_hz = ground_hz * generator.uniform(0.7, 1.4)
        period_s = generator.uniform(0.42, 0.62)
        nearest_s, width_s = generator.uniform(-1, 5), generator.uniform(1.0, 4.0)
        near = 10 ** (generator.normal(-5, 4) / 20)
        start_s = -generator.uniform(0, period_s)
        while start_s < sound.duration_s:
            heel = step.noise(step.resonance(own_hz, 1.2))
            piece = 0.5 * decay * heel + np.float32(0.5) * thump.astype(np.float32)
            away = 1 + ((start_s - nearest_s) / width_s) ** 2
            loud = near * generator.uniform(0.6, 1) / away
            place(canvas, piece, int(start_s * sound.rate_hz), loud)
            start_s += period_s * generator.normal(1.0, 0.03)
    return canvas


def birds(sound: Sound, *, calls: float, pitch_hz: float) -> Samples:
    """Render calls of chirps with a gliding pitch: `calls` a second around `pitch_hz`."""
    generator, canvas = sound.generator, np.zeros(sound.samples, np.float32)
    for _ in range(1 + int(generator.poisson(calls * sound.samples / sound.rate_hz))):
        middle_hz = pitch_hz * generator.uniform(0.75, 1.3)
        call = sound.lasting(generator.uniform(0.04, 0.16))
        sweep, trill_hz = generator.uniform(-0.35, 0.35), generator.uniform(15, 60)
        glide = 1 + sweep * (call.time_s * call.rate_hz / call.samples - 0.5)
        glide += generator.uniform(0, 0.06) * np.sin(2 * np.pi * trill_hz * call.time_s)
        phase = np.cumsum(middle_hz * glide) / call.rate_hz
        chirp = (np.sin(2 * np.pi * phase) * call.ramp(0.01, 0.03)).astype(np.float32)
        near = 10 ** (generator.normal(-6, 5) / 20)
        start = generator.integers(-call.samples, sound.samples)
        gap = generator.uniform(1.15, 2.2)
        for repeat in range(generator.integers(1, 9)):
            place(canvas, chirp, int(start + repeat * gap * call.samples), near)
    return canvas


def cars(sound: Sound, *, cars: float, speed: float, distance_m: float, tyre_hz: float) -> Samples:
    """Render cars that pass: louder and brighter when near, the engine's pitch falling by Doppler.

    `cars` in ten seconds, `speed` in m/s, `distance_m` of the road.
    """
    generator, canvas = sound.generator, np.zeros(sound.samples, np.float32)
    tyre = sound.resonance(tyre_hz, 0.7) * sound.low_pass(4000, 1.5)
    body = sound.low_pass(250, 1.0) * sound.high_pass(40, 1)
    near_noise = sound.noise(tyre + 0.1 * sound.high_pass(3000, 1))
    far_noise = sound.noise(body + 0.15 * tyre)
    for _ in range(max(1, int(generator.poisson(cars * sound.samples / sound.rate_hz / 10)))):
        own_speed = speed * generator.uniform(0.7, 1.3)
        own_distance_m = distance_m * generator.uniform(0.7, 1.5)
        passes_s = generator.uniform(-1.5, sound.duration_s + 1.5)
        along_m = own_speed * (sound.time_s - passes_s)
        range_m = np.sqrt(own_distance_m**2 + along_m**2)
        near = (own_distance_m / range_m).astype(np.float32)
        doppler = 1 - own_speed * along_m / range_m / 343.0
        phase = np.cumsum(generator.uniform(35, 80) * doppler) / sound.rate_hz
        hum = periodic(phase, 0.8 ** np.arange(24))
        loud = np.float32(10 ** (generator.normal(-12, 3) / 20))
        canvas += loud * near * (near * near_noise + 0.6 * far_noise + 0.6 * hum)
    return canvas


def horn(sound: Sound, *, pitch_hz: float) -> Samples:
    """Render a car's horn, two notes of many harmonics."""
    canvas = np.zeros(sound.samples, np.float32)
    for _ in range(sound.generator.integers(1, 4)):
        note = sound.lasting(sound.generator.uniform(0.12, 0.9))
        phase = np.arange(note.samples, dtype=np.float64) * (pitch_hz / note.rate_hz)
        heights = 0.75 ** np.arange(16)
        blast = periodic(phase, heights) + periodic(1.26 * phase, heights)
        start = sound.generator.integers(-note.samples // 2, sound.samples)
        place(canvas, 0.5 * blast * note.ramp(0.02, 0.05), int(start))
    return canvas


def chime(sound: Sound, *, pitch_hz: float, ring_s: float) -> Samples:
    """Render struck tones, as before an announcement or at doors."""
    generator, canvas = sound.generator, np.zeros(sound.samples, np.float32)
    note = sound.lasting(min(1.5, 4 * ring_s))
    start_s = generator.uniform(-0.3, 0.9 * sound.samples / sound.rate_hz)
    intervals = [0.667, 0.75, 0.8, 1.0, 1.25, 1.333]
    for interval in generator.choice(intervals, generator.integers(2, 5)):
        tone = np.zeros(note.samples)
        for partial, height in ((1.0, 1.0), (2.0, 0.4), (2.76, 0.25), (5.4, 0.1)):
            partial_hz = pitch_hz * interval * partial
            decay = np.exp(-note.time_s * partial**0.7 / ring_s)
            tone += height * decay * np.sin(2 * np.pi * partial_hz * note.time_s)
        strike = (0.6 * (tone * note.ramp(0.003, 0.05))).astype(np.float32)
        place(canvas, strike, int(start_s * sound.rate_hz))
        start_s += generator.uniform(0.25, 0.5)
    return canvas


def squeal(sound: Sound, *, pitch_hz: float) -> Samples:
    """Render brakes and flanges: a wandering high tone with overtones."""
    cry = sound.lasting(sound.generator.uniform(0.6, 2.5))
    drift = 0.02 * cry.wandering(8.0).astype(np.float64)
    phase = np.cumsum(pitch_hz * (1 + drift)) / cry.rate_hz
    tone = 0.5 * np.sin(2 * np.pi * phase) + 0.2 * np.sin(2 * np.pi * 1.5 * phase)
    rough = cry.swelling(25.0, 4.0)
    half = cry.samples // 2
    start = sound.generator.integers(-cry.samples // 2, max(1, sound.samples - half))
    canvas = np.zeros(sound.samples, np.float32)
    place(canvas, (tone * rough * cry.ramp(0.3, 0.4)).astype(np.float32), int(start))
    return canvas


def door(sound: Sound, *, hiss_hz: float) -> Samples:
    """Render compressed air at a door, then its thud."""
    canvas = np.zeros(sound.samples, np.float32)
    part = sound.lasting(sound.generator.uniform(0.3, 1.0))
    hiss = part.noise(part.resonance(hiss_hz, 0.8)) * part.decay(0.3 * part.samples)
    start = int(sound.generator.integers(-part.samples // 2, sound.samples))
    place(canvas, hiss * part.ramp(0.02, 0.1), start, 0.3)
    thud = part.noise(part.low_pass(180, 2)) * part.decay(0.04 * part.rate_hz)
    place(canvas, thud, start + part.samples, 0.5)
    return canvas


def trolley(sound: Sound, *, tiles_hz: float, body_hz: float) -> Samples:
    """Render small wheels over tiles: a rattle at `tiles_hz` that sounds at `body_hz`."""
    body = sound.resonance(body_hz, 0.9) + 0.3 * sound.high_pass(3000, 1)
    bed = sound.noise(body)
    speed = 1 + 0.15 * sound.wandering(1.0).astype(np.float64)
    phase = np.cumsum(tiles_hz * speed) / sound.rate_hz % 1.0
    knocks = np.exp(-4 * phase).astype(np.float32)
    middle_s, width_s = sound.generator.uniform(0, 4), sound.generator.uniform(0.8, 2.5)
    away = 1 + ((sound.time_s - middle_s) / width_s) ** 2
    return np.asarray(0.35 * bed * knocks / away, np.float32)


def rattle(sound: Sound, *, knocks: float, pane_hz: float) -> Samples:
    """Render loose panes, shaken at random: `knocks` a second that ring at `pane_hz`."""
    generator, canvas = sound.generator, np.zeros(sound.samples, np.float32)
    pane = sound.lasting(0.05)
    ring = np.sin(2 * np.pi * pane_hz * pane.time_s) + 0.6 * generator.standard_normal(
        pane.samples, dtype=np.float32
    )
    knock = (ring * np.exp(-pane.time_s / 0.008)).astype(np.float32)
    shaking = sound.swelling(2.0, 6.0)
    count = int(knocks * sound.samples / sound.rate_hz)
    for start in generator.integers(0, sound.samples, count):
        place(canvas, knock, int(start), 0.2 * shaking[start] * generator.exponential(1.0))
    return canvas


def music(sound: Sound, *, beat_s: float, key_hz: float, bright: float) -> Samples:
    """Render chords and a beat from a loudspeaker; `bright` is the strength of its overtones."""
    generator, canvas = sound.generator, np.zeros(sound.samples, np.float32)
    chord = sound.lasting(2.2 * beat_s)
    decay = np.exp(-chord.time_s / (1.2 * beat_s)) * chord.ramp(0.01, 0.05)
    heights = bright ** np.arange(10)
    tick = sound.lasting(0.03).samples
    hat = generator.standard_normal(tick, dtype=np.float32) * np.exp(
        -np.arange(tick) / (0.006 * sound.rate_hz)
    )
    hat = np.diff(hat, prepend=0.0).astype(np.float32)
    start_s = -generator.uniform(0, 2 * beat_s)
    degree = 0
    while start_s < sound.duration_s:
        degree = int(generator.choice([0, 5, 7, 9])) if generator.random() < 0.5 else degree
        for step in (0, int(generator.choice([3, 4])), 7):
            pitch_hz = key_hz * 2 ** ((degree + step) / 12)
            note = (periodic(chord.time_s * pitch_hz, heights) * decay).astype(np.float32)
            place(canvas, note, int(start_s * sound.rate_hz), 0.25)
        for half in range(4):
            place(canvas, hat, int((start_s + half * beat_s / 2) * sound.rate_hz), 0.15)
        start_s += 2 * beat_s
    return canvas
