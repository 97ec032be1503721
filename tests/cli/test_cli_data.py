"""``anymic data prepare`` and ``anymic data show``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
from typer.testing import CliRunner, Result

from anymic.cli import app, main
from anymic.data.manifest import Manifest
from anymic.errors import ManifestError


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for name in ("dog/a", "dog/b", "rain/a"):
        path = tmp_path / "corpus" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, generator.normal(0, 0.1, 800), 16000)
    return tmp_path / "corpus"


def anymic(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["data", *(str(a) for a in arguments)], catch_exceptions=False)


def test_a_valid_corpus(corpus: Path) -> None:
    out = corpus / "manifest.csv"
    result = anymic("prepare", "folder", "--root", corpus, "--out", out, "--rate", 16000)
    assert result.exit_code == 0
    assert result.stdout.strip() == f"{out}: 3 clips"
    assert Manifest.read(out).table["path"].tolist() == ["dog/a.wav", "dog/b.wav", "rain/a.wav"]


def test_problems_are_listed_and_left_out(corpus: Path) -> None:
    (corpus / "dog" / "b.wav").write_bytes(b"")
    out = corpus / "manifest.csv"
    result = anymic("prepare", "folder", "--root", corpus, "--out", out)
    assert result.exit_code == 1
    assert re.search(r"empty +dog/b\.wav: The file has 0 bytes", result.stdout)
    assert "2 clips, 1 left out" in result.stdout
    assert len(Manifest.read(out)) == 2


def test_as_json(corpus: Path) -> None:
    out = corpus / "manifest.csv"
    result = anymic("prepare", "folder", "--root", corpus, "--out", out, "--rate", 8000, "--json")
    assert result.exit_code == 1
    outcome = json.loads(result.stdout)
    assert outcome["manifest"] is None
    assert outcome["rows"] == 0
    assert [problem["kind"] for problem in outcome["problems"]] == ["rate"] * 3
    assert not out.exists()


def test_not_checked(corpus: Path) -> None:
    (corpus / "dog" / "b.wav").write_bytes(b"")
    out = corpus / "manifest.csv"
    result = anymic("prepare", "folder", "--root", corpus, "--out", out, "--no-check")
    assert result.exit_code == 0
    assert "were not read" in result.stderr
    assert len(Manifest.read(out)) == 3


def test_an_earlier_manifest_is_replaced(corpus: Path) -> None:
    command = ["data", "prepare", "folder", "--root", str(corpus), "--no-check", "--out"]
    out = corpus.parent / "manifest.csv"
    for clips in (3, 2):
        assert main([*command, str(out)]) == 0
        assert len(Manifest.read(out)) == clips
        (corpus / "dog" / "b.wav").unlink(missing_ok=True)


def test_a_group_on_both_sides_of_a_split(corpus: Path) -> None:
    table = corpus / "table.csv"
    table.write_text(
        "path,label,group,split\ndog/a.wav,dog,g,train\ndog/b.wav,dog,g,test\n"
        "rain/a.wav,rain,h,test\n"
    )
    result = anymic("prepare", "csv", "--root", table, "--out", corpus / "m.csv")
    assert result.exit_code == 1
    assert "group g (test and train)" in result.stdout


def test_a_wrong_layout_is_an_error(corpus: Path) -> None:
    with pytest.raises(ManifestError, match=r"has no meta\.csv"):
        anymic("prepare", "tau2019-mobile", "--root", corpus)


def test_show_counts_every_clip_once(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "path": [f"{n}.wav" for n in range(7)],
            "label": ["bus"] * 4 + ["park"] * 3,
            "device": list("AABBABB"),
            "split": ["train", "test", "train", "test", "train", "train", "test"],
        }
    )
    csv = Manifest.from_table(table, tmp_path).write(tmp_path / "m.csv")
    counts = json.loads(anymic("show", csv, "--json").stdout)
    assert counts["rows"] == sum(row["clips"] for row in counts["counts"]) == 7
    assert {"label": "park", "device": "B", "split": "test", "clips": 1} in counts["counts"]
    shown = anymic("show", csv).stdout
    assert re.search(r"bus\D+1\D+1\D+1\D+1\D+4", shown)
    assert re.search(r"park\D+·\D+1\D+1\D+1\D+3", shown)
    assert re.search(r"all\D+1\D+2\D+2\D+2\D+7", shown)


def test_without_a_name_every_corpus_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "prepare", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"folder", "csv", "scenes", "esc50"} < set(listed)
    assert listed["esc50"]["download"]
    assert not listed["folder"]["download"]
    assert main(["data", "prepare"]) == 0
    assert "ESC-50: 2000 clips" in capsys.readouterr().out


def test_the_folder_of_a_corpus_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "prepare", "folder"]) == 2
    assert "--root" in capsys.readouterr().err


def test_show_reads_a_folder(corpus: Path) -> None:
    (corpus / "notes.txt").write_text("")
    result = anymic("show", corpus, "--json")
    assert result.exit_code == 0
    assert sum(row["clips"] for row in json.loads(result.stdout)["counts"]) == 3


def test_the_condition_of_each_file_is_a_column(corpus: Path) -> None:
    """A band limit and digital silence are named, and do not leave a file out."""
    generator = np.random.default_rng(1)
    noise = generator.normal(0, 0.1, 4 * 16000).astype(np.float32)
    noise[16000:48000] = 0
    soundfile.write(corpus / "dog" / "a.wav", noise, 16000)
    low = soxr.resample(generator.normal(0, 0.1, 4 * 8000).astype(np.float32), 8000, 16000)
    soundfile.write(corpus / "rain" / "a.wav", low, 16000)
    out = corpus / "manifest.csv"
    assert anymic("prepare", "folder", "--root", corpus, "--out", out).exit_code == 0
    table = Manifest.read(out).table.set_index("path")
    assert table["bandwidth_hz"]["rain/a.wav"] == pytest.approx(4000, rel=0.05)
    assert table["bandwidth_hz"]["dog/a.wav"] > 7800
    assert "likely resampled from 8000 Hz" in table["condition"]["rain/a.wav"]
    assert table["condition"]["dog/a.wav"] == "digital silence of 2.0 s"
    assert table["condition"]["dog/b.wav"] == ""
