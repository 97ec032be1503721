"""Every bad file has a one-line error: the problem, what was expected, and the fix."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from anymic import audio
from anymic.codecs import Codec
from anymic.devices.identification.descriptions import Analysis, describe
from anymic.errors import AudioError

RATE_HZ = 22050


def sound(channels: int = 1) -> np.ndarray:
    """Return two seconds of noise, (sample,) or (sample, channel) float32."""
    shape = 2 * RATE_HZ if channels == 1 else (2 * RATE_HZ, channels)
    return np.random.default_rng(1).uniform(-0.5, 0.5, shape).astype(np.float32)


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: round(share * len(data))])


def missing(folder: Path) -> Path:
    return folder / "missing.wav"


def a_folder(folder: Path) -> Path:
    return folder


def no_bytes(folder: Path) -> Path:
    (folder / "a.wav").touch()
    return folder / "a.wav"


def text(folder: Path) -> Path:
    (folder / "a.wav").write_text("404: the sound you asked for is not hére\n" * 300)
    return folder / "a.wav"


def short_text(folder: Path) -> Path:
    (folder / "a.mp3").write_text("x")
    return folder / "a.mp3"


def wide_text(folder: Path) -> Path:
    (folder / "a.mp3").write_bytes("nicht gefunden\n".encode("utf-16"))
    return folder / "a.mp3"


def playlist(folder: Path) -> Path:
    (folder / "a.mp3").write_text("#EXTM3U\nhttp://127.0.0.1:9/a.mp3\n")
    return folder / "a.mp3"


def random_bytes(folder: Path) -> Path:
    (folder / "a.mp3").write_bytes(np.random.default_rng(2).bytes(200_000))
    return folder / "a.mp3"


def zeros(folder: Path) -> Path:
    (folder / "a.wav").write_bytes(bytes(10_000))
    return folder / "a.wav"


def a_picture(folder: Path) -> Path:
    (folder / "a.wav").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    return folder / "a.wav"


def header_only(form: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"a.{form}"
        soundfile.write(path, np.zeros(0, np.float32), RATE_HZ)
        return path

    make.__name__ = f"header_only_{form}"
    return make


def flac_header_only(folder: Path) -> Path:
    path = folder / "a.flac"
    soundfile.write(path, sound(), RATE_HZ)
    data = bytearray(path.read_bytes()[:42])  # the stream's description, without a length
    data[4] |= 0x80
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    return path


def bare_riff(folder: Path) -> Path:
    (folder / "a.wav").write_bytes(b"RIFF\x24\0\0\0WAVE")
    return folder / "a.wav"


def cut_before_sound(folder: Path) -> Path:
    path = folder / "a.wav"
    soundfile.write(path, sound(), RATE_HZ)
    path.write_bytes(path.read_bytes()[:44])
    return path


def truncated(form: str, share: float) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"a.{form}"
        soundfile.write(path, sound(), RATE_HZ)
        cut(path, share)
        return path

    make.__name__ = f"truncated_{form}_{share}"
    return make


def damaged(form: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"a.{form}"
        soundfile.write(path, sound(), RATE_HZ)
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
        path.write_bytes(data)
        return path

    make.__name__ = f"damaged_{form}"
    return make


def with_value(value: float) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        samples = sound(2)
        samples[RATE_HZ, 1] = value
        soundfile.write(folder / "a.wav", samples, RATE_HZ, subtype="FLOAT")
        return folder / "a.wav"

    make.__name__ = f"with_{value}"
    return make


def silent(folder: Path) -> Path:
    soundfile.write(folder / "a.flac", np.zeros(RATE_HZ), RATE_HZ)
    return folder / "a.flac"


def cancelling(folder: Path) -> Path:
    one = sound()
    soundfile.write(folder / "a.wav", np.stack([one, -one], axis=1), RATE_HZ, subtype="FLOAT")
    return folder / "a.wav"


CASES = [
    (missing, "No file at .*Expected an audio file. Check the path"),
    (a_folder, "is a folder. Expected an audio file. Pass the files"),
    (no_bytes, "0 bytes. Expected an audio file"),
    (text, "contains text. Expected an audio file. Look inside"),
    (short_text, "contains text. Expected an audio file"),
    (wide_text, "contains text. Expected an audio file"),
    (playlist, "contains text. Expected an audio file"),
    (random_bytes, "in no known audio format. Expected WAV, FLAC"),
    (zeros, "in no known audio format. Expected WAV, FLAC"),
    (a_picture, "in no known audio format. Expected WAV, FLAC"),
    (bare_riff, r"begins as wav but cannot be opened .*\. Fetch it again"),
    (header_only("wav"), "header but no samples"),
    (flac_header_only, "header but no samples|begins as flac but cannot be opened"),
    (header_only("aiff"), "header but no samples"),
    (cut_before_sound, r"only 0\.000 s of 2\.000 s|only 0\.000 s can be decoded"),
    (truncated("wav", 0.5), r"cut short: only 0\.99\d s of 2\.000 s .*duration_s=0\.99"),
    (truncated("aiff", 0.5), r"cut short: only \d\.\d+ s of [12]\.\d+ s .*duration_s="),
    (truncated("flac", 0.5), r"cut short: only 0\.\d+ s of 2\.000 s .*duration_s=0\."),
    (truncated("flac", 0.999), r"cut short: only 1\.\d+ s of 2\.000 s"),
    (truncated("flac", 0.01), r"only 0\.000 s of 2\.000 s|cannot be opened"),
    (truncated("ogg", 0.6), r"cut short: only [01]\.\d+ s can be decoded.*duration_s="),
    (truncated("ogg", 0.01), "begins as ogg but cannot be opened"),
    (damaged("flac"), r"damaged or cut short: only 0\.\d+ s of 2\.000 s"),
    (damaged("ogg"), r"damaged within: only [01]\.\d+ s of 2\.000 s .*again\.$"),
    (with_value(np.nan), r"1 NaN or infinite samples, the first at 1\.000 s\. Expected finite"),
    (with_value(np.inf), r"1 NaN or infinite samples, the first at 1\.000 s\. Expected finite"),
    (with_value(-1e38), r"1 samples? beyond 1e\+10 times full scale, the first at 1\.000 s\."),
    (with_value(-np.inf), r"1 NaN or infinite samples, the first at 1\.000 s\. Expected finite"),
    (silent, "is silent .*every sample is 0.*allow_silence=True"),
    (cancelling, "is silent .*channels cancel"),
]


@pytest.mark.parametrize(("make", "line"), CASES, ids=[make.__name__ for make, _ in CASES])
def test_a_bad_file_is_one_line(
    tmp_path: Path, make: Callable[[Path], Path], line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    with pytest.raises(AudioError, match=line) as caught:
        audio.read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    for part in (caught.value.problem, caught.value.expected, caught.value.fix):
        assert part
    # Streaming finds the same, at the latest at the end.
    with pytest.raises(AudioError, match=line):
        list(audio.stream(path, window_s=0.3))
    assert capfd.readouterr() == ("", ""), "the libraries beneath wrote to the terminal"


@pytest.mark.parametrize(
    "make",
    [make for make, _ in CASES[:15]] + [truncated("wav", 0.5), truncated("ogg", 0.6)],
    ids=lambda make: make.__name__,
)
def test_probe_refuses_what_the_header_shows(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    with pytest.raises(AudioError, match="Expected"):
        audio.probe(make(tmp_path))


@pytest.mark.parametrize("form", ["wav", "flac", "ogg"])
def test_the_remedy_for_a_cut_file_works(tmp_path: Path, form: str) -> None:
    path = truncated(form, 0.6)(tmp_path)
    with pytest.raises(AudioError) as caught:
        audio.read(path)
    there_s = float(caught.value.fix.rpartition("duration_s=")[2])
    clip = audio.read(path, duration_s=there_s)
    assert clip.duration_s == pytest.approx(there_s, abs=1e-3)
    if form != "ogg":
        np.testing.assert_allclose(clip.samples, sound()[: len(clip.samples)], atol=1e-4)
    with pytest.raises(AudioError, match="cut short"):
        audio.read(path, duration_s=there_s + 0.1)


def test_silence_passes_when_asked(tmp_path: Path) -> None:
    path = silent(tmp_path)
    assert not audio.read(path, allow_silence=True).samples.any()
    assert len(list(audio.stream(path, window_s=0.5, allow_silence=True))) == 2


def test_nan_in_a_channel_that_is_not_read_does_not_matter(tmp_path: Path) -> None:
    path = with_value(np.nan)(tmp_path)
    assert np.isfinite(audio.read(path, channel="left").samples).all()
    with pytest.raises(AudioError, match="NaN"):
        audio.read(path, channel="right")


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="pipe"):
        audio.read(tmp_path / "a.wav")


def test_a_server_that_does_not_answer() -> None:
    with pytest.raises(AudioError, match=r"http://127\.0\.0\.1:9/a\.mp3 cannot be read"):
        audio.read("http://127.0.0.1:9/a.mp3")


def test_a_name_with_a_null_byte() -> None:
    with pytest.raises(AudioError, match="cannot be opened"):
        audio.read("a\0b.wav")


def test_a_header_of_absurd_length_does_not_take_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, sound(), RATE_HZ)
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"only 2\.000 s of \d+\.\d+ s"):
        audio.read(path)


def test_a_wav_with_less_than_its_header_states_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(), RATE_HZ)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", 4 * RATE_HZ + 2 * RATE_HZ)
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"only 2\.000 s of 3\.000 s"):
        audio.read(path)


def test_an_array_in_place_of_a_clip_is_refused(tmp_path: Path) -> None:
    samples: Any = sound()
    for call in (
        lambda: audio.check(samples),
        lambda: audio.resample(samples, 8000),
        lambda: audio.fit_length(samples, 1.0),
        lambda: audio.trim_silence(samples),
        lambda: audio.write(tmp_path / "a.wav", samples),
        lambda: Codec("mu-law").apply(samples),
        lambda: describe(samples, Analysis.of(RATE_HZ)),
    ):
        with pytest.raises(AudioError, match=r"type ndarray is not a Clip.*Clip\(samples"):
            call()


def test_a_silent_part_is_named_by_its_start(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, np.concatenate([sound(), np.zeros(RATE_HZ, np.float32)]), RATE_HZ)
    with pytest.raises(AudioError, match=r"x\.wav from 2\.000 s is silent"):
        audio.read(path, start_s=2.0, duration_s=0.5)
