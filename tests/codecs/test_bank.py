"""The bank of codecs: level, bitrate, other bitrates, FFmpeg's own decoder, lost packets, files."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from scipy import signal
from tests.codecs.test_codec import ONE_EACH, SPEECH, available, noise

from anymic import audio
from anymic._internal import lc3
from anymic.audio import Clip
from anymic.codecs import Codec, table
from anymic.codecs.backends import amrwb
from anymic.errors import AudioError, ConfigError, DependencyError

# What a bare stream, which states no format, must be called to be read again.
SUFFIXES = {"adts": "aac", "sbc": "sbc", "aptx": "aptx", "aptx_hd": "aptxhd", "g722": "g722"}


def frame_kbps(codec: Codec, clip: Clip, frame_s: float) -> float:
    """Return the bitrate of a clip whose last frame is not full, without headers."""
    assert codec.kbps is not None
    frames = np.ceil(clip.duration_s / frame_s)
    return float(codec.kbps * frames * frame_s / clip.duration_s)


@pytest.mark.parametrize("codec", ONE_EACH, ids=str)
def test_the_level_of_the_middle_of_the_band_is_kept(codec: Codec) -> None:
    """Within 0.2 dB from 500 to 2000 Hz; coders of speech lose up to 2.5 dB of noise."""
    samples = signal.lfilter([1], [1, -0.95], np.random.default_rng(1).standard_normal(88200))
    clip = Clip((0.3 * samples / np.abs(samples).max()).astype(np.float32), 44100)
    decoded = available(codec).apply(clip).clip
    hz, before = signal.welch(clip.samples, 44100, nperseg=4096)
    _, after = signal.welch(decoded.samples, 44100, nperseg=4096)
    band = (hz > 500) & (hz < 2000)
    level_db = 10 * np.log10(after[band].sum() / before[band].sum())
    assert abs(level_db) < (2.5 if codec.name in SPEECH else 0.2)


@pytest.mark.parametrize(
    ("codec", "frame_s"),
    [
        ("msbc 60.8", 0.0075),
        ("gsm 13", 0.04),
        ("amr-wb 12.65", 0.02),
        ("g726 32", 0.001),
        ("lc3 96", 0.01),
        ("lc3-short 96", 0.0075),
        ("a-law 64", 0.001),
        ("aptx 384", 1 / 12000),
    ],
)
def test_the_bitrate_of_a_short_clip_is_that_of_its_frames(codec: str, frame_s: float) -> None:
    """Of 0.2 s: as many frames as it needs and at most one for the delay, a header, a block."""
    chosen, clip = available(Codec.parse(codec)), noise(seconds=0.2)
    measured = chosen.apply(clip).kbps
    wanted = frame_kbps(chosen, clip, frame_s)
    spare = 8 * 100 / clip.duration_s / 1000  # a header of at most 100 bytes
    assert chosen.kbps is not None
    assert measured is not None
    spare += 2 * chosen.kbps * max(frame_s, 1024 / 48000) / clip.duration_s
    assert 0.99 * wanted < measured < wanted * 1.1 + spare


@pytest.mark.parametrize(
    "text",
    ["aac 40", "he-aac 20", "opus 20", "opus-voice 14", "sbc 80", "vorbis 70", "lc3 70"],
)
def test_bitrates_between_the_listed_ones_are_encoded(text: str) -> None:
    codec = available(Codec.parse(text))
    assert codec.kbps not in codec.spec.kbps
    assert Codec.parse(str(codec)) == codec
    coded = codec.apply(noise(seconds=2))
    assert codec.kbps is not None
    assert coded.kbps == pytest.approx(codec.kbps, rel=0.15, abs=8 if "vorbis" in text else 3)


@pytest.mark.parametrize("text", ["mp3 33", "g726 20", "amr-wb 12", "opus 200", "aptx 300"])
def test_bitrates_that_a_codec_has_not_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="does not support") as refusal:
        Codec.parse(text)
    assert "\n" not in str(refusal.value)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the program ffmpeg is not installed")
@pytest.mark.parametrize("codec", ONE_EACH, ids=str)
def test_the_ffmpeg_program_decodes_the_same(codec: Codec, tmp_path: Path) -> None:
    """The same bytes, another version of FFmpeg: the same samples, but for rounding."""
    if codec.spec.container == "lc3":
        pytest.skip("FFmpeg decodes LC3 only with liblc3, which its builds lack")
    data = available(codec).apply(noise(seconds=0.5)).data
    samples, rate_hz = codec.spec.backend.decode(codec.spec, data)  # type: ignore[union-attr]
    form = {"adts": "aac"}.get(codec.spec.container, codec.spec.container)
    (tmp_path / "coded").write_bytes(data)
    command = ["ffmpeg", "-loglevel", "error", "-f", form, "-i", str(tmp_path / "coded")]
    command += ["-c:a", "pcm_f32le", str(tmp_path / "out.wav")]
    subprocess.run(command, check=True)
    other, other_hz = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    assert other_hz == rate_hz
    first = other[:, 0]
    # Programs skip what they take for the encoder's delay, or cut the end where it is stated.
    skipped = len(samples) - len(first) if codec.spec.container == "adts" else 0
    begin = max(0, skipped)
    count = min(len(first), len(samples) - begin)
    assert count > 0.9 * 0.5 * rate_hz - 2048
    inexact = codec.spec.container in ("ogg", "mp3", "adts") or "amr" in codec.name
    atol = 2e-3 if inexact else 1e-6
    if codec.name in ("gsm", "ima-adpcm"):  # versions of FFmpeg round ADPCM differently
        atol = 1 / 32768 if codec.name == "gsm" else 4e-3
    np.testing.assert_allclose(first[:count], samples[begin : begin + count], atol=atol)


@pytest.mark.parametrize("codec", ONE_EACH, ids=str)
def test_an_encoded_file_is_read_again(codec: Codec, tmp_path: Path) -> None:
    """By its content, or a bare stream by its suffix: the samples that its backend decodes."""
    coded = available(codec).apply(noise(seconds=0.5))
    container = codec.spec.container
    file = tmp_path / f"kept.{SUFFIXES.get(container, container)}"
    file.write_bytes(coded.data)
    read = audio.read(file)
    assert codec.spec.backend is not None
    samples, rate_hz = codec.spec.backend.decode(codec.spec, coded.data)
    assert read.rate_hz == rate_hz
    assert read.duration_s == pytest.approx(0.5, abs=0.3)  # delay, and whole frames
    middle = read.samples[len(read.samples) // 4 : len(read.samples) // 2]
    where = int(np.argmax(np.correlate(samples, middle, "valid")))
    # Two channels are averaged, each of which has its own quantization noise (aptX, HE-AAC).
    same = np.corrcoef(middle, samples[where : where + len(middle)])[0, 1]
    assert same > (0.95 if container in ("aptx", "aptx_hd", "adts") else 0.9999)


def test_msbc_has_its_sync_word_and_frames() -> None:
    data = Codec("msbc").apply(noise(16000)).data
    frames = np.frombuffer(data, np.uint8).reshape(-1, 57)
    assert set(frames[:, 0]) == {0xAD}
    assert len(frames) in (134, 135)  # of 7.5 ms


def test_aptx_has_both_channels_of_a_mono_clip() -> None:
    """They are one sound, with quantization noise of their own: the decoded clip is the first."""
    clip = noise(48000)
    coded = Codec("aptx").apply(clip)
    with av.open(io.BytesIO(coded.data), "r", format="aptx") as container:
        left, right = np.concatenate([one.to_ndarray() for one in container.decode(audio=0)], 1)
    assert np.corrcoef(left, right)[0, 1] > 0.9
    late = round(coded.delay_samples)
    taken = left[late : late + len(clip.samples)] / 2.0**31
    np.testing.assert_allclose(coded.clip.samples, taken, atol=1e-6)


def test_narrower_bands_are_narrower() -> None:
    """Energy above the band's edge (RFC 6716, 2: 4, 6, 8, 12 kHz) is lost, and below is kept."""
    clip, edges = noise(seconds=2), {"narrow": 4, "medium": 6, "wide": 8, "superwide": 12}
    hz, before = signal.welch(clip.samples, 44100, nperseg=2048)
    for name, edge_khz in edges.items():
        codec = Codec(f"opus-{name}band", kbps=16)
        _, after = signal.welch(codec.apply(clip).clip.samples, 44100, nperseg=2048)
        gone = (hz > 1150 * edge_khz) & (hz < 15000)
        assert 10 * np.log10(after[gone].sum() / before[gone].sum()) < -25, name


