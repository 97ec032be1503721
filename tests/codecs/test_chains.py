"""Chains of codecs, lost packets, and the channels of a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.codecs.test_codec import available, lag, noise

from anymic import audio
from anymic.cli import main
from anymic.codecs import Codec, CodecSet, EncodeCache, every_spec
from anymic.codecs.coded_corpus import encode
from anymic.codecs.random_codec import Codecs
from anymic.codecs.table import CHAINS
from anymic.data.manifest import Manifest
from anymic.errors import ConfigError
from anymic.evaluation.robustness.conditions import grid


@pytest.mark.parametrize("name", CHAINS)
def test_every_chain_returns_the_clip_in_its_place(name: str) -> None:
    codec, clip = available(Codec.parse(name)), noise()
    coded = codec.apply(clip)
    assert coded.clip.samples.shape == clip.samples.shape
    assert abs(lag(clip, coded.clip)) <= 1
    assert coded.kbps == pytest.approx(8 * len(coded.data) / 1000)
    assert Codec.parse(str(codec)) == codec


def test_a_chain_is_its_codecs_one_after_the_other() -> None:
    clip = noise(48000)
    chain = Codec.chain(["opus-voice 16", Codec("mp3", kbps=32)])
    by_hand = Codec("mp3", kbps=32).apply(Codec("opus-voice", kbps=16).apply(clip).clip)
    found = chain.apply(clip)
    same = np.corrcoef(found.clip.samples, by_hand.clip.samples)[0, 1]
    assert same > 0.999  # the delay is measured once for all, or for each
    assert found.kbps == pytest.approx(by_hand.kbps, rel=0.02)
    single = Codec("voice-message").apply(clip).clip.samples
    assert np.array_equal(single, Codec("opus-voice", kbps=16).apply(clip).clip.samples)


def test_rates_that_do_not_fit_are_resampled_and_said() -> None:
    notes = Codec.parse("g726 32 > aac 64").apply(noise()).clip.notes
    assert "g726 32 at 8000 Hz, then aac 64 at 16000 Hz" in notes


def test_a_chain_is_cached(tmp_path: Path) -> None:
    codec, cache = Codec.parse("opus-voice 16 > aac 64"), EncodeCache(tmp_path)
    first, again = (codec.apply(noise(), cache=cache).clip.samples for _ in range(2))
    assert np.array_equal(first, again)
    assert len([one for one in tmp_path.rglob("*") if one.is_file()]) == 1


def test_more_lost_packets_are_more_error_and_none_is_none() -> None:
    clip = noise(48000, seconds=3)
    plain = Codec("opus", kbps=32).apply(clip)
    errors = []
    for share in (0.0, 0.1, 0.4):
        coded = Codec("opus", kbps=32, lost=share).apply(clip)
        assert coded.data == plain.data
        assert coded.clip.samples.shape == clip.samples.shape
        errors.append(float(np.sum((coded.clip.samples - plain.clip.samples) ** 2)))
    assert errors[0] == 0
    assert errors[0] < errors[1] < errors[2]
    again = Codec("opus", kbps=32, lost=0.4).apply(clip).clip.samples
    assert np.array_equal(again, Codec("opus", kbps=32, lost=0.4).apply(clip).clip.samples)


def test_the_lost_share_is_the_stated_one() -> None:
    """Of LC3, whose concealment changes little of what follows; Opus' changes more."""
    codec, clip = available(Codec("lc3", kbps=96)), noise(48000, seconds=4)
    whole = codec.apply(clip).clip.samples
    lossy = Codec("lc3", kbps=96, lost=0.2).apply(clip).clip.samples
    other = np.abs(whole - lossy).reshape(-1, 480).max(axis=1) > 0.02  # frames of 10 ms
    assert 0.1 < other.mean() < 0.45  # frames overlap


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mu-law 64 lost 5%", "no packets whose loss its decoder conceals"),
        ("phone-call lost 5%", "no packets whose loss its decoder conceals"),
        ("opus 24 lost 100%", "share of lost packets is 1"),
        ("opus 24 > wav", "contains the original"),
        ("opus 24 > mp3 33", "mp3 does not support 33 kbps"),
        ("opus 24 >", "is not a codec"),
        ("meeting 64", "meeting does not support 64 kbps"),
    ],
)
def test_what_does_not_fit_is_one_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refusal:
        Codec.parse(text)
    assert "\n" not in str(refusal.value)


