"""Real sound is aligned after decoding, and as loud: every codec, on every class of ESC-10.

A coder at a low bitrate puts noise, or a copy of a lower band, in the place of some bands: there
the waves match nowhere. Where the sound has no sharp autocorrelation (fire, sea), the peak of the
plain cross-correlation strays with these bands: on HE-AAC at 16 kbps by 2.3 samples on one of forty
recordings, which this one finds within half a sample. Each frequency is weighed by how coherent the
two sounds are at it, as the maximum-likelihood estimator of a delay does (C. Knapp, G. Carter, *The
generalized correlation method for estimation of time delay*, 1976: Hannan-Thomson). Ten recordings
are joined into one, because the delay is that of the codec, and some recordings alone are too flat.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from anymic import audio
from anymic.audio import Clip
from anymic.codecs import CODECS, Codec, table

ALL = [
    Codec(name, kbps=kbps) for name in CODECS if name != "speex" for kbps in CODECS.get(name).kbps
]
HIGHEST = [codec for codec in ALL if codec.kbps == codec.spec.kbps[-1]]
# Coders of speech begin with a high-pass filter, which turns the phase below some 700 Hz.
SPEECH = {"amr-nb", "amr-wb", "gsm", "opus-voice", "opus-narrowband"}
SPEECH |= {"opus-mediumband", "opus-wideband", "opus-superwideband"}
Samples = NDArray[np.floating]
RATE_HZ = 44100
SIZE = 2048  # of the frames that are compared
SEARCHED = 64  # samples to either side
COHERENT = 0.5

# AMR's two high-pass filters, 80 Hz in the encoder and 60 Hz in the decoder: 3GPP TS 26.090.
AMR_FILTERS = (
    ((0.92727435, -1.8544941, 0.92727435), (1.0, -1.9059465, 0.9114024)),
    ((0.939819335, -1.879638672, 0.939819335), (1.0, -1.933195469, 0.935913085)),
)


def available(codec: Codec) -> Codec:
    """Skip a test where the codec cannot be encoded."""
    reason, remedy = table.problem(codec.spec)
    if reason:
        pytest.skip(f"{codec.name}: {reason}; {remedy}")
    return codec


def spectra(samples: Samples) -> NDArray[np.complex128]:
    """Return the spectra of Welch's method (frame, bin): Hann windows that overlap by half."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, SIZE)[:: SIZE // 2]
    frames = frames - frames.mean(axis=1, keepdims=True)
    return np.fft.rfft(frames * signal.get_window("hann", SIZE))


def lag(early: Samples, late: Samples, low_hz: float = 0) -> float:
    """Return how late a sound is, in samples to 1/16 of one, by its coherent frequencies."""
    fine, hz = 16, np.fft.rfftfreq(SIZE, 1 / RATE_HZ)
    own, other = spectra(early), spectra(late)
    cross = np.mean(own.conj() * other, axis=0)
    powers = np.mean(np.abs(own) ** 2, axis=0) * np.mean(np.abs(other) ** 2, axis=0)
    coherence = np.minimum(np.abs(cross) ** 2 / np.maximum(powers, 1e-30), 1 - 1e-6)
    weight = coherence / (1 - coherence) / np.maximum(np.abs(cross), 1e-30)
    weight[(coherence < COHERENT) | (hz < low_hz)] = 0
    assert weight.any()
    correlation = np.fft.irfft(cross * weight, SIZE * fine)
    lags = np.arange(-SEARCHED * fine, SEARCHED * fine + 1)
    return float(lags[np.argmax(correlation[lags])]) / fine


def level_db(before: Samples, after: Samples) -> float:
    """Return how much louder a sound has become from 500 to 2000 Hz, in dB."""
    hz, own = signal.welch(before, RATE_HZ, nperseg=4096)
    band = (hz > 500) & (hz < 2000)
    received = signal.welch(after, RATE_HZ, nperseg=4096)[1]
    return float(10 * np.log10(received[band].sum() / own[band].sum()))


