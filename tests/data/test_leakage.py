"""Clips that train and test are compared by their files, not by the text of their paths."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.cli import main
from anymic.data.checks import check, usable
from anymic.data.manifest import Manifest, concatenate
from anymic.data.splits import check_splits, split_groups
from anymic.errors import ManifestError

Names = Callable[[str], str]


@pytest.fixture
def names(tmp_path: Path, wav: Callable[..., Path]) -> Names:
    """Return a function that gives another name of the file audio/x.wav."""
    file = wav(tmp_path / "audio" / "x.wav")
    for name in ("y", "z", "u", "v"):
        wav(tmp_path / "audio" / f"{name}.wav")
    (tmp_path / "linked").symlink_to(file.parent, target_is_directory=True)
    (tmp_path / "link.wav").symlink_to(file)
    os.link(file, tmp_path / "hard.wav")
    given = {
        "same": "audio/x.wav",
        "dot": "./audio/x.wav",
        "twice": "audio//x.wav",
        "up": "audio/../audio/x.wav",
        "absolute": str(file),
        "link": "link.wav",
        "hard link": "hard.wav",
        "linked folder": "linked/x.wav",
        "link, absolute": str(tmp_path / "linked" / ".." / "link.wav"),
    }
    return given.__getitem__


NAMES = (
    "same",
    "dot",
    "twice",
    "up",
    "absolute",
    "link",
    "hard link",
    "linked folder",
    "link, absolute",
)


def rows(other: str, **columns: list[object]) -> pd.DataFrame:
    """Return five clips that train and test; the second training clip is `other` in test."""
    paths = ["audio/x.wav", "audio/y.wav", "audio/z.wav", "audio/u.wav", other]
    split = ["train", "train", "train", "validation", "test"]
    return pd.DataFrame({"path": paths, "label": list("abaaa"), "split": split, **columns})


@pytest.mark.parametrize("name", NAMES)
def test_a_file_in_train_and_test_is_found_by_every_name(
    name: str,
    names: Names,
    tmp_path: Path,
    bundle_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Another start: else the text alone may be refused as the same clip twice.
    table = rows(names(name), start_s=[0, 0, 0, 0, 0.01])
    with pytest.raises(ManifestError, match=r"path audio/x\.wav.* \(test and train\)"):
        check_splits(Manifest.from_table(table, tmp_path))
    table.to_csv(tmp_path / "m.csv", index=False)
    for command in (["train", "--out", "run"], ["evaluate", str(bundle_folder)]):
        assert main([*command, "--data", str(tmp_path / "m.csv")]) == 2
        assert "overlaps between splits" in capsys.readouterr().err


def test_files_that_differ_are_no_leak(names: Names, tmp_path: Path) -> None:
    check_splits(Manifest.from_table(rows("audio/v.wav"), tmp_path))
    check_splits(Manifest.from_table(rows("audio/missing.wav"), tmp_path))


@pytest.mark.parametrize(
    "parts",
    [
        {"start_s": [0, 0, 0, 0, 0.005], "duration_s": [0.01] * 5},  # that overlap
        {"start_s": [0, 0, 0, 0, 0.01], "duration_s": [0.01] * 5},  # that do not
        {"start_s": [0, 0, 0, 0, 0.005]},
    ],
)
def test_parts_of_a_file_are_of_one_recording(
    parts: dict[str, list[object]], names: Names, tmp_path: Path
) -> None:
    for name in ("same", "hard link"):
        manifest = Manifest.from_table(rows(names(name), **parts), tmp_path)
        with pytest.raises(ManifestError, match="overlaps between splits"):
            check_splits(manifest)
        recordings = manifest.recordings()
        assert recordings[0] == recordings[4]
        assert len(set(recordings)) == 4


@pytest.mark.parametrize("seed", range(5))
def test_what_is_set_aside_shares_no_file_and_no_take(
    seed: int, tmp_path: Path, wav: Callable[..., Path]
) -> None:
    """Although the groups divide them."""
    rng = np.random.default_rng(seed)
    table = []
    for number in range(30):
        file = wav(tmp_path / f"{number}.wav")
        (tmp_path / f"link{number}.wav").symlink_to(file)
        for part, name in enumerate((f"{number}.wav", f"./{number}.wav", f"link{number}.wav")):
            group = "" if rng.random() < 0.3 else f"g{rng.integers(40)}"
            take = f"t{number // 2}" if rng.random() < 0.3 else ""
            row = {"path": name, "label": "ab"[number % 2], "start_s": part / 200}
            table.append({**row, "group": group, "take": take})
    manifest = Manifest.from_table(pd.DataFrame(table), tmp_path)
    if len(set(manifest.recordings())) > 1:
        rest, aside = split_groups(manifest, share=0.2, seed=seed)
        check_splits(
            concatenate([rest.with_columns(split="train"), aside.with_columns(split="test")])
        )


def test_recordings_that_share_nothing_stay_apart(tmp_path: Path) -> None:
    paths = [f"{number}.wav" for number in range(6)]
    groups, takes = ["g", "", "", "h", "h", ""], ["", "1", "1", "2", "2", ""]
    table = pd.DataFrame({"path": paths, "label": list("aabbab"), "group": groups, "take": takes})
    manifest = Manifest.from_table(table, tmp_path)
    assert manifest.recordings() == [
        "group:g",
        "take:1",
        "take:1",
        "group:h",
        "group:h",
        "path:5.wav",
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("checked", [True, False])
def test_prepare_writes_nothing_that_is_refused(
    name: str, checked: bool, names: Names, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Either no manifest, and the reason, or one without the second row of the file."""
    rows(names(name)).to_csv(tmp_path / "m.csv", index=False)
    out = tmp_path / "out" / "prepared.csv"
    command = ["data", "prepare", "csv", "--root", str(tmp_path / "m.csv"), "--out", str(out)]
    status = main([*command, *([] if checked else ["--no-check"])])
    shown = "".join(capsys.readouterr())
    assert status in (1, 2)
    assert ("overlap" in shown) or ("the same" in shown)
    if out.exists():
        written = Manifest.read(out)
        assert len(written) == 4
        check_splits(written)


