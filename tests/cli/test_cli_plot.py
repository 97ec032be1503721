from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from matplotlib.image import imread

from anymic.cli import main

RATE = 8000


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Return a manifest of eight sounds, the last of which is not there."""
    rows = []
    for number in range(8):
        name = f"{number}.wav"
        if number < 7:
            samples = np.random.default_rng(number).uniform(-0.5, 0.5, RATE)
            soundfile.write(tmp_path / name, samples, RATE)
        split = "train" if number < 4 else "test"
        rows.append((name, ("dog", "rain")[number % 2], "AB"[number // 2 % 2], split))
    table = pd.DataFrame(rows, columns=["path", "label", "device", "split"])
    table.to_csv(tmp_path / "clips.csv", index=False)
    return tmp_path / "clips.csv"


def test_features(manifest: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = manifest.parent / "new" / "features.png"
    options = ["--data", str(manifest), "--out", str(out)]
    assert main(["plot", "features", str(bundle_folder), *options]) == 1
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    assert said.err.splitlines()[-1] == "1 of 8 files failed"
    assert imread(out).shape[1] == 1152  # 7.2 inches


def test_what_cannot_be_drawn_is_one_line(
    manifest: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(manifest)
    table.drop(columns="split").to_csv(manifest.parent / "no_split.csv", index=False)
    table.assign(split="train").to_csv(manifest.parent / "train.csv", index=False)
    for name, out, said in (
        ("no_split.csv", "a.png", "split for a panel of training and one of test clips"),
        ("train.csv", "a.png", "The manifest has the splits train. Expected train and test"),
        ("clips.csv", "a.jpg", "a.jpg cannot be drawn"),
    ):
        options = ["--data", str(manifest.parent / name), "--out", out]
        assert main(["plot", "features", str(bundle_folder), *options]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