@pytest.fixture(scope="module")
def medley(shared_data: Path) -> Clip:
    """Return the loudest second of a recording of each class, one after the other."""
    (table,) = (shared_data / "ESC-50").rglob("esc50.csv")
    with table.open() as file:
        rows = [row for row in csv.DictReader(file) if row["esc10"] == "True"]
    names = {row["category"]: Path(row["filename"]).stem for row in rows}
    pieces = []
    for name in names.values():
        clip = audio.read(next((shared_data / "ESC-50" / "audio").glob(f"{name}.*")))
        energy = np.cumsum(np.pad(clip.samples.astype(float) ** 2, (1, 0)))
        begin = int(np.argmax(energy[RATE_HZ:] - energy[:-RATE_HZ]))
        piece = clip.samples[begin : begin + RATE_HZ]
        pieces.append(0.5 * piece / np.abs(piece).max())
    assert len(pieces) == 10
    return Clip(np.concatenate(pieces), RATE_HZ)


@pytest.fixture(scope="module")
def received(medley: Clip) -> Callable[[Codec], Samples]:
    """Return what each codec makes of it."""

    @functools.cache
    def apply(codec: Codec) -> Samples:
        return available(codec).apply(medley).clip.samples

    return apply


@pytest.mark.parametrize("late", [-1.5, 0.0, 0.25, 2.0, 40.0])
def test_the_ruler_measures_what_was_done(late: float) -> None:
    """A delay, and one under half as much noise that is not coherent, are found to 1/8 sample."""
    generator = np.random.default_rng(0)
    early = generator.standard_normal(2 * RATE_HZ)
    turn = np.exp(-2j * np.pi * late * np.fft.rfftfreq(len(early)))
    received = np.fft.irfft(np.fft.rfft(early) * turn, len(early))
    assert abs(lag(early, received) - late) <= 1 / 8
    noise = signal.lfilter([1], [1, -0.95], generator.standard_normal(len(early)))
    assert abs(lag(early, received + 0.5 * noise) - late) <= 1 / 8


@pytest.mark.parametrize("codec", ALL, ids=lambda codec: codec.slug)
def test_real_sound_comes_back_in_its_place(
    codec: Codec, medley: Clip, received: Callable[[Codec], Samples]
) -> None:
    """To a sample of 44.1 kHz; of coders of speech, what is over 700 Hz."""
    samples = received(codec)
    assert samples.shape == medley.samples.shape
    assert abs(lag(medley.samples, samples, 700 if codec.name in SPEECH else 0)) <= 1


@pytest.mark.parametrize("codec", HIGHEST, ids=lambda codec: codec.slug)
def test_real_sound_keeps_its_level(
    codec: Codec, medley: Clip, received: Callable[[Codec], Samples]
) -> None:
    """Within 0.2 dB from 500 to 2000 Hz; coders of speech lose up to 1 dB of what is no speech."""
    lost = level_db(medley.samples, received(codec))
    assert abs(lost) < 0.2 or (codec.name in SPEECH and -1 < lost < 0)


@pytest.mark.parametrize(
    ("kbps", "scale"), [(64, 0.95), (128, 0.95), (192, 0.97), (224, 0.98), (320, 1.0)]
)
def test_mp3_has_the_level_that_lame_gives_it(
    kbps: float, scale: float, medley: Clip, received: Callable[[Codec], Samples]
) -> None:
    """LAME scales its input below 256 kbps: `apply_abr_preset` in its presets.c."""
    level = level_db(medley.samples, received(Codec("mp3", kbps=kbps)))
    assert abs(level - 20 * np.log10(scale)) < 0.05


def test_below_700_hz_amr_leads_by_its_own_filters(
    medley: Clip, received: Callable[[Codec], Samples]
) -> None:
    """Through the standard's filters the original is where AMR is, at all frequencies it has."""
    samples = received(Codec("amr-nb", kbps=12.2))
    low = audio.resample(medley, 8000).samples.astype(float)
    for numerator, denominator in AMR_FILTERS:
        low = signal.lfilter(numerator, denominator, low)
    filtered = audio.resample(Clip(low.astype(np.float32), 8000), RATE_HZ).samples
    band = signal.butter(4, [150, 400], "bandpass", fs=RATE_HZ, output="sos")
    below = [signal.sosfiltfilt(band, sound) for sound in (medley.samples, filtered, samples)]
    assert lag(below[0], below[2]) < -2
    assert abs(lag(below[1], below[2])) <= 1
    assert abs(lag(filtered, samples)) <= 1
