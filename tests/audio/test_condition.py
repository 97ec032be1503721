"""What is missing in a recording is found, and not where it is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from anymic import audio
from anymic.audio import Clip
from anymic.audio.condition_meter import ConditionMeter, condition_of
from anymic.codecs import Codec

RATE_HZ = 44100


@pytest.fixture
def noise() -> Clip:
    """Return six seconds whose power falls by 3 dB an octave, as of many natural sounds."""
    generator = np.random.default_rng(3)
    spectrum = np.fft.rfft(generator.normal(size=6 * RATE_HZ))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(6 * RATE_HZ, 1 / RATE_HZ), 20))
    samples = np.fft.irfft(spectrum)
    return Clip((0.5 * samples / np.abs(samples).max()).astype(np.float32), RATE_HZ)


def lower(clip: Clip, rate_hz: int) -> Clip:
    return audio.resample(audio.resample(clip, rate_hz), clip.rate_hz)


def test_a_full_recording_has_no_notes(noise: Clip) -> None:
    found = condition_of(noise)
    assert not found.limited
    assert found.notes() == ()
    assert found.limit_hz == RATE_HZ / 2


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 22050])
def test_the_lower_rate_is_named(noise: Clip, rate_hz: int) -> None:
    found = condition_of(lower(noise, rate_hz))
    assert found.limited
    assert found.lower_rate_hz == rate_hz
    assert found.limit_hz == pytest.approx(rate_hz / 2, rel=0.05)
    assert f"likely resampled from {rate_hz} Hz" in found.notes()[0]


def test_a_limit_above_the_band_that_is_used_is_not_noted(noise: Clip) -> None:
    found = condition_of(lower(noise, 22050))
    assert found.notes(used_hz=8000) == ()
    assert found.notes(used_hz=16000)


def test_a_sound_without_high_frequencies_is_not_limited() -> None:
    """A tone and a spectrum that falls by 24 dB an octave end in no step."""
    time_s = np.arange(3 * RATE_HZ) / RATE_HZ
    hiss = 1e-4 * np.random.default_rng(0).normal(size=len(time_s))
    tone = Clip((0.5 * np.sin(2 * np.pi * 1000 * time_s) + hiss).astype(np.float32), RATE_HZ)
    assert not condition_of(tone).limited
    spectrum = np.fft.rfft(np.random.default_rng(1).normal(size=len(time_s)))
    hz = np.fft.rfftfreq(len(time_s), 1 / RATE_HZ)
    dull = np.fft.irfft(spectrum / (1 + (hz / 500) ** 4))
    assert not condition_of(Clip((0.1 * dull / dull.std()).astype(np.float32), RATE_HZ)).limited


@pytest.mark.parametrize("codec", ["mu-law 64", "amr-nb 12.2", "g722 64"])
def test_the_limit_of_a_codec_is_found(noise: Clip, codec: str) -> None:
    chosen = Codec.parse(codec)
    if not chosen.available:
        pytest.skip(f"no encoder of {codec} on this machine")
    found = condition_of(chosen.apply(noise).clip)
    assert found.limited
    assert found.bandwidth_hz == pytest.approx(7800 if "722" in codec else 3800, rel=0.12)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_hum_is_found_and_told_from_other_tones(noise: Clip, mains_hz: float) -> None:
    def with_tones(hz: float) -> Clip:
        time_s = np.arange(len(noise.samples)) / RATE_HZ
        tones = sum(np.sin(2 * np.pi * k * hz * time_s) / k for k in range(1, 8))
        return Clip((noise.samples + 0.1 * tones).astype(np.float32), RATE_HZ)

    assert condition_of(noise).hum_hz is None
    assert condition_of(with_tones(mains_hz * 1.002)).hum_hz == mains_hz
    assert condition_of(with_tones(55.0)).hum_hz is None


def stereo(noise: Clip, second: NDArray[np.floating]) -> tuple[int, ...]:
    meter = ConditionMeter()
    both = np.stack([noise.samples, second.astype(np.float32)], axis=1)
    meter.add(both, both.mean(axis=1), rate_hz=RATE_HZ)
    found = meter.result()
    assert found is not None
    return found.dead_channels


def test_a_channel_without_a_signal_is_found(noise: Clip) -> None:
    hiss = np.random.default_rng(5).normal(size=len(noise.samples))
    assert stereo(noise, np.zeros(len(noise.samples))) == (1,)
    assert stereo(noise, 1e-5 * hiss) == (1,)
    assert stereo(noise, 0.01 * noise.samples) == ()


@pytest.mark.parametrize("block", [1000, 44100, 10**6])
def test_the_longest_silence_is_found_across_blocks(noise: Clip, block: int) -> None:
    samples = noise.samples.copy()
    samples[RATE_HZ : RATE_HZ * 5 // 2] = 0
    samples[3 * RATE_HZ : RATE_HZ * 7 // 2] = 0
    meter = ConditionMeter()
    for begin in range(0, len(samples), block):
        meter.add(samples[begin : begin + block], rate_hz=RATE_HZ)
    found = meter.result()
    assert found is not None
    assert found.silence_s == pytest.approx(1.5, abs=0.02)
    assert found.notes()[-1] == f"digital silence of {found.silence_s:.1f} s"


def test_the_size_of_blocks_does_not_matter(noise: Clip) -> None:
    clip = lower(noise, 16000)
    whole = condition_of(clip)
    meter = ConditionMeter()
    for begin in range(0, len(clip.samples), 777):
        meter.add(clip.samples[begin : begin + 777], rate_hz=RATE_HZ)
    found = meter.result()
    assert found is not None
    assert found.bandwidth_hz == pytest.approx(whole.bandwidth_hz, rel=1e-6)
    assert (found.hum_hz, found.lower_rate_hz) == (whole.hum_hz, whole.lower_rate_hz)


def test_reading_a_file_measures_it(tmp_path: Path, noise: Clip) -> None:
    """Read at once, as windows, or at another rate: the condition is that of the file."""
    samples = lower(noise, 16000).samples
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([samples, 0 * samples], axis=1), RATE_HZ, subtype="PCM_16")
    at_once, windows = ConditionMeter(), ConditionMeter()
    audio.read(path, meter=at_once)
    for _ in audio.stream(path, window_s=0.7, rate_hz=32000, meter=windows):
        pass
    for meter in (at_once, windows):
        found = meter.result()
        assert found is not None
        assert (found.rate_hz, found.lower_rate_hz) == (RATE_HZ, 16000)
        assert found.dead_channels == (1,)


def test_nothing_read_has_no_condition() -> None:
    assert ConditionMeter().result() is None


@pytest.mark.parametrize("count", [1, 20, 4095])
def test_very_short_sounds(count: int) -> None:
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, count).astype(np.float32)
    assert condition_of(Clip(samples, RATE_HZ)).notes() == ()
