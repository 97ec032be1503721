"""Codecs drawn from the whole table: what a draw depends on, and what is left out of it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from anymic.codecs import CODECS, Backend, Bitrates, Codec, CodecSpec, register_codec
from anymic.codecs.whole_table import CHAIN_FAMILY, WholeTable, steps_of
from anymic.errors import ConfigError

CLIPS = [f"clip {number}" for number in range(300)]
FAMILIES = {"mp3", "aac", "opus", "vorbis", "bluetooth", "lc3", "speech", "adpcm", CHAIN_FAMILY}


class Absent(Backend):
    """A backend that works nowhere."""

    def problem(self, spec: CodecSpec) -> tuple[str, str]:
        return "it works nowhere", "wait"

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        raise NotImplementedError


def names(table: WholeTable, versions: int = 2, seed: int = 0) -> dict[str, tuple[Codec, ...]]:
    return {clip: table.draw(clip, versions=versions, seed=seed) for clip in CLIPS}


def test_a_draw_depends_on_the_clip_and_the_seed_alone() -> None:
    few, many = names(WholeTable()), names(WholeTable(), versions=3)
    assert all(many[clip][:2] == few[clip] for clip in CLIPS)
    assert few != names(WholeTable(), seed=1)
    assert len(set(few.values())) > 0.9 * len(CLIPS)


def test_every_built_in_codec_has_one_of_the_families() -> None:
    found = {spec.family for spec in CODECS.specs() if spec.bitrates}
    assert found == FAMILIES - {CHAIN_FAMILY}
    assert set(WholeTable().families) == FAMILIES


def test_families_are_alike_and_low_bitrates_more_frequent() -> None:
    table = WholeTable(without=(CHAIN_FAMILY,))
    drawn = [one for clip in range(4000) for one in table.draw(str(clip), versions=1)]
    counts = Counter(codec.spec.family for codec in drawn)
    shares = np.array(list(counts.values())) / len(drawn)
    np.testing.assert_allclose(shares, 1 / 8, atol=0.02)
    mp3 = [codec.kbps or 0 for codec in drawn if codec.name == "mp3"]
    offered = sorted(CODECS.get("mp3").kbps)
    # Of the lower of two draws of n bitrates, the expected place is (n - 1)(2n - 1) / 6n.
    places, n = [offered.index(kbps) for kbps in mp3], len(offered)
    assert np.mean(places) == pytest.approx((n - 1) * (2 * n - 1) / (6 * n), abs=0.6)


@pytest.mark.parametrize("left_out", ["mp3", "opus", "speech", "opus-voice 16", "meeting"])
def test_what_is_left_out_is_drawn_again_and_the_rest_stays(left_out: str) -> None:
    every, fewer = names(WholeTable()), names(WholeTable(without=(left_out,)))

    def hit(codec: Codec) -> bool:
        own = [codec, *steps_of(codec)]
        return any(
            left_out in (step.name, step.spec.family, f"{step.name} {step.kbps:g}") for step in own
        )

    assert any(hit(one) for drawn in every.values() for one in drawn)
    for clip in CLIPS:
        for before, after in zip(every[clip], fewer[clip], strict=True):
            assert not hit(after)
            assert hit(before) or after == before


def test_chains_go_with_their_codecs() -> None:
    kept = {codec.name for codec in WholeTable(without=("opus-voice 16",)).codecs}
    assert not kept & {"voice-message", "forwarded-voice-message"}
    assert kept >= {"meeting", "opus-voice"}
    assert not {codec.name for codec in WholeTable(without=("aac",)).codecs} & {
        *("earbuds-aac", "camera-aac", "web-video", "forwarded-voice-message", "he-aac"),
    }
    assert all(codec.name in CODECS.names() for codec in WholeTable(without=(CHAIN_FAMILY,)).codecs)


def test_codecs_that_are_not_available_are_never_drawn_and_named() -> None:
    bitrates = (Bitrates(rates_hz=(8000,), kbps=(16,)),)
    spec = CodecSpec("nowhere", "", "raw", "none", Absent(), bitrates, family="nowhere")
    register_codec(spec)
    assert WholeTable().absent["nowhere"] == "it works nowhere"
    assert all(codec.name != "nowhere" for drawn in names(WholeTable()).values() for codec in drawn)
    assert "nowhere" not in WholeTable(without=("nowhere",)).absent


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        (("wav",), r"The original \(wav\) is left out"),
        (("mp4",), "Unknown codec .mp4."),
        (("mp3 33",), "mp3 does not support 33 kbps"),
    ],
)
def test_unknown_names_are_refused(left_out: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        WholeTable(without=left_out)


def test_something_must_be_left() -> None:
    with pytest.raises(ConfigError, match="No codec is left without"):
        WholeTable(without=tuple(FAMILIES)).draw("a clip", versions=1)
