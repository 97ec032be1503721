"""Continuous sounds: traffic far away, ventilation, engines, rails, wind, water."""

from __future__ import annotations

import numpy as np

from anymic.data.corpora.synthesis.shaping import Samples, Sound, periodic, place, unit_rms


def traffic(sound: Sound, *, corner_hz: float, tyre: float) -> Samples:
    """Render traffic far away, low noise; `tyre` is the share of tyre noise."""
    low = sound.low_pass(corner_hz, 1.3) * sound.high_pass(25, 2)
    tyres = tyre * sound.resonance(900, 0.8) * sound.low_pass(2500, 1)
    return unit_rms(sound.noise(low + tyres) * sound.swelling(0.5, 2.0))


def ventilation(
    sound: Sound, *, corner_hz: float, duct_hz: float, quality: float, blade_hz: float, blade: float
) -> Samples:
    """Render air in ducts (`corner_hz`, `duct_hz`, `quality`) and its fan (`blade_hz`, `blade`)."""
    air = sound.low_pass(corner_hz, 0.9) * sound.high_pass(35, 1)
    duct = air + 0.7 * sound.resonance(duct_hz, quality)
    bed = sound.noise(duct * sound.low_pass(6000, 2))
    phase = np.arange(sound.samples, dtype=np.float64) * (blade_hz / sound.rate_hz)
    return unit_rms(bed + np.float32(blade) * periodic(phase, [1.0, 0.5, 0.3, 0.1]))


def engine(
    sound: Sound, *, firing_hz: float, harmonics_db: float, rough: float, cabin_hz: float
) -> Samples:
    """Render an engine under changing load; its harmonics fall by `harmonics_db` an octave."""
    turns = 2 ** (0.25 * sound.wandering(0.5).astype(np.float64))
    phase = np.cumsum(firing_hz / 2 * turns) / sound.rate_hz
    order = np.arange(1, 41)
    heights = 10 ** (-harmonics_db * np.log2(order) / 20)
    heights *= np.where(order % 2 == 0, 1.0, 0.35) * sound.generator.uniform(0.4, 1.0, len(order))
    load = sound.swelling(0.7, 3.0)
    cabin = sound.low_pass(300, 1.2) + 0.3 * sound.resonance(cabin_hz, 3)
    noise = sound.noise(cabin)
    tone = unit_rms(periodic(phase, heights))
    return unit_rms(load * (tone + np.float32(rough) * noise))


def motor(sound: Sound, *, whine_hz: float, glide: float) -> Samples:
    """Render the whine of an electric drive, whose pitch changes by `glide` octaves."""
    speed = glide * sound.wandering(0.3).astype(np.float64)
    way = sound.generator.choice([-1.0, 0.0, 1.0])
    slope = way * glide * np.linspace(-0.5, 0.5, sound.samples)
    phase = np.cumsum(whine_hz * 2 ** (0.3 * speed + slope)) / sound.rate_hz
    whine = periodic(phase, [1.0, 0.5, 0.12, 0.25, 0.05])
    gears = periodic(phase * 1.37, [0.5, 0.2])
    return unit_rms((whine + gears) * sound.swelling(1.0, 3.0))


def rail(
    sound: Sound, *, rumble_hz: float, roar_hz: float, roar: float, joint_s: float, click: float
) -> Samples:
    """Render wheels on rails that `click` at joints, every `joint_s`."""
    rumble = sound.low_pass(rumble_hz, 1.4) * sound.high_pass(30, 1)
    bed = sound.noise(rumble + roar * sound.resonance(roar_hz, 1.2))
    bed = bed * sound.swelling(1.5, 2.5)
    joint = sound.lasting(0.09)
    snap = sound.generator.standard_normal(joint.samples) * np.exp(-joint.time_s / 0.012)
    body = 1.5 * np.sin(2 * np.pi * 140 * joint.time_s) * np.exp(-joint.time_s / 0.03)
    knock = np.convolve(snap + body, np.hanning(7) / 3, "same").astype(np.float32)
    start_s = -sound.generator.uniform(0, joint_s)
    while start_s < sound.duration_s:
        for offset_s in (0.0, 0.17 * joint_s):
            loud = click * sound.generator.uniform(0.5, 1.2)
            place(bed, knock, int((start_s + offset_s) * sound.rate_hz), loud)
        start_s += joint_s * sound.generator.uniform(0.95, 1.05)
    return unit_rms(bed)


def passing_train(sound: Sound, **traits: float) -> Samples:
    """Render the same wheels (see `rail`) from a platform, as the train arrives and leaves."""
    middle_s, width_s = sound.generator.uniform(-1.0, 5.0), sound.generator.uniform(1.0, 4.0)
    time_s = np.arange(sound.samples, dtype=np.float32) / sound.rate_hz
    nearness = 1 / (1 + ((time_s - np.float32(middle_s)) / np.float32(width_s)) ** 2)
    return np.asarray(nearness * rail(sound, **traits), np.float32)


def wind(sound: Sound, *, gusts_hz: float, corner_hz: float, leaves: float) -> Samples:
    """Render gusts at the microphone and in trees; `leaves` is the share of these."""
    low = sound.noise(sound.low_pass(corner_hz, 1.6))
    crowns = sound.noise(sound.resonance(3200, 0.6) * sound.high_pass(600, 1))
    gust = sound.swelling(gusts_hz, 5.0)
    return unit_rms(low * gust + np.float32(leaves) * crowns * np.sqrt(gust))


def water(sound: Sound, *, hiss_hz: float, bubbles: float) -> Samples:
    """Render a fountain: broad hiss around `hiss_hz` and the ringing of `bubbles` a second."""
    spray = sound.resonance(hiss_hz, 0.5) * sound.high_pass(300, 1)
    bed = 0.5 * sound.noise(spray)
    drop = sound.lasting(0.04)
    time_s = drop.time_s
    rings = [
        np.sin(2 * np.pi * pitch_hz * (1 + 3 * time_s) * time_s) * np.exp(-time_s / 0.009)
        for pitch_hz in sound.generator.uniform(400, 2600, 8)
    ]
    shapes = np.asarray(rings, np.float32) * drop.ramp(0.002, 0.005)
    count = int(sound.generator.poisson(bubbles * sound.samples / sound.rate_hz))
    for start in sound.generator.integers(-drop.samples, sound.samples, count):
        loud = sound.generator.exponential(0.7)
        place(bed, shapes[sound.generator.integers(len(shapes))], int(start), loud)
    return unit_rms(bed)
