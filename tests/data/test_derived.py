"""A corpus derived by a recipe of two lines: what is written, kept, made again and refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic import audio
from anymic.audio import Clip
from anymic.data.derived import DerivedCorpus, Recipe, Rendered, Source, name_stems
from anymic.data.manifest import Manifest
from anymic.errors import ManifestError

RATE = 8000


@dataclass(frozen=True)
class Gain(Recipe[float]):
    """The recipe: each variant is a factor."""

    def file_name(self, source: Source, variant: float) -> str:
        return f"{variant}/{source.stem}"

    def made_from(self, source: Source, variant: float, origin: list[Any]) -> list[Any]:
        return [variant, origin]

    def render(self, source: Source, clip: Clip, variant: float) -> Rendered:
        return Rendered(Clip(clip.samples * np.float32(variant), clip.rate_hz), bits=24)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    generator = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        soundfile.write(tmp_path / f"{name}.wav", generator.uniform(-0.5, 0.5, 800), RATE)
    table = pd.DataFrame({"path": ["a.wav", "b.wav", "c.wav"], "label": ["x", "y", "x"]})
    return Manifest.from_table(table, tmp_path)


def derive(manifest: Manifest, folder: Path, **options: Any) -> DerivedCorpus[float]:
    corpus = DerivedCorpus(manifest, folder, Gain(), progress=False, **options)
    corpus.build(dict.fromkeys(range(len(manifest)), (0.5, 0.25)), doing="scaling")
    rows = [corpus.row(row, file.path, gain=gain) for (row, gain), file in corpus.files.items()]
    corpus.write(rows, first=("path", "gain"))
    return corpus


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_every_variant_is_written_once(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = derive(manifest, out)
    assert (first.written, first.kept, first.failures) == (6, 0, ())
    table = Manifest.read(out / "manifest.csv").table
    assert table.columns[:2].tolist() == ["path", "gain"]
    for path, gain, source in zip(table["path"], table["gain"], table["source"], strict=True):
        wanted = audio.read(tmp_path / source).samples * np.float32(gain)
        np.testing.assert_allclose(audio.read(out / path).samples, wanted, atol=2**-23)
    before = contents(out)
    again = derive(manifest, out)
    assert (again.written, again.kept) == (0, 6)
    assert contents(out) == before


def test_threads_and_processes_write_the_same_bytes(manifest: Manifest, tmp_path: Path) -> None:
    derive(manifest, tmp_path / "threads", workers=3)
    derive(manifest, tmp_path / "process", workers=1, processes=True)
    assert contents(tmp_path / "threads") == contents(tmp_path / "process")


def test_the_log_under_its_old_name_is_read(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    derive(manifest, out)
    (out / "build_log.jsonl").rename(out / "ledger.jsonl")
    assert derive(manifest, out).kept == 6
    assert not (out / "ledger.jsonl").exists()


def test_a_bad_clip_is_a_failure_and_none_but_bad_ones_are_refused(
    manifest: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "b.wav").write_bytes(b"no sound")
    corpus = derive(manifest, tmp_path / "out")
    assert [Path(failure.path).name for failure in corpus.failures] == ["b.wav"]
    assert (corpus.written, len(corpus.files)) == (4, 4)
    with pytest.raises(ManifestError, match=r"b\.wav"):
        derive(manifest.rows([1]), tmp_path / "none")


def test_a_folder_of_another_manifest_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    manifest.write(tmp_path / "manifest.csv")
    with pytest.raises(ManifestError, match="from elsewhere"):
        derive(manifest, tmp_path)


def test_stems_that_two_clips_share_get_the_clips_id() -> None:
    table = pd.DataFrame({"path": ["a/x.wav", "b/x.wav", "b/y.wav"], "label": "x"})
    stems = name_stems(Manifest.from_table(table))
    assert stems[2] == "y"
    assert stems[0].startswith("x-")
    assert len(set(stems)) == 3
