from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.bundle import Bundle
from anymic.cli import main
from anymic.errors import ConfigError
from anymic.inference.predictor import load
from anymic.inference.submission import Submission


def test_the_file_has_the_format_of_the_competition(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The header and form of the competition's sample_submission.csv, for clips of any length."""
    for number, seconds in enumerate((0.3, 1.0, 2.7)):
        samples = np.random.default_rng(number).uniform(-0.5, 0.5, round(8000 * seconds))
        soundfile.write(tmp_path / f"0006364{number}.wav", samples, 8000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    out = tmp_path / "submission.csv"
    files = [str(tmp_path / "*.wav"), "--model", str(bundle_folder)]
    assert main(["predict", *files, "--submission", str(out)]) == 1  # one file failed
    lines = out.read_text().splitlines()
    assert lines[0] == "fname,label"
    assert [line.split(",")[0] for line in lines[1:]] == [f"0006364{n}.wav" for n in range(3)]
    table = pd.read_csv(out)
    for name, labels in zip(table["fname"], table["label"], strict=True):
        found = load(bundle_folder).predict(tmp_path / name).probabilities
        assert labels.split(" ") == sorted(found, key=lambda label: -found[label])
    assert "1 of 4 files failed" in capsys.readouterr().err


def test_rejections(
    small_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="model has 2 labels"):
        Submission(tmp_path / "a.csv", ["dog", "rain"])
    with pytest.raises(ConfigError, match="The label 'sea waves'"):
        Submission(tmp_path / "a.csv", ["dog", "sea waves", "rain"])
    folder = small_bundle.save(tmp_path / "bundle")
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        samples = np.random.default_rng(0).uniform(-0.5, 0.5, 8000)
        soundfile.write(tmp_path / place / "a.wav", samples, 8000)
    out = tmp_path / "submission.csv"
    places = [str(tmp_path / "one"), str(tmp_path / "two"), "--model", str(folder)]
    assert main(["predict", *places, "--submission", str(out)]) == 2
    assert "Two files have the name a.wav" in capsys.readouterr().err
    assert not out.exists()
