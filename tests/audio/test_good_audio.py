"""Audio that FFmpeg decodes is read, whatever its container or its header claims about it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from tests.odd_files import good
from tests.odd_files import writing as odd

from anymic import audio
from anymic.errors import AudioError


def decoded(path: Path) -> np.ndarray:
    """Return what FFmpeg decodes of a mono file, (sample,) float32, without what it cannot."""
    pieces = []
    with av.open(str(path), metadata_errors="ignore") as container:
        for packet in container.demux(audio=0):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                values = frame.to_ndarray()
                if values.dtype.kind == "i":
                    values = values.astype(np.float64) / 2.0 ** (8 * values.itemsize - 1)
                elif values.dtype == np.uint8:
                    values = (values.astype(np.float64) - 128) / 128
                pieces.append(values.reshape(-1, frame.layout.nb_channels).mean(axis=1))
    return np.concatenate(pieces)


def check(path: Path, expected: np.ndarray, *, notes: tuple[str, ...] = ()) -> None:
    """Compare the whole, the windows and a part of a file with the samples expected."""
    clip = audio.read(path)
    np.testing.assert_allclose(clip.samples, expected, atol=1e-6)
    assert clip.notes == notes
    windows = [window.samples for window in audio.stream(path, window_s=0.3)]
    np.testing.assert_array_equal(np.concatenate(windows), clip.samples)
    part = audio.read(path, start_s=0.5, duration_s=0.25)
    first = round(0.5 * clip.rate_hz)
    np.testing.assert_array_equal(part.samples, clip.samples[first:][: len(part.samples)])
    assert part.duration_s == pytest.approx(0.25, abs=0.001)
    stated = audio.probe(path).duration_s
    assert stated is None or stated == pytest.approx(clip.duration_s, abs=0.1)


FILMS = {"mkv": ("matroska", "aac"), "mp4": ("mp4", "aac"), "webm": ("webm", "libopus")}
FILMS["mov"] = ("mov", "pcm_s16le")
FILMS["mka"] = ("matroska", "flac")


@pytest.mark.parametrize("ending", FILMS)
@pytest.mark.parametrize(
    "kind",
    [
        {"video_s": 5.0},
        {"video_s": 5.0, "late_s": 1.5},
        {"late_s": 1.5},
        {"video_s": 1.0},
    ],
    ids=str,
)
def test_a_film_of_another_length_than_its_sound(
    tmp_path: Path, ending: str, kind: dict[str, float]
) -> None:
    form, codec = FILMS[ending]
    path = odd.saved(tmp_path, f"a.{ending}", odd.film(form, codec, rate_hz=48000, **kind))
    expected = decoded(path)
    assert len(expected) == pytest.approx(2 * 48000, abs=1.5 * 1024)
    clip = audio.read(path)
    late = kind.get("late_s", 0.0) > 0 and "video_s" in kind
    check(path, expected, notes=clip.notes if late else ())
    if late:
        (note,) = clip.notes
        assert float(note.split()[3]) == pytest.approx(1.5, abs=0.05)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg adds the subtitles")
@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_subtitles_longer_than_the_sound(tmp_path: Path, ending: str) -> None:
    sound = odd.saved(tmp_path, "a.wav", odd.wav(odd.ints(odd.noise())))
    text = "1\n00:00:01,000 --> 00:00:09,000\nnoise\n\n2\n00:00:12,000 --> 00:00:15,000\nno more\n"
    subtitles = odd.saved(tmp_path, "a.srt", text.encode())
    path = tmp_path / f"a.{ending}"
    inputs = ["-i", str(sound), "-i", str(subtitles)]
    coding = ["-c:a", "aac", "-c:s", "srt" if ending == "mkv" else "mov_text"]
    subprocess.run(["ffmpeg", "-v", "error", *inputs, *coding, str(path)], check=True)
    check(path, decoded(path))


@pytest.mark.parametrize("ending", ["mkv", "mp4", "webm", "mka"])
@pytest.mark.parametrize("video_s", [0.0, 5.0])
def test_a_pause_becomes_silence_of_its_length(tmp_path: Path, ending: str, video_s: float) -> None:
    form, codec = FILMS[ending]
    data = odd.film(form, codec, rate_hz=48000, pause_s=1.25, video_s=video_s)
    path = odd.saved(tmp_path, f"a.{ending}", data)
    sound = decoded(path)
    samples = audio.read(path).samples
    assert len(samples) - len(sound) == pytest.approx(1.25 * 48000, abs=60)
    gap = len(samples) - len(sound)
    begin = int(np.argmax(np.abs(samples[: len(sound)] - sound) > 1e-6))
    expected = np.concatenate([sound[:begin], np.zeros(gap), sound[begin:]])
    note = f"pauses of {gap / 48000:.3f} s in total were filled with silence"
    check(path, expected, notes=audio.read(path).notes)
    (noted,) = audio.read(path).notes
    assert noted.partition("s in")[2] == note.partition("s in")[2]
    assert float(noted.split()[2]) == pytest.approx(1.25, abs=0.002)
    assert begin == pytest.approx(48000, abs=4608)  # a packet of FLAC


@pytest.mark.parametrize(("name", "make"), good.mp3_cases().items())
def test_mp3_with_other_bytes_around_it(
    tmp_path: Path, name: str, make: Callable[[], bytes]
) -> None:
    path = odd.saved(tmp_path, name, make())
    zeros = "zero" in name
    check(path, decoded(path), notes=("bytes at its end are not audio",) if zeros else ())


@pytest.mark.parametrize("xing", [True, False])
def test_mp3_that_was_cut_is_still_told(tmp_path: Path, xing: bool) -> None:
    data = odd.mp3(xing=xing)
    path = odd.saved(tmp_path, "a.mp3", data[: len(data) * 6 // 10])
    if xing:
        with pytest.raises(AudioError, match="cut short"):
            audio.read(path)
    else:
        (note,) = audio.read(path).notes
        assert "may lack its end" in note


@pytest.mark.parametrize(("name", "case"), good.tagged_cases().items())
def test_tags_in_front_of_other_formats(
    tmp_path: Path, name: str, case: tuple[bytes, Callable[[], bytes]]
) -> None:
    tags, make = case
    data = make()
    plain = audio.read(odd.saved(tmp_path, f"plain_{name}", data))
    check(odd.saved(tmp_path, name, tags + data), plain.samples)


@pytest.mark.parametrize(("name", "make"), good.sized_cases().items())
def test_a_length_that_the_header_does_not_tell(
    tmp_path: Path, name: str, make: Callable[[], bytes]
) -> None:
    path = odd.saved(tmp_path, name, make())
    clip = audio.read(path)
    beyond_ffmpeg = name in ("pipe.aiff", "pipe.w64", "pipe_rf64.wav") or "rifx" in name
    check(path, clip.samples if beyond_ffmpeg else decoded(path))
    if "stereo" not in name:
        assert len(clip.samples) == 2 * odd.RATE_HZ
        np.testing.assert_allclose(clip.samples[16:], odd.noise()[16:], atol=2**-14)


@pytest.mark.parametrize(("name", "make"), good.compressed_wav_cases().items())
def test_compressed_samples_in_wav(tmp_path: Path, name: str, make: Callable[[], bytes]) -> None:
    path = odd.saved(tmp_path, name, make())
    check(path, decoded(path))


@pytest.mark.parametrize("subtype", ["GSM610", "IMA_ADPCM", "MS_ADPCM"])
def test_parts_of_wav_that_cannot_be_sought(tmp_path: Path, subtype: str) -> None:
    path = odd.saved(tmp_path, "a.wav", odd.sound_file("WAV", subtype))
    with soundfile.SoundFile(path) as file:
        expected = file.read(file.frames, dtype="float32")
    check(path, expected)


@pytest.mark.parametrize(("name", "make"), good.latin1_tag_cases().items())
def test_tags_in_latin_1(tmp_path: Path, name: str, make: Callable[[], bytes]) -> None:
    data = make()
    assert b"Caf\xe9 Ritter" in data
    path = odd.saved(tmp_path, name, data)
    check(path, decoded(path))


@pytest.mark.parametrize("ending", [".wav", ".flac", ".mp3", ".m4a"])
def test_a_name_that_is_not_utf_8(tmp_path: Path, ending: str) -> None:
    data = {
        ".wav": odd.wav(odd.ints(odd.noise())),
        ".flac": odd.sound_file("FLAC", "PCM_16"),
        ".mp3": odd.mp3(),
        ".m4a": odd.coded("mp4", "aac"),
    }[ending]
    plain = odd.saved(tmp_path, f"plain{ending}", data)
    named = tmp_path / f"caf\udce9{ending}"
    named.write_bytes(data)
    assert b"\xe9" in bytes(named)
    np.testing.assert_array_equal(audio.read(named).samples, audio.read(plain).samples)
    assert audio.probe(named).frames == audio.probe(plain).frames
