"""Files whose header counts too few or too many samples are read whole, or the reader is told."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from tests.odd_files import writing as odd
from tests.odd_files import wrong

from anymic import audio
from anymic.data.manifest import Manifest
from anymic.data.pieces import cut_rows
from anymic.errors import AudioError, Failure, attempt
from anymic.training.windows import survey

FEWER = "its header counts fewer samples than were decoded"
# FFmpeg 8.1 (PyAV 18) reads a little further in some cut files; older ones are refused, not noted.
OLD_FFMPEG = pytest.mark.skipif(
    int(version("av").split(".")[0]) < 18, reason="PyAV before 18 refuses this file as cut short"
)
CUT = "the header states more samples than the file has: it may be cut short"


@pytest.mark.parametrize(("name", "case"), wrong.chained_cases().items())
def test_joined_files_are_read_whole(
    tmp_path: Path, name: str, case: tuple[Callable[[], bytes], int]
) -> None:
    make, samples = case
    path = odd.saved(tmp_path, name, make())
    clip = audio.read(path)
    assert len(clip.samples) == samples
    windows = [window.samples for window in audio.stream(path, window_s=0.7)]
    np.testing.assert_array_equal(np.concatenate(windows), clip.samples)
    stated = audio.probe(path).duration_s
    assert stated is None or stated == pytest.approx(clip.duration_s, abs=0.1)
    mark = b"fLaC" if name.endswith(".flac") else b"OggS\0\2"
    first = odd.saved(tmp_path, f"first_{name}", make()[: make().index(mark, 100)])
    alone = audio.read(first).samples
    np.testing.assert_allclose(clip.samples[: len(alone)], alone, atol=1e-4)
    later = audio.read(path, start_s=0.5, duration_s=2.2).samples
    begin = clip.rate_hz // 2
    np.testing.assert_array_equal(later, clip.samples[begin : begin + len(later)])


def test_joined_vorbis_is_what_its_streams_are(tmp_path: Path) -> None:
    lengths = [0.37, 1.0, 0.001, 2.2]
    streams = [
        odd.ogg_pages(odd.sound_file("OGG", "VORBIS", odd.noise(seconds, seed=at)), at + 5)
        for at, seconds in enumerate(lengths)
    ]
    alone = [
        soundfile.read(odd.saved(tmp_path, f"{at}.ogg", stream), dtype="float32")[0]
        for at, stream in enumerate(streams)
    ]
    path = odd.saved(tmp_path, "a.ogg", b"".join(streams))
    np.testing.assert_array_equal(audio.read(path).samples, np.concatenate(alone))
    with pytest.raises(AudioError, match="cut short"):
        audio.read(odd.saved(tmp_path, "cut.ogg", path.read_bytes()[:-100]))


def by_ffmpeg(folder: Path, name: str, codec: str, sound: np.ndarray, rate_hz: int) -> Path:
    """Encode with the program, which has encoders that PyAV lacks; skip where it has not."""
    soundfile.write(folder / "sound.wav", sound, rate_hz)
    made = folder / name
    command = ["ffmpeg", "-v", "error", "-i", str(folder / "sound.wav"), "-c:a", codec, str(made)]
    if shutil.which("ffmpeg") is None or subprocess.run(command).returncode:
        pytest.skip(f"there is no ffmpeg with {codec}")
    return made


def test_joined_speex_is_what_its_streams_are(tmp_path: Path) -> None:
    speex = by_ffmpeg(tmp_path, "a.spx", "libspeex", odd.noise(), odd.RATE_HZ)
    stream, alone = speex.read_bytes(), audio.read(speex).samples
    for number, second in enumerate((stream, odd.ogg_pages(stream, 7))):
        joined = odd.saved(tmp_path, f"{number}.ogg", stream + second)
        clip = audio.read(joined)
        np.testing.assert_array_equal(clip.samples, np.concatenate([alone, alone]))
        assert clip.notes == ()


def test_joined_streams_of_two_rates_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "b.ogg", odd.noise(), 8000)
    other = odd.ogg_pages((tmp_path / "b.ogg").read_bytes(), 5)
    joined = odd.sound_file("OGG", "VORBIS") + other
    with pytest.raises(AudioError, match=r"rate or the channels change|damaged or cut"):
        audio.read(odd.saved(tmp_path, "a.ogg", joined))


@OLD_FFMPEG
def test_the_sound_of_avi_is_read_and_a_cut_one_is_noted(tmp_path: Path) -> None:
    data = odd.film("avi", "pcm_s16le", video_s=3.0)
    path = odd.saved(tmp_path, "a.wav", data)  # the content decides, not the name
    whole = audio.read(path)
    np.testing.assert_allclose(whole.samples, odd.noise(), atol=1e-4)
    assert whole.notes == ()
    assert audio.length_s(path) == 2.0
    cut = audio.read(odd.saved(tmp_path, "cut.avi", data[: len(data) // 2]))
    assert "may be cut short" in cut.notes[0]
    np.testing.assert_array_equal(cut.samples, whole.samples[: len(cut.samples)])
    picture = b"RIFF" + (4).to_bytes(4, "little") + b"WEBP"
    with pytest.raises(AudioError, match="in no known audio format"):
        audio.read(odd.saved(tmp_path, "a.webp", picture))


@pytest.mark.parametrize("kind", ["sine", "noise"])
def test_a_coding_that_does_not_fit_its_container_is_not_read_in_silence(
    tmp_path: Path, kind: str
) -> None:
    sine = 0.1 * np.sin(2 * np.pi * 440 * np.arange(3 * 44100) / 44100)
    sound = sine if kind == "sine" else odd.noise(3, rate_hz=44100)
    path = by_ffmpeg(tmp_path, "a.wav", "libvorbis", sound, 44100)
    found = attempt(path, audio.read, path)
    assert isinstance(found, Failure) or found.notes == (CUT,)


def test_a_file_without_a_stated_length_is_measured(tmp_path: Path) -> None:
    path = odd.saved(tmp_path, "a.mp3", odd.mp3(xing=False))
    assert audio.probe(path).duration_s is None
    length_s = audio.length_s(path)
    assert length_s == audio.read(path).duration_s == pytest.approx(2.0, abs=0.1)
    clips = Manifest.from_table(pd.DataFrame({"path": ["a.mp3"], "label": ["a"]}), tmp_path)
    assert survey(clips).durations_s == (length_s,)
    (piece,) = cut_rows(clips, length_s=2.0)[0].table["duration_s"]
    assert piece == pytest.approx(2.0)


@pytest.mark.parametrize("count", [1, 16000, 31000, 31999])
def test_flac_that_counts_too_few_samples(tmp_path: Path, count: int) -> None:
    data = odd.sound_file("FLAC", "PCM_16")
    whole = audio.read(odd.saved(tmp_path, "whole.flac", data))
    assert whole.notes == ()
    path = odd.saved(tmp_path, "a.flac", wrong.with_flac_count(data, count))
    clip = audio.read(path)
    np.testing.assert_array_equal(clip.samples, whole.samples)
    assert clip.notes == (FEWER,)
    assert audio.probe(path).frames is None
    last = audio.read(path, start_s=1.5).samples
    np.testing.assert_array_equal(last, whole.samples[24000:])


@pytest.mark.parametrize("bits", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("samples", [1, 191, 192, 4096, 4097, 4608, 40000])
def test_flac_that_counts_right_is_not_noted(tmp_path: Path, bits: str, samples: int) -> None:
    sound = odd.noise(3)[:samples]
    path = odd.saved(tmp_path, "a.flac", odd.sound_file("FLAC", bits, sound))
    clip = audio.read(path)
    assert (len(clip.samples), clip.notes) == (samples, ())
    assert audio.probe(path).format == f"FLAC {bits}"


@pytest.mark.parametrize("seed", [89, 156])
def test_flac_with_bytes_like_the_header_of_a_reserved_block_size(
    tmp_path: Path, seed: int
) -> None:
    sound = np.random.default_rng(seed).uniform(-0.5, 0.5, 8000)
    soundfile.write(tmp_path / "a.flac", sound, 16000, subtype="PCM_24")
    clip = audio.read(tmp_path / "a.flac")
    assert (len(clip.samples), clip.notes) == (8000, ())


@pytest.mark.parametrize("form", ["AU", "W64", pytest.param("CAF", marks=OLD_FFMPEG)])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_cut_file_of_these_formats_is_noted(tmp_path: Path, form: str, share: float) -> None:
    data = odd.sound_file(form, "PCM_16")
    whole = audio.read(odd.saved(tmp_path, f"whole.{form.lower()}", data))
    assert whole.notes == ()
    path = odd.saved(tmp_path, f"a.{form.lower()}", data[: round(share * len(data))])
    clip = audio.read(path)
    assert clip.notes == (CUT,)
    assert len(clip.samples) == pytest.approx(share * 32000, abs=2100)
    np.testing.assert_array_equal(clip.samples, whole.samples[: len(clip.samples)])
    assert {window.notes for window in audio.stream(path, window_s=0.1)} == {(CUT,)}


def test_samples_after_those_that_a_wav_states_are_noted(tmp_path: Path) -> None:
    pcm = odd.ints(odd.noise())
    clip = audio.read(odd.saved(tmp_path, "a.wav", odd.wav(pcm, size=32000)))
    assert len(clip.samples) == 16000
    assert clip.notes == ("32000 bytes after the samples that its header states are not read",)
    clip = audio.read(odd.saved(tmp_path, "joined.wav", 2 * odd.wav(pcm)))
    assert len(clip.samples) == 32000
    assert clip.notes == ("64044 bytes after the samples that its header states are not read",)
    data = odd.wav(pcm) + odd.chunk(b"LIST", bytes(20_000)) + odd.chunk(b"id3 ", bytes(7000))
    assert audio.read(odd.saved(tmp_path, "b.wav", data)).notes == ()


FRAMES = (1 << 30) + 500_000  # of four bytes: more than 32 bits count


@pytest.mark.parametrize("size", [4 * FRAMES - (1 << 32), 0xFFFFFFFF, 0, 0x7FFFF000])
def test_wav_over_four_gigabytes(tmp_path: Path, size: int) -> None:
    path = wrong.sparse_wav(tmp_path, size=size, frames=FRAMES)
    info = audio.probe(path)
    assert (info.frames, info.rate_hz, info.channels) == (FRAMES, 48000, 2)
    end = audio.read(path, start_s=(FRAMES - 3000) / 48000)
    np.testing.assert_array_equal(end.samples, np.repeat([0, 0.25], [2000, 1000]))
    with pytest.raises(AudioError, match="not within"):
        audio.read(path, start_s=(FRAMES - 3000) / 48000, duration_s=1.0)
    path.unlink()  # sparse, but some file systems count it