def test_lc3_files_are_those_of_its_own_tools(tmp_path: Path) -> None:
    tool = shutil.which("dlc3")
    if tool is None:
        pytest.skip("dlc3 of Debian's liblc3-tools is not installed")
    coded = available(Codec("lc3", kbps=96)).apply(noise(48000))
    (tmp_path / "x.lc3").write_bytes(coded.data)
    subprocess.run([tool, tmp_path / "x.lc3", tmp_path / "x.wav"], check=True, capture_output=True)
    decoded, rate_hz = soundfile.read(tmp_path / "x.wav", dtype="float32")
    own = audio.read(tmp_path / "x.lc3")
    assert rate_hz == own.rate_hz == 48000
    np.testing.assert_allclose(decoded, own.samples, atol=2 / 32768)


@pytest.mark.parametrize("damage", [b"", b"\x1c\xcc", b"\x1c\xcc" + bytes(40)])
def test_damaged_lc3_files_are_refused(damage: bytes) -> None:
    with pytest.raises(AudioError):
        lc3.from_file(damage)


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amrwb, "_library", lambda: None)
    table.problem.cache_clear()
    try:
        with pytest.raises(DependencyError, match=r"libvo-amrwbenc is not.*apt-get") as refusal:
            Codec("amr-wb", kbps=12.65).apply(noise(16000))
        assert "\n" not in str(refusal.value)
    finally:
        table.problem.cache_clear()


def test_speex_is_decoded_only(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="Speex is only decoded"):
        Codec("speex", kbps=15).apply(noise())
    listed = subprocess.run(
        [shutil.which("ffmpeg") or "false", "-encoders"], capture_output=True, check=False
    )
    if b"libspeex" not in listed.stdout:
        pytest.skip("no program ffmpeg with libspeex, to write a file")
    audio.write(tmp_path / "in.wav", noise(16000))
    command = ["ffmpeg", "-loglevel", "error", "-i", f"{tmp_path}/in.wav", f"{tmp_path}/x.spx"]
    subprocess.run(command, check=True)
    read = audio.read(tmp_path / "x.spx")
    assert read.rate_hz == 16000
    assert read.duration_s == pytest.approx(1, abs=0.05)
    begin, end = 1000, 15000
    before, after = noise(16000).samples[begin:end], read.samples
    correlation = np.correlate(after, before, "valid")
    assert correlation.max() > 0.5 * np.sqrt((before**2).sum() * (after**2).sum())
