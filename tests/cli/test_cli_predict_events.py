from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.known_sounds import WINDOW_S, joined_recording, tone_model

from anymic import audio
from anymic.audio import Clip
from anymic.cli import main

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tone_model().save(tmp_path / "model")


def test_labels_of_audacity_in_one_command(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spans = joined_recording(tmp_path / "night.flac", length_s=60, seed=1)
    out = tmp_path / "night.txt"
    command = ["predict", str(tmp_path / "night.flac"), "--model", str(model), "--out", str(out)]
    assert main([*command, "--format", "audacity"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}  {len(spans)} events in 1 recording\n"
    assert said.err == ""
    rows = [line.split("\t") for line in out.read_text().splitlines()]
    assert [row[2] for row in rows] == [one.label for one in spans]
    for row, one in zip(rows, spans, strict=True):
        assert abs(float(row[0]) - one.start_s) <= WINDOW_S
    assert not (tmp_path / "night.txt.journal").exists()


def test_rules_and_hop_are_options(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joined_recording(tmp_path / "a.wav", length_s=20, seed=1)
    out = tmp_path / "a.jsonl"
    command = ["predict", str(tmp_path / "a.wav"), "--model", str(model), "--out", str(out)]
    rules = ["--threshold", "0", "--shortest", "5", "--longest-gap", "2", "--hysteresis", "0.1"]
    assert main([*command, *rules, "--hop", "0.5", "--overlap", "maximum", "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["recordings"], outcome["events"]) == (1, 3)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["start_s"], row["end_s"]) for row in rows] == [(0, 20)] * 3
    assert main([*command, "--every-window", "--top", "3"]) == 0
    assert len(out.read_text().splitlines()) == 60


def test_recordings_without_an_event_are_counted(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joined_recording(tmp_path / "a.wav", length_s=5)
    faint = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    audio.write(tmp_path / "b.wav", Clip(faint, 16000))
    out = tmp_path / "out.csv"
    places = [str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]
    command = ["predict", *places, "--model", str(model), "--out", str(out), "--threshold", "0.9"]
    assert main(command) == 0
    assert capsys.readouterr().out.endswith(" in 2 recordings, 1 of them without any\n")
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recordings_without_events"] == 1


def test_a_failed_file_leaves_the_others(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joined_recording(tmp_path / "a.wav", length_s=5)
    (tmp_path / "b.wav").write_text("no sound")
    out = tmp_path / "out.csv"
    places = [str(tmp_path / "a.wav"), str(tmp_path / "b.wav"), str(tmp_path / "x*.wav")]
    command = ["predict", *places, "--model", str(model), "--out", str(out)]
    assert main(command) == 1
    said = capsys.readouterr().err.splitlines()
    assert "out.csv.journal is kept" in said[0]
    assert [line.split(":")[0] for line in said[1:3]] == ["failed", "failed"]
    assert said[-1] == "2 of 3 files failed"
    rows = out.read_text().splitlines()
    assert len(rows) > 1
    assert main(command) == 1
    assert "1 of 2 recordings is done already" in capsys.readouterr().err
    assert out.read_text().splitlines() == rows


def test_the_old_flag_gives_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "a.wav", "--model", "run", "--windows"]) == 2
    line = "error: `--windows` is now `--every-window`. Pass `--every-window`.\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--threshold", "0.4"], "--threshold is given without --out"),
        (["--longest-gap", "3"], "--longest-gap is given without --out"),
        (["--hop", "0.5"], "--hop is given without --out"),
        (["--hop", "0"], "--hop is given without --out"),
        (["--format", "csv"], "--format is given without --out"),
        (["--out", "a.txt"], "does not state a format"),
        (["--out", "a.csv", "--format", "raven"], "not that of a file of the format raven"),
        (["--out", "a.csv", "--min-confidence", "0.5"], "--min-confidence cannot be used"),
        (["--out", "a.csv", "--top", "2"], "--top cannot be used"),
        (["--out", "a.csv", "--overlap", "median"], "--overlap is median"),
        (["--out", "a.csv", "--hop", "2"], "cannot start every 2"),
        (["--out", "a.csv", "--threshold", "2"], "threshold is 2"),
        (["--out", "a.csv", "--submission", "b.csv"], "--submission cannot be used"),
    ],
)
def test_wrong_use_is_one_line(
    refused: Callable[..., str],
    bundle_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refused("predict", "a.wav", "--model", bundle_folder, *options)
    assert said.lower() in line.lower()
