"""A run of embeddings that goes on ends as one that was never interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.typing import NDArray

from anymic._internal.npz import read_arrays
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, AnymicWarning
from anymic.inference import embedding_run, resuming
from anymic.inference.embedder import Embedder, Embeddings
from anymic.inference.embedding_run import embed_recordings

pytestmark = pytest.mark.usefixtures("one_thread")


class Stopped(Exception):
    pass


def stop_at_third(done: int, total: int) -> None:
    if done == 3:
        raise Stopped


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    generator = np.random.default_rng(1)
    for number in range(8):
        samples = generator.uniform(-0.5, 0.5, 8000 + 4000 * number)
        soundfile.write(tmp_path / f"{number}.wav", samples, 8000)
    names = [str(tmp_path / f"{number}.wav") for number in range(8)]
    table = pd.DataFrame({"path": names, "label": list("abababab"), "device": list("AABBAABB")})
    return Manifest.from_table(table)


@pytest.mark.parametrize("ending", [".npz", ".csv", ""])
@pytest.mark.parametrize("of_manifest", [False, True])
def test_the_same_bytes(
    *,
    bundle_folder: Path,
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    of_manifest: bool,
) -> None:
    monkeypatch.setattr(resuming, "GROUP_FILES", 2)
    places = manifest if of_manifest else [str(path) for path in manifest.paths()]
    whole, out = tmp_path / f"whole{ending}", tmp_path / f"out{ending}"
    done = embed_recordings(bundle_folder, places, whole)
    with pytest.raises(Stopped):
        embed_recordings(bundle_folder, places, out, progress=stop_at_third)
    with pytest.warns(AnymicWarning, match="4 of 8 recordings are done already"):
        embed_recordings(bundle_folder, places, out)
    files = sorted(whole.iterdir()) if whole.is_dir() else [whole]
    again = sorted(out.iterdir()) if out.is_dir() else [out]
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again]
    assert not out.with_name(out.name + ".journal").exists()
    embedder = Embedder(Bundle.load(bundle_folder))
    wanted = embedder.embed_manifest(manifest) if of_manifest else embedder.embed(places)  # type: ignore[arg-type]
    assert (done.clips, done.windows) == (8, len(wanted.features))
    assert done.channels == wanted.features.shape[1]
    if ending == ".npz":
        check(read_arrays(whole), wanted)


def check(found: dict[str, NDArray[Any]], wanted: Embeddings) -> None:
    np.testing.assert_allclose(found["features"], wanted.features, atol=1e-5)
    assert found["paths"].tolist() == list(wanted.paths)
    for name in ("labels", "devices"):
        assert (tuple(found[name]) if name in found else None) == getattr(wanted, name)
    np.testing.assert_array_equal(found["starts_s"], wanted.starts_s)


@pytest.mark.parametrize("kind", ["npz", "csv"])
def test_shards_hold_what_one_file_holds_in_order(
    bundle_folder: Path,
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    whole, out = tmp_path / f"whole.{kind}", tmp_path / "shards"
    one = embed_recordings(bundle_folder, manifest, whole)
    monkeypatch.setattr(embedding_run, "SHARD_VALUES", 5 * one.channels)
    with pytest.raises(Stopped):
        embed_recordings(bundle_folder, manifest, out, kind=kind, progress=stop_at_third)
    with pytest.warns(AnymicWarning, match="recordings are done already"):
        done = embed_recordings(bundle_folder, manifest, out, kind=kind)
    assert (done.clips, done.windows, done.channels) == (one.clips, one.windows, one.channels)
    assert list(done.files) == sorted(out.iterdir())
    assert len(done.files) > 2
    if kind == "csv":
        rows = [file.read_text().splitlines() for file in done.files]
        assert all(len(part) <= 6 for part in rows)
        assert [*rows[0][:1], *(row for part in rows for row in part[1:])] == (
            whole.read_text().splitlines()
        )
    else:
        parts = [read_arrays(file) for file in done.files]
        for name, values in read_arrays(whole).items():
            joined = np.concatenate([part[name] for part in parts])
            np.testing.assert_array_equal(joined, values)
    monkeypatch.undo()
    again = embed_recordings(bundle_folder, manifest, out, kind=kind)
    assert list(again.files) == sorted(out.iterdir())  # shards of the earlier run are gone
    assert len(again.files) == 1


def test_nothing_is_written_into_shards_of_nothing(bundle_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(AnymicError, match="No window has features"):
        embed_recordings(bundle_folder, [tmp_path / "a.wav"], tmp_path / "out", kind="npz")
    assert not (tmp_path / "out").exists()


def test_a_changed_clip_of_a_manifest_is_done_again(
    bundle_folder: Path, manifest: Manifest, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        embed_recordings(bundle_folder, manifest, tmp_path / "out.npz", progress=stop_at_third)
    soundfile.write(tmp_path / "2.wav", np.random.default_rng(9).uniform(-0.5, 0.5, 9000), 8000)
    with pytest.warns(AnymicWarning, match="1 recording changed since then, and done again"):
        embed_recordings(bundle_folder, manifest, tmp_path / "out.npz")