def test_a_copy_is_found_where_files_are_read(names: Names, tmp_path: Path) -> None:
    """In another file, another container, and by another name of the same file."""
    samples, rate_hz = soundfile.read(tmp_path / "audio" / "x.wav", dtype="int16")
    soundfile.write(tmp_path / "copy.flac", samples, rate_hz)
    shutil.copy(tmp_path / "audio" / "x.wav", tmp_path / "copy.wav")
    for other, label in (
        ("copy.flac", "a"),
        ("copy.wav", "a"),
        ("hard.wav", "a"),
        ("link.wav", "b"),
    ):
        manifest = Manifest.from_table(rows(other).assign(label=[*"abaa", label]), tmp_path)
        problems = check(manifest, progress=False)
        (kind,) = {problem.kind for problem in problems}
        assert kind == ("duplicate" if label == "a" else "conflict")
        assert any(problem.path == other for problem in problems)
        check_splits(usable(manifest, problems))


def test_one_label_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where validation clips have another, or are named by the split."""
    for labels in ("aaaaa", "aaaba"):
        rows("audio/v.wav").assign(label=list(labels)).to_csv(tmp_path / "m.csv", index=False)
        command = ["train", "--data", str(tmp_path / "m.csv"), "--out", str(tmp_path / "run")]
        assert main(command) == 2
        shown = capsys.readouterr().err.splitlines()
        (error,) = (line for line in shown if not line.startswith("note: "))
        assert "All training clips have the label a. Expected at least two labels" in error


def test_splits_that_are_not_used_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = rows("audio/v.wav").assign(split=["train", "trian", "", "validation", "test"])
    table.to_csv(tmp_path / "m.csv", index=False)
    assert main(["train", "--data", str(tmp_path / "m.csv"), "--out", str(tmp_path / "run")]) == 2
    notes = capsys.readouterr().err.splitlines()
    unused = "'trian' (1 clip) (did you mean 'train'?), '' (1 clip)"
    assert notes[-2] == f"note: clips of these splits are not used: {unused}"


def test_a_folder_of_devices_is_explained(
    tmp_path: Path,
    bundle_folder: Path,
    wav: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("A/1.wav", "B/1.wav"):
        wav(tmp_path / "sounds" / name)
    assert main(["evaluate", str(bundle_folder), "--data", str(tmp_path / "sounds")]) == 2
    shown = capsys.readouterr().err
    assert "A (1 row), B (1 row); each label is the name of a folder" in shown
    assert "list the files and labels in a CSV file" in shown
