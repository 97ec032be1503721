"""How a place answers: exponentially decaying noise, as in Moorer (1979)."""

from __future__ import annotations

import numpy as np
from scipy import fft

from anymic.data.corpora.synthesis.shaping import Samples, frequencies, low_pass


def reverberate(
    dry: Samples,
    generator: np.random.Generator,
    rate_hz: int,
    *,
    decay_s: float,
    wet: float,
    damping_hz: float,
) -> Samples:
    """Return `dry` with the answer of a room, of the same length.

    Parameters
    ----------
    dry : (sample,) float32
    decay_s : float
        Time to fall by 60 dB.
    wet : float
        Root of the energy of the answer over the energy of the direct sound.
    damping_hz : float
        Corner above which the answer is dull.
    """
    tail = min(len(dry), round(min(decay_s, 1.6) * rate_hz))
    time_s = np.arange(tail, dtype=np.float32) / rate_hz
    impulse = generator.standard_normal(tail, dtype=np.float32)
    impulse *= np.exp(-6.9 * time_s / decay_s) * (time_s > 0.004)
    impulse *= wet / (np.sqrt(np.sum(impulse**2)) + 1e-9)
    length = int(fft.next_fast_len(len(dry) + tail, real=True))
    answer = fft.rfft(impulse, length) * low_pass(frequencies(length, rate_hz), damping_hz)
    return np.asarray(fft.irfft(fft.rfft(dry, length) * (1 + answer), length)[: len(dry)])
