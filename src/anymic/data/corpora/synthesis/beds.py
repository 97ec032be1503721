"""Continuous sounds: traffic far away, ventilation, engines, rails, wind, water."""

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
    unit_rms,
    wandering,
)


def traffic(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render traffic far away, low noise: `corner_hz`, `tyre` (the share of tyre noise)."""
    bins_hz = noise_bins(samples, rate_hz)
    low = low_pass(bins_hz, traits["corner_hz"], 1.3) * high_pass(bins_hz, 25, 2)
    tyre = traits["tyre"] * resonance(bins_hz, 900, 0.8) * low_pass(bins_hz, 2500, 1)
    bed = shaped_noise(generator, low + tyre, samples)
    return unit_rms(bed * swelling(generator, samples, rate_hz, 0.5, 2.0))


def ventilation(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render air in ducts: `corner_hz`, `duct_hz`, `quality`; its fan: `blade_hz`, `blade`."""
    bins_hz = noise_bins(samples, rate_hz)
    air = low_pass(bins_hz, traits["corner_hz"], 0.9) * high_pass(bins_hz, 35, 1)
    duct = air + 0.7 * resonance(bins_hz, traits["duct_hz"], traits["quality"])
    bed = shaped_noise(generator, duct * low_pass(bins_hz, 6000, 2), samples)
    phase = np.arange(samples, dtype=np.float64) * (traits["blade_hz"] / rate_hz)
    return unit_rms(bed + np.float32(traits["blade"]) * periodic(phase, [1.0, 0.5, 0.3, 0.1]))


def engine(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render an engine under changing load: `firing_hz`, `harmonics_db` an octave, `rough`."""
    turns = 2 ** (0.25 * wandering(generator, samples, rate_hz, 0.5).astype(np.float64))
    phase = np.cumsum(traits["firing_hz"] / 2 * turns) / rate_hz
    order = np.arange(1, 41)
    heights = 10 ** (-traits["harmonics_db"] * np.log2(order) / 20)
    heights *= np.where(order % 2 == 0, 1.0, 0.35) * generator.uniform(0.4, 1.0, len(order))
    load = swelling(generator, samples, rate_hz, 0.7, 3.0)
    bins_hz = noise_bins(samples, rate_hz)
    cabin = low_pass(bins_hz, 300, 1.2) + 0.3 * resonance(bins_hz, traits["cabin_hz"], 3)
    noise = shaped_noise(generator, cabin, samples)
    tone = unit_rms(periodic(phase, heights))
    return unit_rms(load * (tone + np.float32(traits["rough"]) * noise))


def motor(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render the whine of an electric drive: `whine_hz`, `glide` (octaves of change)."""
    speed = traits["glide"] * wandering(generator, samples, rate_hz, 0.3).astype(np.float64)
    slope = generator.choice([-1.0, 0.0, 1.0]) * traits["glide"] * np.linspace(-0.5, 0.5, samples)
    phase = np.cumsum(traits["whine_hz"] * 2 ** (0.3 * speed + slope)) / rate_hz
    whine = periodic(phase, [1.0, 0.5, 0.12, 0.25, 0.05])
    gears = periodic(phase * 1.37, [0.5, 0.2])
    return unit_rms((whine + gears) * swelling(generator, samples, rate_hz, 1.0, 3.0))


def rail(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render wheels on rails: `rumble_hz`, `roar_hz`, `roar`; joints: `joint_s`, `click`."""
    bins_hz = noise_bins(samples, rate_hz)
    rumble = low_pass(bins_hz, traits["rumble_hz"], 1.4) * high_pass(bins_hz, 30, 1)
    roar = traits["roar"] * resonance(bins_hz, traits["roar_hz"], 1.2)
    bed = shaped_noise(generator, rumble + roar, samples)
    bed = bed * swelling(generator, samples, rate_hz, 1.5, 2.5)
    length = round(0.09 * rate_hz)
    time_s = np.arange(length) / rate_hz
    click = generator.standard_normal(length) * np.exp(-time_s / 0.012)
    body = 1.5 * np.sin(2 * np.pi * 140 * time_s) * np.exp(-time_s / 0.03)
    knock = np.convolve(click + body, np.hanning(7) / 3, "same").astype(np.float32)
    start_s = -generator.uniform(0, traits["joint_s"])
    while start_s < samples / rate_hz:
        for offset_s in (0.0, 0.17 * traits["joint_s"]):
            loud = traits["click"] * generator.uniform(0.5, 1.2)
            place(bed, knock, int((start_s + offset_s) * rate_hz), loud)
        start_s += traits["joint_s"] * generator.uniform(0.95, 1.05)
    return unit_rms(bed)


def passing_train(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render the same wheels from a platform, as the train arrives and leaves."""
    middle_s, width_s = generator.uniform(-1.0, 5.0), generator.uniform(1.0, 4.0)
    time_s = np.arange(samples, dtype=np.float32) / rate_hz
    nearness = 1 / (1 + ((time_s - np.float32(middle_s)) / np.float32(width_s)) ** 2)
    return np.asarray(nearness * rail(traits, generator, samples, rate_hz), np.float32)


def wind(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render gusts at the microphone: `gusts_hz`, `corner_hz`; and in `leaves` (their share)."""
    bins_hz = noise_bins(samples, rate_hz)
    low = shaped_noise(generator, low_pass(bins_hz, traits["corner_hz"], 1.6), samples)
    crowns = resonance(bins_hz, 3200, 0.6) * high_pass(bins_hz, 600, 1)
    leaves = shaped_noise(generator, crowns, samples)
    gust = swelling(generator, samples, rate_hz, traits["gusts_hz"], 5.0)
    return unit_rms(low * gust + np.float32(traits["leaves"]) * leaves * np.sqrt(gust))


def water(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render a fountain: broad hiss around `hiss_hz` and the ringing of `bubbles` a second."""
    bins_hz = noise_bins(samples, rate_hz)
    spray = resonance(bins_hz, traits["hiss_hz"], 0.5) * high_pass(bins_hz, 300, 1)
    bed = 0.5 * shaped_noise(generator, spray, samples)
    length = round(0.04 * rate_hz)
    time_s = np.arange(length) / rate_hz
    bubbles = [
        np.sin(2 * np.pi * pitch_hz * (1 + 3 * time_s) * time_s) * np.exp(-time_s / 0.009)
        for pitch_hz in generator.uniform(400, 2600, 8)
    ]
    shapes = np.asarray(bubbles, np.float32) * ramp(length, rate_hz, 0.002, 0.005)
    count = int(generator.poisson(traits["bubbles"] * samples / rate_hz))
    for start in generator.integers(-length, samples, count):
        loud = generator.exponential(0.7)
        place(bed, shapes[generator.integers(len(shapes))], int(start), loud)
    return unit_rms(bed)
