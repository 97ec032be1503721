from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anymic.data.corpora.fsdkaggle2018 import fsdkaggle2018
from anymic.errors import ManifestError


def zenodo(root: Path, wav: Callable[..., Path]) -> Path:
    meta = root / "FSDKaggle2018.meta"
    meta.mkdir(parents=True)
    (meta / "train_post_competition.csv").write_text(
        "fname,label,manually_verified,freesound_id,license\n"
        "00044347.wav,Hi-hat,0,28739,Attribution\n"
        "001ca53d.wav,Saxophone,1,358827,Attribution\n"
    )
    (meta / "test_post_competition_scoring_clips.csv").write_text(
        "fname,label,usage,freesound_id,license\n"
        "00326aa9.wav,Oboe,Private,355125,Attribution\n"
        "0038a046.wav,Bass_drum,Public,90621,Creative Commons 0\n"
    )
    for name in ("audio_train/00044347", "audio_train/001ca53d"):
        wav(root / f"FSDKaggle2018.{name}.wav")
    for name in ("audio_test/00326aa9", "audio_test/0038a046"):
        wav(root / f"FSDKaggle2018.{name}.wav")
    return root


def kaggle(root: Path, wav: Callable[..., Path]) -> Path:
    (root / "train.csv").write_text(
        "fname,label,manually_verified\n00044347.wav,Hi-hat,0\n001ca53d.wav,Saxophone,1\n"
    )
    for name in ("audio_train/00044347", "audio_train/001ca53d", "audio_test/00326aa9"):
        wav(root / f"{name}.wav")
    return root


@pytest.mark.parametrize("below", ["", "FSDKaggle2018"])
def test_zenodo_layout(tmp_path: Path, wav: Callable[..., Path], below: str) -> None:
    zenodo(tmp_path / below, wav)
    manifest = fsdkaggle2018(tmp_path)
    assert manifest.table["split"].tolist() == ["train", "train", "test", "test"]
    assert manifest.table["manually_verified"].tolist() == [0, 1, -1, -1]
    assert manifest.table["usage"].tolist() == ["", "", "Private", "Public"]
    assert manifest.table["freesound_id"].tolist() == ["28739", "358827", "355125", "90621"]
    assert manifest.labels == ["Bass_drum", "Hi-hat", "Oboe", "Saxophone"]
    assert all(path.is_file() for path in manifest.paths())


def test_kaggle_layout_has_labels_for_training_clips_only(
    tmp_path: Path, wav: Callable[..., Path]
) -> None:
    manifest = fsdkaggle2018(kaggle(tmp_path, wav))
    assert manifest.table["split"].tolist() == ["train", "train"]
    assert manifest.table["manually_verified"].tolist() == [0, 1]
    assert all(path.is_file() for path in manifest.paths())


def test_kaggle_layout_with_the_labels_given_later(
    tmp_path: Path, wav: Callable[..., Path]
) -> None:
    (kaggle(tmp_path, wav) / "test_post_competition.csv").write_text(
        "fname,label,usage,freesound_id,license\n"
        "00326aa9.wav,Oboe,Private,355125,Attribution\n"
        "pad.wav,None,Ignored,0,None\n"
    )
    test = fsdkaggle2018(tmp_path).where(split="test")
    assert test.table["label"].tolist() == ["Oboe"]
    assert test.paths()[0].is_file()


def test_a_wrong_layout_names_the_missing_file(tmp_path: Path, wav: Callable[..., Path]) -> None:
    with pytest.raises(ManifestError, match=r"has no FSDKaggle2018\.meta/train_post.*train\.csv"):
        fsdkaggle2018(tmp_path)
    zenodo(tmp_path, wav)
    (tmp_path / "FSDKaggle2018.meta" / "test_post_competition_scoring_clips.csv").unlink()
    with pytest.raises(ManifestError, match=r"has no FSDKaggle2018\.meta/test_post_competition"):
        fsdkaggle2018(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fname,label\na.wav,Oboe\n", "also manually_verified"),
        ("fname,label,manually_verified\na.wav,Oboe,yes\n", "manually_verified is 'yes'"),
        ("fname,label,manually_verified\na.wav,Kazoo,1\n", r"Unknown labels.*Kazoo \(1 row\)"),
        ("fname,label,manually_verified\na.wav,Oboe,1\na.wav,Oboe,1\n", "the same path"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(ManifestError, match=message):
        fsdkaggle2018(tmp_path)
