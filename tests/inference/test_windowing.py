from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anymic.audio import Clip
from anymic.bundle import InputContract
from anymic.errors import AudioError, ConfigError
from anymic.inference.windowing import End, Window, cut

CONTRACT = InputContract(rate_hz=8000, clip_s=1.0)


def noise(seconds: float, rate_hz: int = 8000) -> np.ndarray:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, round(seconds * rate_hz))
    return samples.astype(np.float32)


def wav(path: Path, samples: np.ndarray, rate_hz: int = 8000, subtype: str = "FLOAT") -> Path:
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    return path


def split(items: Iterator[Window | End]) -> tuple[list[Window], End]:
    *windows, end = items
    assert isinstance(end, End)
    found = [window for window in windows if isinstance(window, Window)]
    assert len(found) == len(windows)
    return found, end


@pytest.mark.parametrize("in_memory", [True, False])
def test_windows_put_together_are_the_clip(tmp_path: Path, in_memory: bool) -> None:
    samples = noise(3.0)
    source = Clip(samples, 8000) if in_memory else wav(tmp_path / "a.wav", samples)
    windows, end = split(cut(source, CONTRACT))
    np.testing.assert_array_equal(np.concatenate([one.samples for one in windows]), samples)
    assert [one.start_s for one in windows] == [0.0, 1.0, 2.0]
    assert end == End(0.0, 3.0, ())


@pytest.mark.parametrize(
    ("seconds", "windows", "note"),
    [
        (2.5, 3, "0.500 s padded with silence to 1.000 s"),
        (2.49, 2, "last 0.490 s left out: too short for a window"),
        (2.0005, 2, ""),
        (0.1, 1, "0.100 s padded with silence to 1.000 s"),
        (0.9995, 1, ""),
    ],
)
def test_what_is_left_over(seconds: float, windows: int, note: str) -> None:
    found, end = split(cut(Clip(noise(seconds), 8000), CONTRACT))
    assert len(found) == windows
    assert all(len(one.samples) == 8000 for one in found)
    assert end.notes == ((note,) if note else ())
    assert end.duration_s == pytest.approx(seconds, abs=1e-4)


def test_shorter_is_repeated_or_refused() -> None:
    short = Clip(noise(0.4), 8000, path="x.wav")
    (window,), end = split(cut(short, replace(CONTRACT, shorter="repeat")))
    np.testing.assert_array_equal(window.samples, np.resize(short.samples, 8000))
    assert end.notes == ("0.400 s repeated to 1.000 s",)
    refuse = replace(CONTRACT, shorter="refuse")
    with pytest.raises(AudioError, match=r"x.wav lasts 0.400 s\. Expected 1.000 s"):
        list(cut(short, refuse))
    windows, end = split(cut(Clip(noise(2.9), 8000), refuse))
    assert len(windows) == 2
    assert end.notes == ("last 0.900 s left out: too short for a window",)
    (window,), _ = split(cut(Clip(noise(0.9995), 8000), refuse))
    assert len(window.samples) == 8000


def test_far_too_short() -> None:
    with pytest.raises(AudioError, match=r"x.wav lasts 3 ms\. Expected at least 32 ms"):
        list(cut(Clip(noise(0.003), 8000, path="x.wav"), CONTRACT, least_samples=256))


def test_other_rates_are_resampled_or_refused(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(192000) / 192000).astype(np.float32)
    path = wav(tmp_path / "a.wav", 0.5 * tone, 192000)
    (window,), end = split(cut(path, CONTRACT))
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    np.testing.assert_allclose(window.samples[200:-200], wanted[200:-200], atol=1e-3)
    assert end.notes == ("resampled from 192000 Hz",)
    with pytest.raises(
        AudioError, match=r"rate of .*a.wav is 192000 Hz\. Expected 8000 Hz, as the model"
    ):
        list(cut(path, replace(CONTRACT, other_rates="refuse")))