def test_chains_stand_where_codecs_do(tmp_path: Path) -> None:
    rows = ["path,label"]
    for number in range(2):
        audio.write(tmp_path / f"{number}.wav", noise(16000, seconds=0.5, seed=number))
        rows.append(f"{number}.wav,a")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    listed = {"codecs": {"wav": None, "camera": None, "opus 24 > aac 64": None, "opus lost 9%": 24}}
    with pytest.raises(ConfigError):
        CodecSet.from_mapping(listed)
    del listed["codecs"]["opus lost 9%"]
    listed["codecs"]["opus 24 lost 9%"] = None
    chosen = CodecSet.from_mapping(listed)
    result = encode(Manifest.read(tmp_path / "clips.csv"), chosen, tmp_path / "o", progress=False)
    assert not result.failures
    names = ["wav", "camera", "opus 24 > aac 64", "opus lost 9%"]
    assert result.manifest.table["codec"].tolist() == names * 2
    for codec in chosen.codecs[1:]:
        assert len(result.manifest.where(codec=codec.row_name, kbps=codec.kbps)) == 2
    keys = [one.keys["codec"] for one in grid(None, chosen.codecs)]
    assert keys == names
    assert list(Codecs(set=("camera", "opus 24 > aac 64")).codecs) == list(chosen.codecs[1:3])
    assert {"voice-message", "meeting", "mp3"} <= {spec.name for spec in every_spec()}


def test_a_stereo_file_keeps_its_channels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left, right = noise(seed=1), noise(seed=2)
    audio.write(tmp_path / "in.wav", [left, right])
    command = ["codec", "apply", str(tmp_path / "in.wav"), "--codec", "meeting", "--lost", "0.2"]
    command += ["--out", str(tmp_path / "out.wav")]
    assert main([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["channels"], said["codec"]) == (2, "meeting lost 20%")
    found, rate_hz = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert (rate_hz, found.shape) == (44100, (44100, 2))
    codec = Codec("meeting", lost=0.2)
    for channel, clip in enumerate((left, right)):
        assert np.array_equal(found[:, channel], codec.apply(clip).clip.samples)
    assert main([*command, "--keep", str(tmp_path / "x.opus")]) == 2
    assert "2 channels" in capsys.readouterr().err
    assert main([*command, "--channel", "left", "--keep", str(tmp_path / "x.opus")]) == 0
    assert audio.probe(tmp_path / "out.wav").channels == 1
    assert audio.read(tmp_path / "x.opus").rate_hz == 48000


def test_a_bare_stream_is_kept_under_a_name_that_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio.write(tmp_path / "in.wav", noise())
    command = ["codec", "apply", str(tmp_path / "in.wav"), "--codec", "headset"]
    command += ["--out", str(tmp_path / "out.wav"), "--keep"]
    assert main([*command, str(tmp_path / "x.bin")]) == 2
    assert "ends in .sbc or .msbc" in capsys.readouterr().err
    assert not (tmp_path / "out.wav").exists()
    assert main([*command, str(tmp_path / "x.msbc")]) == 0
    assert audio.read(tmp_path / "x.msbc").rate_hz == 16000


def test_channels_of_different_lengths_are_refused(tmp_path: Path) -> None:
    from anymic.errors import AudioError

    with pytest.raises(AudioError, match="differ in rate or length"):
        audio.write(tmp_path / "x.wav", [noise(), noise(seconds=0.5)])
