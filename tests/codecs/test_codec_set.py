"""codecs.yaml, and the random choice of codecs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymic._internal.settings import from_mapping, to_mapping, with_changes
from anymic.codecs import Codec, CodecSet
from anymic.codecs.random_codec import Codecs
from anymic.errors import ConfigError
from anymic.training import TrainingConfig


def test_the_preset_is_the_paper_s_list() -> None:
    """Peters 2022: AAC-LC 32, 48, 64; HE-AAC 16, 32; MP3 32, 64; Opus 64; SBC 64; WAV beside."""
    wanted = ["wav", "aac 32", "aac 48", "aac 64", "he-aac 16", "he-aac 32", "mp3 32", "mp3 64"]
    assert list(map(str, CodecSet.read("codecs"))) == [*wanted, "opus 64", "sbc 64"]


def test_text_and_codec_are_each_other_s_inverse() -> None:
    for codec in [*CodecSet.read("codecs"), Codec("amr-nb", kbps=4.75), Codec("mu-law")]:
        assert Codec.parse(str(codec)) == codec


def test_a_file_with_every_way_to_write_bitrates(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("codecs:\n  wav:\n  g722:\n  opus: 24\n  amr-nb: [4.75, 12.2]\n")
    assert list(map(str, CodecSet.read(file))) == [
        "wav", "g722 64", "opus 24", "amr-nb 4.75", "amr-nb 12.2",
    ]  # fmt: skip


def test_every_problem_is_in_the_one_line() -> None:
    values = {"codecs": {"mp4": 32, "mp3": [33, "64", 32, 32], "opus": None}, "seed": 1}
    with pytest.raises(ConfigError) as refusal:
        CodecSet.from_mapping(values)
    said = str(refusal.value)
    assert "\n" not in said
    assert said.count("Expected") == 1
    for part in (
        "'seed'",
        "'mp4'",
        "33 kbps",
        "'64' is not a bitrate",
        "mp3 32 is listed twice",
        "no default bitrate",
    ):
        assert part in said, part


@pytest.mark.parametrize("values", [{}, {"codecs": None}, {"codecs": ["mp3"]}])
def test_a_file_without_codecs_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="no mapping `codecs`"):
        CodecSet.from_mapping(values)


def test_a_draw_has_its_share_and_every_codec_alike() -> None:
    codecs = Codecs(share=0.6, set=("mp3 32", "aac 32", "opus 64"))
    drawn = codecs.draw(30000, np.random.default_rng(1))
    counts = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(counts, [0.4, 0.2, 0.2, 0.2], atol=0.01)
    again = codecs.draw(30000, np.random.default_rng(1))
    assert np.array_equal(drawn, again)


def test_versions_that_are_drawn_from_the_table_are_alike() -> None:
    drawn = Codecs(versions=3).draw(30000, np.random.default_rng(1))
    counts = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(counts, [0.5, 1 / 6, 1 / 6, 1 / 6], atol=0.01)


def test_a_text_stands_for_settings() -> None:
    assert from_mapping(TrainingConfig, {"codecs": "any"}).codecs == Codecs()
    chosen = from_mapping(TrainingConfig, {"codecs": "voice-message, mp3 32"}).codecs
    assert chosen == Codecs(set=("voice-message 16", "mp3 32"))
    preset = from_mapping(TrainingConfig, {"codecs": "codecs"}).codecs
    assert preset is not None
    assert list(preset.set) == [str(one) for one in CodecSet.read("codecs")][1:]
    with pytest.raises(ConfigError, match=r"codecs: 'voice-mesage' .*did you mean 'voice-message'"):
        from_mapping(TrainingConfig, {"codecs": "voice-mesage"})
    with pytest.raises(ConfigError, match=r"codecs.share is set, and codecs is the text 'any'"):
        from_mapping(TrainingConfig, with_changes({"codecs": "any"}, {"codecs.share": 0.3}))


def test_a_text_of_codecs_and_chains() -> None:
    found = CodecSet.read("opus-voice 16 > aac 64,meeting lost 10%, mp3 32,mp3  32")
    assert list(map(str, found)) == ["opus-voice 16 > aac 64", "meeting 32 lost 10%", "mp3 32"]
    wrong_ones = {"mp3 33": "does not support 33", "mp4 32": "neither a codec"}
    for wrong, words in (wrong_ones | {5000 * "x": "neither a codec", "\0": "neither"}).items():
        with pytest.raises(ConfigError, match=words):
            CodecSet.read(wrong)


def test_masks_and_consistency_are_for_the_whole_table_unless_they_are_stated() -> None:
    some = Codecs(set=("mp3 32",))
    assert (some.masked, some.consistency_weight) == (0.0, 0.0)
    assert (Codecs().masked, Codecs().consistency_weight) == (0.25, 1.0)
    stated: dict[str, Any] = {"masks": 0.5, "consistency": 2.0}
    for own in (Codecs(**stated), Codecs(set=("mp3 32",), **stated)):
        assert (own.masked, own.consistency_weight) == (0.5, 2.0)
    assert Codecs(consistency=0.0).consistency_weight == 0


def test_settings_come_back_from_plain_values() -> None:
    codecs = Codecs(share=0.25, set=("mp3 32",))
    assert from_mapping(Codecs, to_mapping(codecs)) == codecs


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"share": 0.0, "set": ("mp3 32",)}, "share is 0.0"),
        ({"versions": 0, "masks": 1.5}, "versions is 0; masks is 1.5"),
        ({"consistency": -1.0}, "consistency is -1.0"),
        ({"set": ("mp3 32",), "without": ("aac",)}, "Aac cannot be left out of 1 codec"),
        ({"without": ("mp4",)}, "Unknown codec 'mp4'"),
        ({"set": ("mp3 33",)}, "mp3 does not support 33 kbps"),
        ({"set": ("mp3 x",)}, "'mp3 x'"),
        ({"set": ("mp3 32", "wav")}, "codec wav is the original"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Codecs(**settings)
