"""A model recognizes the files that it was fitted on, whatever they are called."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import anymic
from anymic._internal.files import SAMPLE_BYTES, SAMPLES, content_key
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.leakage import file_hashes, fitted_rows
from anymic.data.manifest import Manifest
from anymic.errors import BundleError
from anymic.training.calibration_clips import refuse_known

RATE = 8000


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    (tmp_path / "corpus" / "audio").mkdir(parents=True)
    for number in range(6):
        sound = generator.normal(0, 0.1, RATE // 2)
        soundfile.write(tmp_path / "corpus" / "audio" / f"{number}.wav", sound, RATE)
    return tmp_path / "corpus"


def clips_of(root: Path, *paths: str | Path, **columns: object) -> Manifest:
    table = pd.DataFrame({"path": list(map(str, paths)), "label": "dog", **columns})
    return Manifest.from_table(table, root)


@pytest.fixture
def model(corpus: Path, small_bundle: Bundle) -> Bundle:
    """Return a model that was trained on the first three files."""
    trained = clips_of(corpus, *(f"audio/{number}.wav" for number in range(3)))
    ids = tuple(trained.clip_ids())
    return replace(small_bundle, fitted_on={"weights": ids}, file_hashes=file_hashes(trained))


def spelled(corpus: Path) -> Manifest:
    return clips_of(corpus, "./audio/../audio/0.wav", "audio/5.wav")


def absolute(corpus: Path) -> Manifest:
    return clips_of(corpus.parent, corpus / "audio/0.wav", corpus / "audio/5.wav")


def linked(corpus: Path) -> Manifest:
    (corpus / "link.wav").symlink_to(corpus / "audio/0.wav")
    return clips_of(corpus, "link.wav", "audio/5.wav")


def linked_hard(corpus: Path) -> Manifest:
    os.link(corpus / "audio/0.wav", corpus / "hard.wav")
    return clips_of(corpus, "hard.wav", "audio/5.wav")


def in_a_linked_folder(corpus: Path) -> Manifest:
    (corpus.parent / "elsewhere").symlink_to(corpus)
    return clips_of(corpus.parent, "elsewhere/audio/0.wav", "elsewhere/audio/5.wav")


def from_another_folder(corpus: Path) -> Manifest:
    return clips_of(corpus / "audio", "0.wav", "5.wav")


def copied(corpus: Path) -> Manifest:
    shutil.copy(corpus / "audio/0.wav", corpus.parent / "copy of it.wav")
    return clips_of(corpus.parent, "copy of it.wav", "corpus/audio/5.wav")


def moved(corpus: Path) -> Manifest:
    shutil.move(corpus, corpus.parent / "archive")
    return clips_of(corpus.parent / "archive" / "audio", "0.wav", "5.wav")


@pytest.mark.parametrize(
    "clips_by",
    [
        spelled,
        absolute,
        linked,
        linked_hard,
        in_a_linked_folder,
        from_another_folder,
        copied,
        moved,
    ],
)
def test_a_file_is_recognized_by_whatever_name(
    clips_by: Callable[[Path], Manifest], corpus: Path, model: Bundle, tmp_path: Path
) -> None:
    clips = clips_by(corpus)
    saved = model.save(tmp_path / "model")
    for one in (Bundle.load(saved), Ensemble((model, replace(model, fitted_on={})))):
        assert fitted_rows(one, clips)["weights"] == [0]
    warning = anymic.evaluate(saved, clips).warning
    assert warning.startswith("the model was fitted on 1 of these 2 clips (weights)")
    with pytest.raises(BundleError, match="1 of 2 clips to calibrate it on was used to train"):
        refuse_known(model, clips, clips, "it")


def test_other_files_of_the_same_names_are_others(
    corpus: Path, model: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "other" / "audio").mkdir(parents=True)
    for number in range(3):
        shutil.copy(corpus / f"audio/{number + 3}.wav", tmp_path / f"other/audio/{number}.wav")
    clips = clips_of(tmp_path / "other", *(f"audio/{number}.wav" for number in range(3)))
    assert anymic.evaluate(model, clips).warning == ""


def test_another_part_of_a_file_counts(corpus: Path, model: Bundle) -> None:
    clips = clips_of(corpus, "audio/0.wav", start_s=[0.2], duration_s=[0.2])
    assert "1 of these 1 clip or on other parts of their" in anymic.evaluate(model, clips).warning


def test_a_model_without_hashes_is_compared_by_ids(
    corpus: Path, model: Bundle, tmp_path: Path
) -> None:
    folder = model.save(tmp_path / "old")
    index = json.loads((folder / "bundle.json").read_text())
    del index["file_hashes"]
    (folder / "bundle.json").write_text(json.dumps(index))
    old = Bundle.load(folder)
    assert fitted_rows(old, spelled(corpus)) == {"weights": [0]}
    assert fitted_rows(old, from_another_folder(corpus)) == {"weights": []}


def test_files_that_are_missing_are_compared_by_ids(corpus: Path, model: Bundle) -> None:
    clips = spelled(corpus)
    shutil.rmtree(corpus)
    assert file_hashes(clips) == {}
    assert fitted_rows(model, clips) == {"weights": [0]}


def test_a_part_of_a_large_file_is_read(tmp_path: Path) -> None:
    large = tmp_path / "large"
    content = np.random.default_rng(0).bytes(SAMPLES * SAMPLE_BYTES + 1)
    large.write_bytes(content)
    key = content_key(large)
    for place in (0, -1):
        changed = bytearray(content)
        changed[place] ^= 1
        large.write_bytes(changed)
        assert content_key(large) != key
    large.write_bytes(content + b"\0")
    assert content_key(large) != key
    with large.open("r+b") as file:
        file.truncate(1 << 40)  # a sparse file of a terabyte
    assert len(content_key(large)) == 16
    os.mkfifo(tmp_path / "pipe")
    assert content_key(tmp_path / "pipe") == content_key(tmp_path) == ""
