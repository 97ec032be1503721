"""MP3, AAC and Opus, encoded here by FFmpeg, come back as the sound they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import scipy.signal
import soundfile

from anymic import audio
from anymic.errors import AudioError


def sound(rate_hz: int, *, seconds: float = 3.0, channels: int = 1) -> np.ndarray:
    """Return (sample, channel) float32 noise below a tenth of the rate, which codecs keep well."""
    rng = np.random.default_rng(3)
    lowpass = scipy.signal.butter(4, 0.2, output="sos")
    noise = rng.standard_normal((round(seconds * rate_hz), channels))
    filtered: np.ndarray = scipy.signal.sosfilt(lowpass, noise, axis=0)
    return (0.1 * filtered).astype(np.float32)


def encode(
    path: Path,
    samples: np.ndarray,
    codec: str,
    rate_hz: int,
    *,
    options: dict[str, str] | None = None,
) -> Path:
    """Write (sample, channel) with an FFmpeg encoder; the suffix names the container."""
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate_hz, layout=layout)
        stream.bit_rate = 128_000
        packed = np.ascontiguousarray(samples.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate_hz, 0
        convert = av.AudioResampler(stream.codec_context.format.name, layout, rate_hz)
        for piece in [*convert.resample(frame), *convert.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def lag_and_correlation(decoded: np.ndarray, source: np.ndarray) -> tuple[int, float]:
    """Return by how many samples `decoded` comes later, and their correlation at that lag."""
    crossed = scipy.signal.correlate(decoded, source, method="fft")
    norm = float(np.linalg.norm(decoded) * np.linalg.norm(source))
    return int(crossed.argmax()) - (len(source) - 1), float(crossed.max()) / norm


KINDS = [
    # name, encoder, rate, lag of the sound: 0 where the container states the encoder's delay
    ("a.mp3", "mp3", 44100, 0),
    ("low.mp3", "mp3", 16000, 0),
    ("a.m4a", "aac", 44100, 0),
    ("a.aac", "aac", 44100, 1024),
    ("a.opus", "libopus", 48000, 0),
    ("a.webm", "libopus", 48000, 0),
]


@pytest.mark.parametrize(("name", "codec", "rate_hz", "lag"), KINDS)
def test_decoded_sound_is_the_sound_encoded(
    tmp_path: Path, name: str, codec: str, rate_hz: int, lag: int
) -> None:
    source = sound(rate_hz)
    path = encode(tmp_path / name, source, codec, rate_hz)
    clip = audio.read(path)
    assert clip.rate_hz == rate_hz
    assert clip.notes == ()
    found_lag, correlation = lag_and_correlation(clip.samples, source[:, 0])
    assert found_lag == lag
    assert correlation > 0.98
    assert np.std(clip.samples) == pytest.approx(np.std(source), rel=0.07)  # LAME lowers by 5 %
    if lag == 0 and codec != "aac":
        assert len(clip.samples) == len(source)
    else:  # AAC fills its last frame of 1024
        assert 0 <= len(clip.samples) - lag - len(source) < 1024
    info = audio.probe(path)
    assert (info.rate_hz, info.channels) == (rate_hz, 1)
    if name.endswith(".aac"):
        assert info.duration_s is None
    else:
        assert info.duration_s == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(("name", "codec", "rate_hz", "lag"), KINDS)
def test_streams_and_stretches_are_slices_of_the_whole(
    tmp_path: Path, name: str, codec: str, rate_hz: int, lag: int
) -> None:
    path = encode(tmp_path / name, sound(rate_hz), codec, rate_hz)
    whole = audio.read(path).samples
    windows = [clip.samples for clip in audio.stream(path, window_s=0.7)]
    assert {len(samples) for samples in windows[:-1]} == {round(0.7 * rate_hz)}
    np.testing.assert_array_equal(np.concatenate(windows), whole)
    stretch = audio.read(path, start_s=1.25, duration_s=0.5)
    first = round(1.25 * rate_hz)
    np.testing.assert_array_equal(stretch.samples, whole[first : first + rate_hz // 2])
    with pytest.raises(AudioError, match=r"part from 2\.900 s to 3\.400 s"):
        audio.read(path, start_s=2.9, duration_s=0.5)
    with pytest.raises(AudioError, match="part from 60"):
        audio.read(path, start_s=60)


def test_mp3_equals_another_decoder(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp3", sound(44100), "mp3", 44100)
    mpg123, rate_hz = soundfile.read(path, dtype="float32")
    clip = audio.read(path)
    assert clip.rate_hz == rate_hz
    np.testing.assert_allclose(clip.samples, mpg123, atol=1e-4)


def test_opus_in_ogg_is_found_by_content(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.opus", sound(48000), "libopus", 48000)
    named = path.rename(tmp_path / "a.wav")
    assert audio.probe(named).format == "ogg opus"
    assert len(audio.read(named).samples) == 3 * 48000


def test_stereo_becomes_mono_by_the_named_rule(tmp_path: Path) -> None:
    source = sound(44100, channels=2)
    path = encode(tmp_path / "a.mp3", source, "mp3", 44100)
    left, right = (audio.read(path, channel=side).samples for side in ("left", "right"))
    np.testing.assert_allclose(audio.read(path).samples, (left + right) / 2, atol=1e-7)
    for decoded, column in ((left, 0), (right, 1)):
        assert lag_and_correlation(decoded, source[:, column])[1] > 0.95
        assert lag_and_correlation(decoded, source[:, 1 - column])[1] < 0.2
    with pytest.raises(AudioError, match="2 channels"):
        audio.read(path, channel="only")


@pytest.mark.parametrize(
    ("codec", "subtype"), [("pcm_s16le", "PCM_16"), ("pcm_u8", "PCM_U8"), ("pcm_s32le", "PCM_32")]
)
def test_integers_have_the_full_scale_of_libsndfile(
    tmp_path: Path, codec: str, subtype: str
) -> None:
    source = sound(8000, channels=2)
    soundfile.write(tmp_path / "a.wav", source, 8000, subtype=subtype)
    with (
        av.open(str(tmp_path / "a.wav")) as wav,
        av.open(str(tmp_path / "a.mkv"), "w") as matroska,
    ):
        stream = matroska.add_stream_from_template(wav.streams.audio[0])
        for packet in wav.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                matroska.mux(packet)
    assert codec in audio.probe(tmp_path / "a.mkv").format
    np.testing.assert_array_equal(
        audio.read(tmp_path / "a.mkv").samples, audio.read(tmp_path / "a.wav").samples
    )


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz", "options"),
    [
        ("a.mp3", "mp3", 44100, {}),
        ("a.m4a", "aac", 44100, {"movflags": "faststart"}),
        ("a.aac", "aac", 44100, {}),
        ("a.opus", "libopus", 48000, {}),
        ("a.webm", "libopus", 48000, {}),
    ],
)
def test_a_cut_file_says_how_much_was_there(
    tmp_path: Path, name: str, codec: str, rate_hz: int, options: dict[str, str]
) -> None:
    path = encode(tmp_path / name, sound(rate_hz), codec, rate_hz, options=options)
    whole = audio.read(path).samples
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(
        AudioError, match=r"cut short: only [01]\.\d+ s .*Expected a complete"
    ) as error:
        audio.read(path)
    there_s = float(error.value.fix.rpartition("duration_s=")[2])
    assert 0.5 < there_s < 1.9
    there = audio.read(path, duration_s=there_s).samples
    np.testing.assert_array_equal(there, whole[: len(there)])
    # Windows before the damage are not lost.
    windows = audio.stream(path, window_s=0.25)
    for number in range(int(there_s / 0.25)):
        assert next(windows).start_s == pytest.approx(number * 0.25)
    with pytest.raises(AudioError, match="cut short"):
        next(windows)


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz"),
    [("a.mp3", "mp3", 44100), ("a.m4a", "aac", 44100), ("a.opus", "libopus", 48000)],
)
def test_damage_in_the_middle_is_an_error(
    tmp_path: Path, name: str, codec: str, rate_hz: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path = encode(tmp_path / name, sound(rate_hz), codec, rate_hz)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"damaged .*only [12]\.\d+ s"):
        audio.read(path)
    assert capfd.readouterr() == ("", "")


def test_mp4_without_its_index(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", sound(44100), "aac", 44100)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") - 4])
    for use in (audio.read, audio.probe):
        with pytest.raises(AudioError, match=r"cannot be opened \(its index .*\. Fetch it again"):
            use(path)


def test_mp3_without_a_stated_length(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp3", sound(44100), "mp3", 44100, options={"write_xing": "0"})
    assert audio.probe(path).frames is None
    assert audio.read(path).notes == ()
    path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))
    assert audio.read(path).notes == ()
    path.write_bytes(path.read_bytes()[:-300])
    assert audio.read(path).notes == ("the last frame is not whole: the file may lack its end",)


def test_tags_and_junk_around_mp3(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp3", sound(44100), "mp3", 44100)
    expected = audio.read(path).samples
    data = path.read_bytes()
    path.write_bytes(b"ID3\4\0\0\0\0\x40\0" + bytes(8192) + data + b"TAG" + bytes(125))
    np.testing.assert_array_equal(audio.read(path).samples, expected)
    path.write_bytes(np.random.default_rng(4).bytes(3000) + data)
    assert audio.read(path).duration_s == pytest.approx(3.0, abs=0.1)


def test_video_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    for use in (audio.read, audio.probe):
        with pytest.raises(AudioError, match=r"has no audio stream\. Expected an audio file"):
            use(path)


def test_two_sound_tracks_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.mka"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("flac", rate=8000, layout="mono") for _ in range(2)]
        for gain, stream in zip((1.0, 0.5), streams, strict=True):
            steps = (sound(8000)[:4096, 0] * gain * 32768).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(steps, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    clip = audio.read(path)
    assert clip.notes == ("the first of 2 audio streams was read",)
    np.testing.assert_allclose(clip.samples, sound(8000)[:4096, 0], atol=1 / 32768)


def test_silence_in_mp3(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp3", np.zeros((16000, 1), np.float32), "mp3", 16000)
    with pytest.raises(AudioError, match="silence"):
        audio.read(path)
