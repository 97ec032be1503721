"""Clips with several labels, or none: tables, folders and what refuses them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.data.manifest import Manifest, concatenate
from anymic.data.reading import as_manifest
from anymic.errors import AnymicWarning, ManifestError


def table(*labels: str) -> pd.DataFrame:
    return pd.DataFrame({"path": [f"{n}.wav" for n in range(len(labels))], "label": labels})


def test_a_cell_names_labels_with_semicolons_or_none() -> None:
    clips = Manifest.from_table(table("rain;dog", " dog ; rain;", "dog", ""), several=True)
    assert clips.label_sets() == [("dog", "rain"), ("dog", "rain"), ("dog",), ()]
    assert clips.labels == ["dog", "rain"]
    assert clips.targets(["rain", "dog"]).tolist() == [[1, 1], [1, 1], [0, 1], [0, 0]]
    assert clips.table["label"].tolist() == ["dog;rain", "dog;rain", "dog", ""]


def test_a_column_of_0_and_1_for_each_label(tmp_path: Path) -> None:
    csv = tmp_path / "clips.csv"
    csv.write_text("path,device,dog,rain,year\na.wav,A,1,0,1999\nb.wav,A,1,1,2001\nc.wav,B,0,0,1\n")
    with pytest.warns(AnymicWarning, match="the columns dog, rain are read as labels"):
        clips = Manifest.read(csv, several=True)
    assert clips.label_sets() == [("dog",), ("dog", "rain"), ()]
    assert list(clips.table.columns) == ["path", "device", "year", "label"]
    with pytest.raises(ManifestError, match="has no column label"):
        Manifest.read(csv)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    clips = Manifest.from_table(table("b;a", "", "a"), tmp_path, several=True)
    again = Manifest.read(clips.write(tmp_path / "clips.csv"), several=True)
    assert again.label_sets() == clips.label_sets()
    assert again.digest() == clips.digest()
    kept = concatenate([again.rows([0]), again.rows([1])]).with_columns(split="train")
    assert kept.label_sets() == [("a", "b"), ()]
    assert Manifest.read(tmp_path / "clips.csv", several=None).several  # where labels do not matter


def test_folders_named_noise_background_or_other_have_no_label(tmp_path: Path) -> None:
    for name in ("dog", "Noise", "background", "other", "rain"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "x.wav", np.full(8, 0.1), 8000)
    with pytest.warns(AnymicWarning, match="3 clips in the folders Noise, background, other"):
        clips = as_manifest(tmp_path, several=True)
    assert clips.labels == ["dog", "rain"]
    assert sum(not own for own in clips.label_sets()) == 3
    assert as_manifest(tmp_path).labels == ["Noise", "background", "dog", "other", "rain"]


def test_one_label_a_clip_refuses_others_in_one_line(tmp_path: Path) -> None:
    clips = Manifest.from_table(table("dog;rain", "dog", ""), tmp_path, several=True)
    with pytest.raises(ManifestError, match=r"2 of 3 clips .*0\.wav \(dog;rain\)") as caught:
        as_manifest(clips)
    assert "Set targets to several" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ManifestError, match="empty label in row 4"):
        Manifest.from_table(table("dog;rain", "dog", ""))


def test_unknown_labels_are_named_one_by_one() -> None:
    clips = Manifest.from_table(table("cat;dog", "cat", ""), several=True)
    with pytest.raises(ManifestError, match=r"cat \(2 rows\)\. Expected only dog, rain"):
        clips.require_labels(["dog", "rain"])
    single = Manifest.from_table(table("dog;rain"))
    with pytest.raises(ManifestError, match=r"Use a model of several labels a clip"):
        single.require_labels(["dog", "rain"])
