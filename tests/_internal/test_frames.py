"""Names of files that are not UTF-8 are text of data frames, whether pyarrow is there or not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic._internal.frames import as_text, frame, group_numbers
from anymic.bundle import Bundle
from anymic.data import corpora
from anymic.data.embeddings import read_vectors
from anymic.data.manifest import Manifest
from anymic.data.pieces import cut_rows
from anymic.data.splits import check_splits
from anymic.inference.embedding_run import embed_recordings

NAME, OTHER = os.fsdecode(b"caf\xe9"), os.fsdecode(b"caf\xe8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two labels, a file of each with such a name."""
    generator = np.random.default_rng(1)
    for label in ("a", "b"):
        (tmp_path / "in" / label).mkdir(parents=True)
        for name in ("0", NAME):
            samples = generator.uniform(-0.5, 0.5, 16000)
            soundfile.write(tmp_path / "new.wav", samples, 8000)
            (tmp_path / "new.wav").rename(tmp_path / "in" / label / f"{name}.wav")
    return tmp_path / "in"


def test_columns_hold_any_text() -> None:
    assert frame({"path": [NAME, "b"]})["path"].tolist() == [NAME, "b"]
    assert as_text(pd.Series([NAME, 1], dtype=object)).tolist() == [NAME, "1"]


def test_a_pyarrow_that_is_installed_would_refuse_them() -> None:
    pytest.importorskip("pyarrow", reason="needs the extra parquet")
    with pytest.raises(UnicodeEncodeError):
        pd.DataFrame({"path": [NAME]})


@pytest.mark.usefixtures("one_thread")
def test_a_corpus_of_such_names_is_written_read_cut_and_embedded(
    folder: Path, tmp_path: Path, small_bundle: Bundle
) -> None:
    model = small_bundle.save(tmp_path / "model")
    manifest = corpora.load("folder", folder)
    assert NAME in {Path(one).stem for one in manifest.table["path"]}
    manifest.write(tmp_path / "clips.csv")
    read = Manifest.read(tmp_path / "clips.csv")
    assert list(read.paths()) == list(manifest.paths())
    pieces, failures = cut_rows(read, length_s=1.0)
    assert (len(pieces), failures) == (8, ())
    embed_recordings(model, read, tmp_path / "out.csv")
    assert r"caf\udce9.wav" in (tmp_path / "out.csv").read_text()  # as write_text escapes it


def test_rows_are_numbered_as_pandas_does_it() -> None:
    draw = np.random.default_rng(0)
    rows = {"path": draw.choice(list("abcdef"), 300), "start_s": draw.integers(0, 4, 300)}
    table = pd.DataFrame(rows)
    for columns in (["path"], ["path", "start_s"]):
        expected = table.groupby(columns, sort=False).ngroup()
        pd.testing.assert_series_equal(group_numbers(table, columns), expected)


def test_two_such_names_are_two(tmp_path: Path) -> None:
    """For pandas before 3.1 they can be one: a clip that is there twice, a group in two splits."""
    names = [f"a/{NAME}", f"a/{OTHER}", f"b/{NAME}", f"b/{OTHER}"] * 2
    columns = {
        "path": [f"{device}/{name}" for device, name in zip("A" * 4 + "B" * 4, names, strict=True)],
        "label": ["x", "y"] * 4,
        "device": [*"AAAA", *"BBBB"],
        "take": names,
        "group": names,
        "split": ["train", "train", "test", "test"] * 2,
    }
    clips = Manifest.from_table(frame(columns), tmp_path)
    check_splits(clips)
    assert clips.recordings() == [f"group:{name}" for name in names]
    takes = clips.takes(["A", "B"])
    assert dict(zip(takes.index, takes.to_numpy().tolist(), strict=True)) == {
        name: [row, row + 4] for row, name in enumerate(names[:4])
    }
    np.savez(tmp_path / "vectors.npz", features=np.eye(8, dtype=np.float32), paths=np.array(names))
    vectors = read_vectors(tmp_path / "vectors.npz", labelled=False)
    assert list(vectors.clips.table["path"]) == sorted(names[:4])
    assert [len(own) for own in vectors.sequences] == [2] * 4
