"""Names of files that are not UTF-8 are text of data frames, whether pyarrow is there or not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic._internal.frames import as_text, frame
from anymic.bundle import Bundle
from anymic.data import corpora
from anymic.data.manifest import Manifest
from anymic.data.pieces import cut_rows
from anymic.inference.embedding_run import embed_recordings

NAME = os.fsdecode(b"caf\xe9")


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
