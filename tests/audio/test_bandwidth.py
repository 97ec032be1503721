"""The effective bandwidth is that of what recorded or encoded a sound, not half the rate."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from anymic import audio
from anymic.audio import Clip
from anymic.audio.bandwidth import DENSE_S, bandwidth_hz, blackman_harris
from anymic.codecs import Codec

RATE_HZ = 44100


@pytest.fixture
def noise() -> Clip:
    """Return two seconds whose power falls by 3 dB an octave, as of many natural sounds."""
    generator = np.random.default_rng(3)
    spectrum = np.fft.rfft(generator.normal(size=2 * RATE_HZ))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(2 * RATE_HZ, 1 / RATE_HZ), 20))
    samples = np.fft.irfft(spectrum)
    return Clip((0.5 * samples / np.abs(samples).max()).astype(np.float32), RATE_HZ)


def test_a_full_band_reaches_half_the_rate(noise: Clip) -> None:
    assert bandwidth_hz(noise) > 0.99 * RATE_HZ / 2


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050])
def test_a_lower_rate_stays_visible_after_resampling(noise: Clip, rate_hz: int) -> None:
    again = audio.resample(audio.resample(noise, rate_hz), RATE_HZ)
    assert bandwidth_hz(again) == pytest.approx(rate_hz / 2, rel=0.05)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_rounding_to_16_bits_adds_no_bandwidth(noise: Clip, rate_hz: int) -> None:
    low = audio.resample(audio.resample(noise, rate_hz), RATE_HZ)
    rounded = Clip((np.rint(low.samples * 2**15) / 2**15).astype(np.float32), RATE_HZ)
    assert bandwidth_hz(rounded) == pytest.approx(rate_hz / 2, rel=0.05)


def test_the_low_pass_of_a_codec_is_found(noise: Clip) -> None:
    """G.711 has a rate of 8 kHz; MP3 at 64 kbps has a low-pass between 10 kHz and 20 kHz."""
    assert bandwidth_hz(Codec("mu-law").apply(noise).clip) == pytest.approx(4000, rel=0.05)
    mp3 = Codec("mp3", kbps=64)
    if not mp3.available:
        pytest.skip("no MP3 encoder on this machine")
    assert 10_000 < bandwidth_hz(mp3.apply(noise).clip) < 20_000


def test_level_and_length_do_not_matter(noise: Clip) -> None:
    low = audio.resample(audio.resample(noise, 16000), RATE_HZ)
    quiet = Clip(low.samples * np.float32(0.1), RATE_HZ)
    repeated = np.tile(noise.samples, int(DENSE_S))  # it is periodic
    long = audio.resample(audio.resample(Clip(repeated, RATE_HZ), 16000), RATE_HZ)
    assert bandwidth_hz(quiet) == pytest.approx(bandwidth_hz(low), rel=0.03)
    assert bandwidth_hz(long) == pytest.approx(bandwidth_hz(low), rel=0.03)


@pytest.mark.parametrize("count", [1, 2, 100, 5000])
def test_silence_has_none(count: int) -> None:
    assert bandwidth_hz(Clip(np.zeros(count, np.float32), 16000)) == 0


@pytest.mark.parametrize("length", [2, 8, 999, 4096])
def test_the_window_is_that_of_scipy(length: int) -> None:
    window = blackman_harris(length)
    expected = scipy.signal.get_window("blackmanharris", length)
    np.testing.assert_allclose(window, expected, atol=1e-7)
