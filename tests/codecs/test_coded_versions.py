"""Coded versions of clips: each through codecs of its own, kept by the content of the files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from anymic import audio
from anymic.audio import Clip
from anymic.codecs import Codec
from anymic.codecs.coded_corpus import encode_versions
from anymic.data.manifest import Manifest

RATE_HZ = 16000
MU, G722, ADPCM = Codec("mu-law"), Codec("g722"), Codec("ima-adpcm", kbps=64)
DRAWN = [(MU, G722), (ADPCM, ADPCM), (), (G722, MU)]


@pytest.fixture
def clips(tmp_path: Path) -> Manifest:
    generator = np.random.default_rng(0)
    lines = ["path,label"]
    for number in range(4):
        samples = 0.1 * generator.standard_normal(RATE_HZ).astype(np.float32)
        audio.write(tmp_path / f"{number}.wav", Clip(samples, RATE_HZ))
        lines.append(f"{number}.wav,{number % 2}")
    (tmp_path / "clips.csv").write_text("\n".join(lines) + "\n")
    return Manifest.read(tmp_path / "clips.csv")


def test_versions_are_what_the_codecs_make(clips: Manifest, tmp_path: Path) -> None:
    found = encode_versions(clips, DRAWN, tmp_path / "coded", progress=False)
    assert (found.failures, found.written, found.kept) == ((), 5, 0)
    for version, manifest in enumerate(found.manifests):
        assert manifest.table["label"].tolist() == clips.table["label"].tolist()
        for row, (path, source) in enumerate(zip(manifest.paths(), clips.paths(), strict=True)):
            if not DRAWN[row]:
                assert path == source
                continue
            expected = DRAWN[row][version].apply(audio.read(source)).clip.samples
            np.testing.assert_allclose(audio.read(path).samples, expected, atol=2.0**-23)


def test_the_folder_may_be_relative(
    clips: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = encode_versions(clips, DRAWN, "coded", progress=False)
    assert all(path.is_file() for manifest in found.manifests for path in manifest.paths())


def test_another_place_of_a_file_finds_its_versions(clips: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "coded"
    encode_versions(clips, DRAWN, out, progress=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for number in range(4):
        shutil.copyfile(tmp_path / f"{number}.wav", elsewhere / f"of-{3 - number}.wav")
    lines = ["path,label", *(f"of-{number}.wav,a" for number in range(4))]
    (elsewhere / "clips.csv").write_text("\n".join(lines) + "\n")
    moved = Manifest.read(elsewhere / "clips.csv")
    again = encode_versions(moved, DRAWN[::-1], out, progress=False)
    assert (again.written, again.kept) == (0, 5)


def test_what_is_damaged_is_made_again(clips: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "coded"
    first = encode_versions(clips, DRAWN, out, progress=False)
    file = first.manifests[0].paths()[0]
    content = file.read_bytes()
    file.write_bytes(content[:-9])
    again = encode_versions(clips, DRAWN, out, progress=False)
    assert (again.written, again.kept) == (1, 4)
    assert file.read_bytes() == content


def test_a_part_of_a_file_is_coded_alone(clips: Manifest, tmp_path: Path) -> None:
    parts = clips.rows([0, 0]).with_columns(start_s=[0.0, 0.5], duration_s=0.5)
    found = encode_versions(parts, [(G722,), (G722,)], tmp_path / "coded", progress=False)
    (manifest,) = found.manifests
    assert len(set(manifest.paths())) == 2
    assert manifest.table["start_s"].tolist() == [0.0, 0.0]
    second = audio.read(clips.paths()[0], start_s=0.5, duration_s=0.5)
    expected = G722.apply(second).clip.samples
    np.testing.assert_allclose(audio.read(manifest.paths()[1]).samples, expected, atol=2.0**-23)
