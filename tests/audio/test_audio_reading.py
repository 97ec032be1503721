"""Reading agrees with the libraries beneath it and invents nothing."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from anymic import audio
from anymic.errors import AudioError


def noise(samples: int, channels: int = 1, *, seed: int = 0) -> np.ndarray:
    """Return (sample,) or (sample, channel) float32 noise with peaks well below full scale."""
    shape = samples if channels == 1 else (samples, channels)
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_U8"),
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "PCM_32"),
        ("a.wav", "FLOAT"),
        ("a.wav", "DOUBLE"),
        ("a.wav", "ULAW"),
        ("a.wav", "IMA_ADPCM"),
        ("a.flac", "PCM_16"),
        ("a.flac", "PCM_24"),
        ("a.ogg", "VORBIS"),
        ("a.aiff", "PCM_16"),
        ("a.au", "PCM_16"),
    ],
)
def test_samples_equal_soundfile(tmp_path: Path, name: str, subtype: str) -> None:
    path = tmp_path / name
    soundfile.write(path, noise(22051), 22050, subtype=subtype)
    expected, rate = soundfile.read(path, dtype="float32")
    clip = audio.read(path)
    np.testing.assert_array_equal(clip.samples, expected)
    assert (clip.rate_hz, clip.path, clip.notes, clip.start_s) == (rate, str(path), (), 0.0)
    assert clip.samples.dtype == np.float32
    info = audio.probe(path)
    assert (info.rate_hz, info.channels, info.frames) == (22050, 1, len(expected))
    assert info.duration_s == pytest.approx(clip.duration_s)
    assert subtype in info.format


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 7])
def test_channels_become_one_by_the_named_rule(tmp_path: Path, rate_hz: int, channels: int) -> None:
    path = tmp_path / "a.wav"
    frames = noise(4000, channels)
    soundfile.write(path, frames, rate_hz, subtype="FLOAT")
    columns = frames.reshape(4000, channels)
    np.testing.assert_allclose(audio.read(path).samples, columns.mean(axis=1), atol=1e-7)
    np.testing.assert_array_equal(audio.read(path, channel="left").samples, columns[:, 0])
    last = audio.read(path, channel=channels - 1).samples
    np.testing.assert_array_equal(last, columns[:, -1])
    assert audio.read(path).rate_hz == rate_hz
    if channels == 1:
        np.testing.assert_array_equal(audio.read(path, channel="only").samples, frames)
        with pytest.raises(
            AudioError, match=r"no channel 'right'.* 1 channel\. Expected a channel from 0 to 0"
        ):
            audio.read(path, channel="right")
    else:
        np.testing.assert_array_equal(audio.read(path, channel="right").samples, columns[:, 1])
        with pytest.raises(AudioError, match=f"{channels} channels.*channel is 'only'.*'mean'"):
            audio.read(path, channel="only")
    for wrong in (channels, -1, "both", True, 1.0):
        with pytest.raises(AudioError, match="channel"):
            audio.read(path, channel=wrong)  # type: ignore[arg-type]


def test_three_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = noise(132)
    soundfile.write(path, samples, 44100, subtype="FLOAT")
    np.testing.assert_array_equal(audio.read(path).samples, samples)
    assert len(audio.read(path, rate_hz=16000).samples) == 48
    assert [len(w.samples) for w in audio.stream(path, window_s=0.001)] == [44, 44, 44]


@pytest.mark.parametrize("rate_hz", [16000, 22050, 48000])
def test_resampling_equals_librosa(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(44100, 2), 44100)
    expected, _ = librosa.load(path, sr=rate_hz, mono=True, res_type="soxr_hq")
    clip = audio.read(path, rate_hz=rate_hz)
    assert (clip.rate_hz, len(clip.samples)) == (rate_hz, rate_hz)
    # librosa appends a zero where a rounded ratio comes out above the whole number.
    np.testing.assert_allclose(clip.samples, expected[:rate_hz], atol=1e-6)


def test_real_recordings_equal_librosa(shared_data: Path) -> None:
    for path in sorted((shared_data / "ESC-50" / "audio").glob("*"))[:3]:
        expected, rate = librosa.load(path, sr=None, mono=True)
        clip = audio.read(path)
        assert clip.rate_hz == rate
        np.testing.assert_allclose(clip.samples, expected, atol=1e-7)
        expected, _ = librosa.load(path, sr=16000, mono=True)
        np.testing.assert_allclose(audio.read(path, rate_hz=16000).samples, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_a_stretch_is_a_slice_of_the_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, noise(44100), 22050)
    whole = audio.read(path).samples
    clip = audio.read(path, start_s=0.7301, duration_s=0.5)
    first = round(0.7301 * 22050)
    np.testing.assert_allclose(clip.samples, whole[first : first + 11025], atol=1e-6)
    assert clip.start_s == pytest.approx(first / 22050)
    np.testing.assert_array_equal(audio.read(path, start_s=1.5).samples, whole[33075:])
    # Tables round to milliseconds.
    assert len(audio.read(path, start_s=1.0, duration_s=1.0005).samples) == 22050


@pytest.mark.parametrize(
    ("start_s", "duration_s"), [(2.0, None), (5.0, None), (1.5, 0.6), (3.0, 1.0), (0, 2.5)]
)
def test_a_stretch_beyond_the_end_is_refused(
    tmp_path: Path, start_s: float, duration_s: float | None
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(16000), 8000)
    with pytest.raises(AudioError, match=r"part from .* Expected a part of its 2\.000 s\. Correct"):
        audio.read(path, start_s=start_s, duration_s=duration_s)


@pytest.mark.parametrize(
    "wrong",
    [
        {"start_s": -1.0},
        {"start_s": float("nan")},
        {"duration_s": 0.0},
        {"duration_s": -1.0},
        {"duration_s": float("inf")},
        {"rate_hz": 0},
        {"rate_hz": -8000},
        {"rate_hz": 44100.5},
    ],
)
def test_impossible_arguments_are_refused(tmp_path: Path, wrong: dict[str, float]) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(800), 8000)
    with pytest.raises(AudioError, match=f"{next(iter(wrong))} is .*Expected"):
        audio.read(path, **wrong)  # type: ignore[arg-type]


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    honest, lying = tmp_path / "a.flac", tmp_path / "a.mp3"
    soundfile.write(honest, noise(8000), 8000)
    lying.write_bytes(honest.read_bytes())
    np.testing.assert_array_equal(audio.read(lying).samples, audio.read(honest).samples)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x7FFFF000])
def test_a_pipe_without_a_stated_length_is_no_error(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(8000), 8000)
    data = bytearray(path.read_bytes())
    expected = audio.read(path).samples
    data[40:44] = struct.pack("<I", size)
    path.write_bytes(data)
    np.testing.assert_array_equal(audio.read(path).samples, expected)


def test_flac_without_a_length_in_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(30000, 2), 44100)
    expected = audio.read(path).samples
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    np.testing.assert_array_equal(audio.read(path).samples, expected)
    assert audio.probe(path).frames is None


def test_chunks_after_the_sound_are_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(8001), 8000, subtype="PCM_U8")
    expected = audio.read(path).samples
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
    np.testing.assert_array_equal(audio.read(path).samples, expected)


def test_rf64(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(8000), 8000, format="RF64", subtype="PCM_16")
    np.testing.assert_array_equal(
        audio.read(path).samples, soundfile.read(path, dtype="float32")[0]
    )
    path.write_bytes(path.read_bytes()[:-8000])
    with pytest.raises(AudioError, match=r"cut short: only 0\.500 s of 1\.000 s"):
        audio.read(path)


def test_clipping_is_noted_and_loud_is_not_clipped(tmp_path: Path) -> None:
    wave = np.sin(np.arange(44100) * 2 * np.pi * 441 / 44100)
    path = tmp_path / "a.wav"
    soundfile.write(path, wave * 0.999, 44100, subtype="PCM_16")
    assert audio.read(path).notes == ()
    clipped = np.clip(wave * 2, -1, 1)
    share = 100 * np.mean(np.abs(clipped) == 1)
    for subtype in ("PCM_U8", "PCM_16", "FLOAT"):
        soundfile.write(path, clipped, 44100, subtype=subtype)
        (note,) = audio.read(path).notes
        got = float(note.removeprefix("clipped: ").removesuffix(" % of samples at full scale"))
        assert got == pytest.approx(share, abs=2 if subtype == "PCM_U8" else 0.1)
    # Clipping that happened before the file was made quieter cannot be distinguished from music.
    soundfile.write(path, clipped * 0.5, 44100, subtype="PCM_16")
    assert audio.read(path).notes == ()


def test_clipping_of_one_channel_is_seen_before_the_mean(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    frames = noise(8000, 2)
    frames[1000:1100, 1] = 1.0
    soundfile.write(path, frames, 8000, subtype="PCM_16")
    assert audio.read(path).notes == ("clipped: 0.6 % of samples at full scale",)
    assert audio.read(path, channel="left").notes == ()


def test_values_over_full_scale_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(8000) * 4, 8000, subtype="FLOAT")
    np.testing.assert_array_equal(audio.read(path).samples, noise(8000) * 4)


@pytest.mark.alone
def test_reading_takes_little_longer_than_soundfile(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(441000), 44100)

    def best(call: object) -> float:
        times = []
        for _ in range(20):
            begin = time.perf_counter()
            call()  # type: ignore[operator]
            times.append(time.perf_counter() - begin)
        return min(times)

    bare = best(lambda: soundfile.read(path, dtype="float32"))
    # 1.2 here; the bound leaves room for a busy machine.
    assert best(lambda: audio.read(path)) < 2 * bare


def test_what_a_clip_refuses() -> None:
    for wrong in (np.zeros((2, 8), np.float32), np.zeros(8, np.int16)):
        with pytest.raises(AudioError, match="Expected mono float32"):
            audio.Clip(wrong, 8000)  # type: ignore[arg-type]
    with pytest.raises(AudioError, match="has no samples"):
        audio.Clip(np.zeros(0, np.float32), 8000)
    with pytest.raises(AudioError, match="rate_hz is 0"):
        audio.Clip(np.zeros(8, np.float32), 0)
    clip = audio.Clip(np.zeros(8), 8000)  # type: ignore[arg-type]  # which is converted
    assert clip.samples.dtype == np.float32
    assert clip.duration_s == 0.001
    with pytest.raises(AudioError, match="silence"):
        audio.check(clip)
    assert audio.check(clip, allow_silence=True) is clip
