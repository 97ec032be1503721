"""What is written is what is read; what cannot be written leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from anymic import audio
from anymic.audio import Clip
from anymic.errors import AudioError


def noise(samples: int = 30000) -> np.ndarray:
    return np.random.default_rng(8).uniform(-1, 1, samples).astype(np.float32)


def test_float_wav_is_the_identity(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    audio.write(path, Clip(noise() * 3, 44100))
    clip = audio.read(path)
    np.testing.assert_array_equal(clip.samples, noise() * 3)
    assert (clip.rate_hz, audio.probe(path).format) == (44100, "WAV FLOAT")


@pytest.mark.parametrize(
    ("name", "subtype", "bits"),
    [
        ("a.wav", "PCM_U8", 8),
        ("a.wav", "PCM_16", 16),
        ("a.wav", "PCM_24", 24),
        ("a.wav", "PCM_32", 32),
        ("a.flac", "PCM_S8", 8),
        ("a.flac", "PCM_16", 16),
        ("a.flac", None, 24),
    ],
)
def test_integers_are_rounded_once_and_then_stay(
    tmp_path: Path, name: str, subtype: str | None, bits: int
) -> None:
    path = tmp_path / name
    source = np.float32(0.99) * noise()  # +1.0 is a whole step off
    audio.write(path, Clip(source, 16000), subtype=subtype)
    once = audio.read(path)
    # Half a step; float32 itself is no finer than 2^-24.
    assert np.abs(once.samples - source).max() <= max(2.0**-bits, 2.0**-24)
    bare, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(once.samples, bare)
    for _ in range(3):
        audio.write(path, audio.read(path), subtype=subtype)
    np.testing.assert_array_equal(audio.read(path).samples, once.samples)


def test_all_sixteen_bit_values_survive(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    values = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(path, values, 8000)
    audio.write(path, audio.read(path), subtype="PCM_16")
    np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], values)


@pytest.mark.parametrize(("name", "subtype"), [("a.wav", "PCM_16"), ("a.flac", None)])
def test_over_full_scale_is_refused_or_limited(
    tmp_path: Path, name: str, subtype: str | None
) -> None:
    path = tmp_path / name
    loud = Clip(noise() * 2, 16000, path="loud.wav")
    with pytest.raises(AudioError, match=r"loud.wav has a peak of 2.000. .*gain by 6.02 dB"):
        audio.write(path, loud, subtype=subtype)
    assert list(tmp_path.iterdir()) == []
    audio.write(path, loud, subtype=subtype, clip=True)
    np.testing.assert_allclose(audio.read(path).samples, np.clip(noise() * 2, -1, 1), atol=2**-15)
    full = Clip(np.array([1, -1, 0.5], np.float32), 16000)
    audio.write(path, full, subtype=subtype)
    np.testing.assert_allclose(audio.read(path).samples, full.samples, atol=2**-15)


def test_companded_formats_are_limited_too(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"at most 1\.0 for ULAW"):
        audio.write(tmp_path / "a.wav", Clip(noise() * 2, 8000), subtype="ULAW")
    audio.write(tmp_path / "a.wav", Clip(noise() * 2, 8000), subtype="ULAW", clip=True)
    np.testing.assert_allclose(
        audio.read(tmp_path / "a.wav").samples, np.clip(noise() * 2, -1, 1), atol=0.03
    )


def test_long_vorbis(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    audio.write(path, Clip(np.float32(0.25) * noise(2_000_000), 44100))
    assert len(audio.read(path).samples) == 2_000_000


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_the_same_clip_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    audio.write(path, Clip(noise(), 44100))
    first = path.read_bytes()
    # libsndfile writes the current time into float WAV files; `write` sets it to 0.
    at = first.find(b"PEAK")
    assert name != "a.wav" or (at > 0 and first[at + 12 : at + 16] == bytes(4))
    audio.write(path, Clip(noise(), 44100))
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("name", "subtype", "line"),
    [
        ("a.mp3", None, r".*a.mp3 cannot be written\. Expected .wav, .flac, .ogg\. Choose"),
        ("a", None, r"Expected .wav, .flac, .ogg"),
        ("a.flac", "FLOAT", "cannot be written as FLOAT. Expected .*PCM_16"),
        ("a.wav", "PCM_12", "cannot be written as PCM_12. Expected .*PCM_16"),
        ("missing/a.wav", None, r"cannot be written .*\. Create the folder"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, name: str, subtype: str | None, line: str) -> None:
    with pytest.raises(AudioError, match=line):
        audio.write(tmp_path / name, Clip(noise(), 8000), subtype=subtype)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    audio.write(path, Clip(noise(), 8000))
    before = path.read_bytes()
    for bad in (
        Clip(noise(), 1_000_000),  # no rate of FLAC
        Clip(np.full(8, np.nan), 8000),
        Clip(noise() * 2, 8000),
    ):
        with pytest.raises(AudioError, match="Expected"):
            audio.write(path, bad)
    (tmp_path / "b.flac").mkdir()
    with pytest.raises(AudioError, match="cannot be written"):
        audio.write(tmp_path / "b.flac", Clip(noise(), 8000))
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.flac", "b.flac"]
