"""Windows put together are the file, however long, in bounded memory."""

from __future__ import annotations

import itertools
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anymic import audio
from anymic.errors import AudioError


def noise(samples: int, channels: int = 1) -> np.ndarray:
    shape = samples if channels == 1 else (samples, channels)
    return np.random.default_rng(5).uniform(-0.5, 0.5, shape).astype(np.float32)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
@pytest.mark.parametrize("channels", [1, 2, 7])
@pytest.mark.parametrize("rate_hz", [None, 8000, 16000, 48000])
def test_windows_are_the_file(
    tmp_path: Path, name: str, channels: int, rate_hz: int | None
) -> None:
    path = tmp_path / name
    soundfile.write(path, noise(50001, channels), 22050)
    whole = audio.read(path, rate_hz=rate_hz)
    windows = list(audio.stream(path, window_s=0.333, rate_hz=rate_hz))
    size = round(0.333 * whole.rate_hz)
    assert [len(w.samples) for w in windows[:-1]] == [size] * (len(whole.samples) // size)
    joined = np.concatenate([w.samples for w in windows])
    np.testing.assert_allclose(joined, whole.samples, atol=1e-6)
    starts = [w.start_s for w in windows]
    np.testing.assert_allclose(starts, np.arange(len(windows)) * size / whole.rate_hz)
    assert {w.rate_hz for w in windows} == {whole.rate_hz}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    samples=st.integers(1, 5000),
    window=st.integers(1, 3000),
    rates=st.tuples(st.sampled_from([8000, 11025, 44100]), st.sampled_from([8000, 16000, 44100])),
)
def test_any_length_and_window(
    tmp_path: Path, samples: int, window: int, rates: tuple[int, int]
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(samples) + 0.25, rates[0], subtype="FLOAT")
    try:
        whole = audio.read(path, rate_hz=rates[1]).samples
    except AudioError:  # so short that nothing is left of it at the lower rate
        assert round(samples * rates[1] / rates[0]) <= 1
        assert list(audio.stream(path, window_s=1, rate_hz=rates[1])) == []
        return
    windows = [
        clip.samples for clip in audio.stream(path, window_s=window / rates[1], rate_hz=rates[1])
    ]
    np.testing.assert_allclose(np.concatenate(windows), whole, atol=1e-6)
    assert all(len(samples) == window for samples in windows[:-1])
    assert 1 <= len(windows[-1]) <= window


def test_three_hours_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    minute = np.random.default_rng(6).integers(64, 192, 60 * 8000, dtype=np.uint8).tobytes()
    soundfile.write(path, np.zeros(0), 8000, subtype="PCM_U8")
    header = bytearray(path.read_bytes()[:44])
    size = 180 * len(minute)
    header[4:8], header[40:44] = (size + 36).to_bytes(4, "little"), size.to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(header)
        file.writelines(itertools.repeat(minute, 180))
    assert audio.probe(path).duration_s == 3 * 3600
    tracemalloc.start()
    try:
        seconds = sum(clip.duration_s for clip in audio.stream(path, window_s=10))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seconds == 3 * 3600
    assert peak_bytes < 8 * 10 * 8000 * 4  # eight windows; the file decodes to 345 MB
    # The end of it is reached without decoding what lies before.
    last = audio.read(path, start_s=3 * 3600 - 1)
    expected = (np.frombuffer(minute, np.uint8)[-8000:].astype(np.float32) - 128) / 128
    np.testing.assert_array_equal(last.samples, expected)


def test_windows_are_made_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = noise(80000)
    samples[50000] = np.nan
    soundfile.write(path, samples, 8000, subtype="FLOAT")
    windows = audio.stream(path, window_s=1)
    for second in range(6):
        np.testing.assert_array_equal(
            next(windows).samples, samples[second * 8000 : (second + 1) * 8000]
        )
    with pytest.raises(AudioError, match=r"the first at 6\.250 s"):
        next(windows)


def test_notes_belong_to_their_window(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = noise(40000)
    samples[17000:18000] = 1.0
    soundfile.write(path, samples, 8000, subtype="PCM_16")
    for rate_hz in (None, 16000):
        notes = [clip.notes for clip in audio.stream(path, window_s=1, rate_hz=rate_hz)]
        assert notes == [(), (), ("clipped: 12.5 % of samples at full scale",), (), ()]


def test_a_silent_stretch_is_fine_a_silent_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = noise(24000)
    samples[8000:16000] = 0
    soundfile.write(path, samples, 8000)
    windows = list(audio.stream(path, window_s=1))
    assert [bool(clip.samples.any()) for clip in windows] == [True, False, True]
    soundfile.write(path, np.zeros(24000), 8000)
    with pytest.raises(AudioError, match="silence"):
        list(audio.stream(path, window_s=1))


@pytest.mark.parametrize("window_s", [0, -1, 1e-9, float("nan"), float("inf")])
def test_impossible_windows_are_refused(tmp_path: Path, window_s: float) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(800), 8000)
    with pytest.raises(AudioError, match=r"window_s is .*Expected at least one sample"):
        next(audio.stream(path, window_s=window_s))