def test_channels(tmp_path: Path) -> None:
    seven = np.stack([noise(1.0) * (index + 1) / 7 for index in range(7)], axis=1)
    path = wav(tmp_path / "a.wav", seven)
    (window,), end = split(cut(path, CONTRACT))
    np.testing.assert_allclose(window.samples, seven.mean(axis=1), atol=1e-6)
    assert end.notes == ("7 channels mixed down by mean",)
    (window,), end = split(cut(path, replace(CONTRACT, channel="right")))
    np.testing.assert_array_equal(window.samples, seven[:, 1])
    assert end.notes == ("channel right of 7",)
    with pytest.raises(AudioError, match="7 channels"):
        list(cut(path, replace(CONTRACT, channel="only")))


def test_clipping_is_noted_once(tmp_path: Path) -> None:
    loud = noise(3.0)
    loud[8000:16000] = np.sign(np.sin(np.arange(8000) / 40))
    _, end = split(cut(wav(tmp_path / "a.wav", loud), CONTRACT))
    assert end.notes == ("clipped in 1 of 3 windows",)


def test_a_stretch_is_cut_from_its_file(tmp_path: Path) -> None:
    samples = noise(5.0)
    path = wav(tmp_path / "a.wav", samples)
    windows, end = split(cut(path, CONTRACT, start_s=1.5, duration_s=2.0))
    np.testing.assert_array_equal(
        np.concatenate([one.samples for one in windows]), samples[12000:28000]
    )
    assert [one.start_s for one in windows] == [1.5, 2.5]
    assert (end.start_s, end.duration_s) == (1.5, 2.0)


@pytest.mark.parametrize(("start_s", "expected"), [(1.5, 1.0), (4.5, 0.5)])
def test_a_part_without_a_duration_ends_at_the_latest_with_its_file(
    tmp_path: Path, start_s: float, expected: float
) -> None:
    path = wav(tmp_path / "a.wav", noise(5.0))
    _, end = split(cut(path, CONTRACT, start_s=start_s, most_s=1.0))
    assert (end.start_s, end.duration_s) == (start_s, expected)
    with pytest.raises(AudioError, match=r"part from 5\.500 s to the end is not within"):
        list(cut(path, CONTRACT, start_s=5.5, most_s=1.0))


def test_long_files_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "hour.wav"
    minute = noise(60.0)
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_U8") as file:
        for _ in range(60):
            file.write(minute)
    tracemalloc.start()
    try:
        windows = sum(isinstance(item, Window) for item in cut(path, CONTRACT))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert windows == 3600
    assert peak < 2e6  # the file as float32: 115e6


def limited(seconds: float = 3.0) -> Clip:
    """Return noise at 8 kHz that was resampled from 4 kHz."""
    from anymic import audio

    return audio.resample(audio.resample(Clip(noise(seconds), 8000), 4000), 8000)


def test_a_band_limit_is_noted(tmp_path: Path) -> None:
    file = wav(tmp_path / "narrow.wav", limited().samples)
    for source in (limited(), file):
        _, end = split(cut(source, CONTRACT))
        assert end.condition is not None
        assert end.condition.bandwidth_hz == pytest.approx(2000, rel=0.05)
        assert [note[:19] for note in end.notes] == ["effective bandwidth"]


def test_a_rate_below_that_of_the_model_is_a_band_limit(tmp_path: Path) -> None:
    file = wav(tmp_path / "low.wav", noise(3.0, 4000), 4000)
    _, end = split(cut(file, CONTRACT))
    assert "effective bandwidth 2.0 of 4.0 kHz" in end.notes


def test_a_contract_can_refuse_a_narrow_band() -> None:
    strict = replace(CONTRACT, least_bandwidth_hz=3000.0, narrower="refuse")
    split(cut(Clip(noise(3.0), 8000), strict))
    with pytest.raises(
        AudioError, match=r"The effective bandwidth is \d+ Hz\. Expected at least 3000 Hz"
    ):
        split(cut(limited(), strict))
    lenient = replace(strict, narrower="note")
    _, end = split(cut(limited(), lenient))
    assert any("below the 3000 Hz of the model's contract" in note for note in end.notes)


@pytest.mark.parametrize("least_hz", [0.0, -1.0, 4001.0, float("nan")])
def test_a_least_bandwidth_beyond_the_band_is_refused(least_hz: float) -> None:
    with pytest.raises(ConfigError, match="least bandwidth"):
        replace(CONTRACT, least_bandwidth_hz=least_hz)
