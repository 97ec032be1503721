"""Cached files: the same as encoded anew, found by what was encoded, never by its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.damage import DAMAGES, Damage

from anymic.audio import Clip
from anymic.codecs import Codec, EncodeCache
from anymic.codecs.backends.lame import Lame

RATE = 16000
GENERATOR = np.random.default_rng(5)
CLIP = Clip((0.1 * GENERATOR.standard_normal(RATE // 2)).astype(np.float32), RATE)
CODECS = [Codec("mp3", kbps=24), Codec("mp3", kbps=32), Codec("g722"), Codec("vorbis", kbps=48)]


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_what_comes_back_is_the_same(codec: Codec, tmp_path: Path) -> None:
    kept = EncodeCache(tmp_path / "kept")
    wanted = codec.apply(CLIP)
    for _ in range(2):
        found = codec.apply(CLIP, cache=kept)
        np.testing.assert_array_equal(found.clip.samples, wanted.clip.samples)
        assert found.kbps == wanted.kbps
    (file,) = (one for one in kept.folder.rglob("*") if one.is_file())
    assert file.read_bytes()[:-4] == found.data  # and a checksum


def test_nothing_is_encoded_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, codec = EncodeCache(tmp_path), CODECS[0]
    codec.apply(CLIP, cache=kept)
    encoded: list[float] = []
    encode = Lame.encode

    def count(*given: object, **settings: float) -> bytes:
        encoded.append(settings["kbps"])
        return encode(*given, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(Lame, "encode", count)
    codec.apply(CLIP, cache=EncodeCache(tmp_path))
    assert encoded == []
    louder = Clip(2 * CLIP.samples, RATE)  # other samples, and a file that is gone, are encoded
    codec.apply(louder, cache=kept)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            file.unlink()
    codec.apply(CLIP, cache=kept)
    assert encoded == [24, 24]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_a_damaged_file_is_made_again_with_a_note(
    codec: Codec, damage: Damage, tmp_path: Path
) -> None:
    kept, wanted = EncodeCache(tmp_path), codec.apply(CLIP)
    codec.apply(CLIP, cache=kept)
    (file,) = (one for one in tmp_path.rglob("*") if one.is_file())
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    with pytest.warns(UserWarning, match="is damaged, .* and is made again"):
        found = codec.apply(CLIP, cache=kept)
    np.testing.assert_array_equal(found.clip.samples, wanted.clip.samples)
    assert file.stat().st_size == len(whole)
