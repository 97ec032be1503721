from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic._internal.folder_lock import folder_lock
from anymic.cli import main
from anymic.inference.embedder import Embedder
from anymic.inference.predictor import load

RATE = 8000


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Return a folder of three sounds and a manifest of them."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for seed, name in enumerate(("a.wav", "b.wav", "c.flac")):
        samples = np.random.default_rng(seed).uniform(-0.5, 0.5, RATE * (1 + seed))
        soundfile.write(folder / name, samples, RATE)
    rows = [
        ("a.wav", "dog", "B", "test"),
        ("b.wav", "rain", "A", "train"),
        ("no.wav", "dog", "", ""),
    ]
    table = pd.DataFrame(rows, columns=["path", "label", "device", "split"])
    table.to_csv(folder / "clips.csv", index=False)
    return folder


def test_files(sounds: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = sounds / "features.npz"
    arguments = [str(sounds / "c.flac"), str(sounds / "a.wav"), "--device", "B"]
    assert main(["embed", *arguments, "--model", str(bundle_folder), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}  4 windows, 64 features each\n"
    expected = Embedder(load(bundle_folder).bundle).embed(
        [sounds / "c.flac", sounds / "a.wav"], device="B"
    )
    with np.load(out) as arrays:
        np.testing.assert_array_equal(arrays["features"], expected.features)
        assert arrays["starts_s"].tolist() == [0, 1, 2, 0]
        assert arrays["devices"].tolist() == ["B"] * 4


def test_a_manifest_with_a_file_that_is_not_there(
    sounds: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = sounds / "features.csv"
    options = ["--data", str(sounds / "clips.csv"), "--model", str(bundle_folder)]
    assert main(["embed", *options, "--out", str(out), "--json"]) == 1
    said = capsys.readouterr()
    outcome = json.loads(said.out)
    assert (outcome["windows"], outcome["features"]) == (3, 64)
    assert outcome["failures"][0]["path"].endswith("no.wav")
    assert said.err.startswith("failed: ")
    assert said.err.endswith("1 of 3 files failed\n")
    assert pd.read_csv(out)["label"].tolist() == ["dog", "rain", "rain"]
    assert main(["embed", *options, "--split", "train", "--out", str(sounds / "projector")]) == 0
    assert len((sounds / "projector" / "tensors.tsv").read_text().splitlines()) == 2


def test_failures_of_places_and_files(
    sounds: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [str(sounds / "x*.wav"), "nowhere.wav", str(sounds / "a.wav")]
    options = ["--model", str(bundle_folder), "--out", str(sounds / "new.npz")]
    assert main(["embed", *places, *options]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "2 of 3 files failed"
    assert main(["embed", "nowhere.wav", *options[:2], "--out", str(sounds / "none.npz")]) == 2
    assert "error: No window has features. The first failure: No file" in capsys.readouterr().err
    assert not (sounds / "none.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Neither paths nor --data"),
        (["a.wav", "--data", "clips.csv"], "Both paths and --data"),
        (["--data", "clips.csv", "--device", "A"], "--device is given with --data"),
        (["a.wav", "--split", "test"], "--split is given without --data"),
        (["--data", "clips.csv", "--split", "dev"], "No clip has the split 'dev'"),
        (["a.wav", "--out", "features.json"], "features.json cannot be written"),
    ],
)
def test_contradictory_options_are_one_line(
    sounds: Path,
    bundle_folder: Path,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(sounds)
    options = ["--model", str(bundle_folder), "--out", "out.npz"]
    assert main(["embed", *options, *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_two_runs_into_one_folder_are_refused(
    sounds: Path,
    bundle_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("anymic._internal.folder_lock.PATIENCE_S", 0.2)
    out = sounds / "projector"
    command = ["embed", str(sounds / "a.wav"), "--model", str(bundle_folder), "--out", str(out)]
    with folder_lock(out):
        assert main(command) == 2
        line = capsys.readouterr().err
        assert line.startswith(f"error: Another run is writing into {out}.")
        assert line.count("\n") == 1
    assert not out.exists()
    assert main(command) == 0
    assert (out / "tensors.tsv").is_file()
