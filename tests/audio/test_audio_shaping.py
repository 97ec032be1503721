"""Laws of resampling, trimming and fitting to a length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anymic import audio
from anymic.audio import Clip
from anymic.errors import AudioError


def noise(samples: int, *, rate_hz: int = 8000, start_s: float = 0.0) -> Clip:
    values = np.random.default_rng(7).uniform(0.1, 0.5, samples).astype(np.float32)
    return Clip(values, rate_hz, path="a.wav", notes=("a note",), start_s=start_s)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(["pad", "repeat"]))
def test_fitting_gives_the_exact_length(have: int, want: int, shorter: str) -> None:
    clip = noise(have)
    before = clip.samples.copy()
    for longer in ("crop", "center"):
        fitted = audio.fit_length(clip, want / 8000, shorter=shorter, longer=longer)  # type: ignore[arg-type]
        assert len(fitted.samples) == want
        assert (fitted.rate_hz, fitted.path, fitted.notes) == (8000, "a.wav", ("a note",))
        if want == have:
            assert fitted is clip
        elif want > have and shorter == "pad":
            np.testing.assert_array_equal(fitted.samples[:have], clip.samples)
            assert not fitted.samples[have:].any()
        elif want > have:
            np.testing.assert_array_equal(
                fitted.samples, clip.samples[np.arange(want) % have], "not periodic"
            )
        else:
            begin = (have - want) // 2 if longer == "center" else 0
            np.testing.assert_array_equal(fitted.samples, clip.samples[begin : begin + want])
            assert fitted.start_s == begin / 8000
    np.testing.assert_array_equal(clip.samples, before)


def test_length_is_rounded_to_whole_samples() -> None:
    clip = noise(44100, rate_hz=44100)
    for length_s in (0.4321, 1.0, 2.33333):
        fitted = audio.fit_length(clip, length_s, shorter="pad", longer="crop")
        assert len(fitted.samples) == round(length_s * 44100)


def test_fitting_is_named_never_implied() -> None:
    with pytest.raises(
        AudioError, match=r"a.wav lasts 1.000 s\. Expected 2.000 s\. .*shorter='pad'"
    ):
        audio.fit_length(noise(8000), 2.0, longer="crop")
    with pytest.raises(
        AudioError, match=r"a.wav lasts 1.000 s\. Expected 0.500 s\. .*longer='crop'"
    ):
        audio.fit_length(noise(8000), 0.5, shorter="pad")
    for wrong in ({"shorter": "crop"}, {"longer": "pad"}):
        with pytest.raises(AudioError, match="Expected '"):
            audio.fit_length(noise(8), 1.0, **wrong)  # type: ignore[arg-type]
    for length_s in (0.0, -1.0, 1e-9, float("nan")):
        with pytest.raises(AudioError, match="length_s is"):
            audio.fit_length(noise(8), length_s, shorter="pad", longer="crop")


@pytest.mark.parametrize(("old", "new"), [(8000, 44100), (44100, 16000), (48000, 44100)])
def test_resampling_keeps_a_tone(old: int, new: int) -> None:
    def tone(rate_hz: int) -> np.ndarray:
        return 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz)

    clip = audio.resample(Clip(tone(old), old), new)
    assert (clip.rate_hz, len(clip.samples)) == (new, new)
    middle = slice(new // 10, -new // 10)
    np.testing.assert_allclose(clip.samples[middle], tone(new)[middle], atol=1e-4)


def test_resampling_is_linear_and_keeps_what_fits() -> None:
    clip = noise(4000, start_s=2.5)
    assert audio.resample(clip, 8000) is clip
    once = audio.resample(clip, 16000)
    twice = audio.resample(Clip(2 * clip.samples, 8000), 16000)
    np.testing.assert_allclose(twice.samples, 2 * once.samples, atol=1e-6)
    assert (once.path, once.notes, once.start_s) == ("a.wav", ("a note",), 2.5)
    with pytest.raises(AudioError, match="rate_hz is 0"):
        audio.resample(clip, 0)
    with pytest.raises(AudioError, match="has no samples"):
        audio.resample(noise(1, rate_hz=44100), 8000)


def test_trimming_touches_only_the_ends() -> None:
    sound = noise(20480).samples
    gap = np.zeros(10240, np.float32)
    clip = Clip(np.concatenate([gap, sound, gap, sound, gap]), 8000, start_s=1.0)
    trimmed = audio.trim_silence(clip)
    begin = round((trimmed.start_s - 1.0) * 8000)
    end = begin + len(trimmed.samples)
    assert 10240 - 2048 <= begin <= 10240
    assert 61440 <= end <= 61440 + 2048
    np.testing.assert_array_equal(trimmed.samples, clip.samples[begin:end])
    again = audio.trim_silence(trimmed)
    assert len(trimmed.samples) - len(again.samples) <= 2 * 2048


def test_trimming_depth_is_relative_to_the_loudest() -> None:
    sound = noise(20480).samples
    faint = np.float32(10 ** (-40 / 20)) * sound
    clip = Clip(np.concatenate([faint, sound, faint]), 8000)
    assert len(audio.trim_silence(clip, top_db=60).samples) == len(clip.samples)
    assert len(audio.trim_silence(clip, top_db=30).samples) < 1.3 * len(sound)
    quiet = Clip(clip.samples / np.float32(1000), 8000)
    assert len(audio.trim_silence(quiet, top_db=60).samples) == len(clip.samples)


def test_what_trimming_refuses() -> None:
    with pytest.raises(AudioError, match=r"is silent.*nothing would be left"):
        audio.trim_silence(Clip(np.zeros(8000, np.float32), 8000))
    with pytest.raises(AudioError, match="top_db is 0"):
        audio.trim_silence(noise(8000), top_db=0)
    with pytest.raises(AudioError, match="NaN"):
        audio.trim_silence(Clip(np.full(8000, np.nan), 8000))
    assert len(audio.trim_silence(noise(24)).samples) == 24
