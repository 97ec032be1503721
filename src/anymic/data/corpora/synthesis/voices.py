"""Speech-like sounds: syllables of pulses and noise through formants, one voice, a crowd."""

from __future__ import annotations

import numpy as np
from scipy import fft

from anymic.data.corpora.synthesis.shaping import Samples, Sound, place, unit_rms

_SYLLABLE_S = 0.2


def syllables(sound: Sound, count: int, *, pitch_hz: float, spread: float) -> Samples:
    """Draw vowels with a consonant before them, (count, sample).

    A train of pulses (the voice) and noise (the consonant) pass through three formants, the
    source-filter model of speech (Fant 1960). The pitch has a standard deviation of `spread`
    octaves from syllable to syllable.
    """
    generator, syllable = sound.generator, sound.lasting(_SYLLABLE_S)
    time = np.arange(syllable.samples) / syllable.samples
    pitch = pitch_hz * 2 ** (spread * generator.standard_normal((count, 1)))
    glide = 1 + generator.uniform(-0.2, 0.1, (count, 1)) * time
    phase = np.cumsum(pitch * glide, axis=1) / sound.rate_hz
    pulses = np.diff(np.floor(phase), axis=1, prepend=0.0).astype(np.float32)
    breath = generator.standard_normal((count, syllable.samples), dtype=np.float32)

    formants = np.zeros((count, len(syllable.bins_hz)), np.float32)
    for low_hz, high_hz, gain in ((300, 800, 1.0), (900, 2200, 0.5), (2300, 3200, 0.25)):
        centres = generator.uniform(low_hz, high_hz, count)
        for row, centre_hz in enumerate(centres):
            formants[row] += gain * syllable.resonance(centre_hz, centre_hz / 110)
    voiced = syllable.filtered(
        pulses, formants, syllable.low_pass(3800, 2) * syllable.high_pass(120)
    )
    hiss = syllable.resonance(generator.uniform(2500, 6000), 1.5)
    unvoiced = fft.irfft(fft.rfft(breath, syllable.transform) * hiss, syllable.transform)

    share = generator.uniform(0.05, 0.3, (count, 1))
    opening = np.clip((time - share) / 0.08, 0, 1) * np.clip((1 - time) / 0.35, 0, 1)
    closing = np.clip(time / 0.03, 0, 1) * np.clip((share - time) / 0.05, 0, 1)
    voiced /= np.sqrt(np.mean(voiced**2, axis=1, keepdims=True)) + 1e-9
    unvoiced = unvoiced[:, : syllable.samples] / np.sqrt(np.mean(unvoiced**2))
    loud = generator.uniform(0.05, 0.4, (count, 1))
    return np.asarray(voiced * opening + loud * unvoiced * closing, np.float32)


def babble(sound: Sound, *, voices: float, pitch_hz: float, far_hz: float) -> Samples:
    """Render many voices at once, dulled by distance above `far_hz`."""
    generator, canvas = sound.generator, np.zeros(sound.samples, np.float32)
    sounds = syllables(sound, 24, pitch_hz=pitch_hz, spread=0.35)
    for _ in range(max(1, round(voices))):
        near = 10 ** (generator.normal(-6, 5) / 20)
        gaps_s = generator.gamma(3.0, 0.08, size=max(2, int(sound.duration_s * 4))) + 0.03
        gaps_s[generator.random(len(gaps_s)) < 0.12] += generator.uniform(0.4, 1.5)
        starts = (np.cumsum(gaps_s) - generator.uniform(0, 1)) * sound.rate_hz
        for start in starts[starts < sound.samples].astype(int):
            place(canvas, sounds[generator.integers(len(sounds))], int(start), near)
    return unit_rms(sound.filtered(canvas, sound.low_pass(far_hz, 1)))


def announcement(sound: Sound, *, pitch_hz: float, low_hz: float, high_hz: float) -> Samples:
    """Render one voice through a loudspeaker that has a band of `low_hz` to `high_hz`."""
    generator, canvas = sound.generator, np.zeros(sound.samples, np.float32)
    sounds = syllables(sound, 14, pitch_hz=pitch_hz, spread=0.12)
    start_s = generator.uniform(-2.0, 0.5 * sound.samples / sound.rate_hz)
    end_s = start_s + generator.uniform(2.0, 5.0)
    while start_s < min(end_s, sound.duration_s):
        loud = generator.uniform(0.6, 1.0)
        place(canvas, sounds[generator.integers(len(sounds))], int(start_s * sound.rate_hz), loud)
        start_s += generator.uniform(0.15, 0.24) + 0.35 * float(generator.random() < 0.1)
    band = sound.high_pass(low_hz, 2) * sound.low_pass(high_hz, 3)
    return unit_rms(sound.filtered(canvas, band) * sound.swelling(1.0, 1.0))
