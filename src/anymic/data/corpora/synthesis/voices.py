"""Speech-like sounds: syllables of pulses and noise through formants, one voice, a crowd."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy import fft

from anymic.data.corpora.synthesis.shaping import (
    Samples,
    Traits,
    filtered,
    high_pass,
    low_pass,
    noise_bins,
    noise_length,
    place,
    resonance,
    swelling,
    unit_rms,
)

_SYLLABLE_S = 0.2


def syllables(
    generator: Generator, count: int, rate_hz: int, pitch_hz: float, spread: float
) -> Samples:
    """Draw vowels with a consonant before them, (count, sample).

    A train of pulses (the voice) and noise (the consonant) pass through three formants, the
    source-filter model of speech (Fant 1960).

    Parameters
    ----------
    pitch_hz : float
        The middle pitch.
    spread : float
        Standard deviation of the pitch from syllable to syllable, in octaves.
    """
    samples = round(_SYLLABLE_S * rate_hz)
    time = np.arange(samples) / samples
    pitch = pitch_hz * 2 ** (spread * generator.standard_normal((count, 1)))
    glide = 1 + generator.uniform(-0.2, 0.1, (count, 1)) * time
    phase = np.cumsum(pitch * glide, axis=1) / rate_hz
    pulses = np.diff(np.floor(phase), axis=1, prepend=0.0).astype(np.float32)
    breath = generator.standard_normal((count, samples), dtype=np.float32)

    bins_hz = noise_bins(samples, rate_hz)
    formants = np.zeros((count, len(bins_hz)), np.float32)
    for low_hz, high_hz, gain in ((300, 800, 1.0), (900, 2200, 0.5), (2300, 3200, 0.25)):
        centres = generator.uniform(low_hz, high_hz, count)
        for row, centre_hz in enumerate(centres):
            formants[row] += gain * resonance(bins_hz, centre_hz, centre_hz / 110)
    voiced = filtered(pulses, formants, low_pass(bins_hz, 3800, 2) * high_pass(bins_hz, 120))
    hiss_hz = generator.uniform(2500, 6000)
    length = noise_length(samples)
    unvoiced = fft.irfft(fft.rfft(breath, length) * resonance(bins_hz, hiss_hz, 1.5), length)

    share = generator.uniform(0.05, 0.3, (count, 1))
    opening = np.clip((time - share) / 0.08, 0, 1) * np.clip((1 - time) / 0.35, 0, 1)
    closing = np.clip(time / 0.03, 0, 1) * np.clip((share - time) / 0.05, 0, 1)
    voiced /= np.sqrt(np.mean(voiced**2, axis=1, keepdims=True)) + 1e-9
    unvoiced = unvoiced[:, :samples] / np.sqrt(np.mean(unvoiced**2))
    loud = generator.uniform(0.05, 0.4, (count, 1))
    return np.asarray(voiced * opening + loud * unvoiced * closing, np.float32)


def babble(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render many voices at once: `voices`, `pitch_hz`, `far_hz` (dulled by distance)."""
    sounds = syllables(generator, 24, rate_hz, traits["pitch_hz"], 0.35)
    canvas = np.zeros(samples, np.float32)
    duration_s = samples / rate_hz
    for _ in range(max(1, round(traits["voices"]))):
        near = 10 ** (generator.normal(-6, 5) / 20)
        gaps_s = generator.gamma(3.0, 0.08, size=max(2, int(duration_s * 4))) + 0.03
        gaps_s[generator.random(len(gaps_s)) < 0.12] += generator.uniform(0.4, 1.5)
        starts = (np.cumsum(gaps_s) - generator.uniform(0, 1)) * rate_hz
        for start in starts[starts < samples].astype(int):
            place(canvas, sounds[generator.integers(len(sounds))], int(start), near)
    return unit_rms(filtered(canvas, low_pass(noise_bins(samples, rate_hz), traits["far_hz"], 1)))


def announcement(traits: Traits, generator: Generator, samples: int, rate_hz: int) -> Samples:
    """Render one voice through a loudspeaker: `pitch_hz`, `low_hz` and `high_hz` (its band)."""
    sounds = syllables(generator, 14, rate_hz, traits["pitch_hz"], 0.12)
    canvas = np.zeros(samples, np.float32)
    start_s = generator.uniform(-2.0, 0.5 * samples / rate_hz)
    end_s = start_s + generator.uniform(2.0, 5.0)
    while start_s < min(end_s, samples / rate_hz):
        loud = generator.uniform(0.6, 1.0)
        place(canvas, sounds[generator.integers(len(sounds))], int(start_s * rate_hz), loud)
        start_s += generator.uniform(0.15, 0.24) + 0.35 * float(generator.random() < 0.1)
    bins_hz = noise_bins(samples, rate_hz)
    band = high_pass(bins_hz, traits["low_hz"], 2) * low_pass(bins_hz, traits["high_hz"], 3)
    return unit_rms(filtered(canvas, band) * swelling(generator, samples, rate_hz, 1.0, 1.0))
