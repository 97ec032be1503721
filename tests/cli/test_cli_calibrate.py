"""The command that calibrates a model, and what the others then say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from anymic.bundle import Bundle
from anymic.cli import main
from anymic.data.manifest import Manifest
from anymic.evaluation.report import read_json
from anymic.inference.predictor import Predictor

RATE, CLIPS = 8000, 48


@pytest.fixture
def clips(tmp_path: Path, small_bundle: Bundle) -> Path:
    """Return a manifest whose labels the model gets right three times of four."""
    rows = []
    for number in range(CLIPS):
        samples = np.random.default_rng(number).uniform(-0.5, 0.5, RATE)
        soundfile.write(tmp_path / f"{number}.wav", samples, RATE)
        split = "validation" if number < 36 else "test"
        rows.append({"path": f"{number}.wav", "label": "dog", "device": "AB"[number % 2]})
        rows[-1] |= {"split": split, "group": f"r{number}"}
    manifest = Manifest.from_table(pd.DataFrame(rows), tmp_path)
    first = Predictor(small_bundle).predict_manifest(manifest).probabilities
    balance = np.median(np.log(first), axis=0)  # so that every label is sometimes the first
    bias = dict(small_bundle.network.named_parameters())["classifier.bias"]
    bias.data -= torch.tensor(balance, dtype=torch.float32)
    found = Predictor(small_bundle).predict_manifest(manifest).probabilities.argsort(axis=1)
    said = [found[row, -1 - (row % 4 == 3)] for row in range(CLIPS)]
    labels = [small_bundle.labels[number] for number in said]
    return manifest.with_columns(label=labels).write(tmp_path / "clips.csv")


@pytest.fixture
def run(tmp_path: Path, small_bundle: Bundle, clips: Path) -> Path:
    ids = tuple(Manifest.read(clips).where(split="validation").clip_ids())
    return replace(small_bundle, fitted_on={"validation": ids}).save(tmp_path / "run")


def test_a_calibrated_model_predicts_and_is_evaluated(
    run: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "calibrated"
    arguments = ["calibrate", run, "--data", clips, "--out", out]
    assert main([*map(str, arguments)]) == 0
    said = capsys.readouterr().out
    for word in ("before", "after, on these clips", "after, held out", "log loss", "ECE"):
        assert word in said
    assert f"{out}: calibrated, temperature " in said
    assert Bundle.load(run).calibration is None
    calibration = Bundle.load(out).calibration
    assert calibration is not None
    assert calibration.counts_ == {"": 36}

    report = tmp_path / "report"
    evaluate = ["evaluate", out, "--data", clips, "--out", report, "--min-confidence", "0.5"]
    assert main([*map(str, evaluate)]) == 0
    assert "Answered where the confidence is 0.5 or more" in capsys.readouterr().out
    rows, header = read_json(report / "report.json")
    assert header["probabilities"] == f"calibrated after training: {calibration.describe()}"
    (whole,) = [row for row in rows if row.condition == {"min_confidence": "0.5"}][:1]
    test = Manifest.read(clips).where(split="test")
    sure = Predictor(Bundle.load(out)).predict_manifest(test).probabilities.max(axis=1) >= 0.5
    assert (whole.metric, whole.value, whole.n) == ("coverage", sure.mean(), 12)


def test_the_model_is_changed_and_a_calibrator_replaced(
    run: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for method in ("isotonic", "temperature"):
        arguments = ["calibrate", run, "--data", clips, "--method", method, "--json"]
        assert main([*map(str, arguments)]) == 0
        found.append(json.loads(capsys.readouterr().out))
        calibration = Bundle.load(run).calibration
        assert calibration is not None
        assert calibration.method == method
    first, second = found
    assert first["calibration"]["method"] == "isotonic"
    assert second["calibration"]["temperature"] > 0
    # the second was fitted on the network's own probabilities, not on calibrated ones
    for one, other in zip(first["changes"], second["changes"], strict=True):
        assert one["before"] == other["before"]
    assert [change["device"] for change in second["changes"]] == ["A", "B", ""]


def test_evaluate_says_when_clips_calibrated_the_model(
    run: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", str(run), "--data", str(clips)]) == 0
    capsys.readouterr()
    arguments = ["evaluate", run, "--data", clips, "--split", "all", "--out", tmp_path / "report"]
    assert main([*map(str, arguments)]) == 0
    err = capsys.readouterr().err
    assert "the model was fitted on 36 of these 48 clips (validation, calibration)" in err
    header = read_json(tmp_path / "report" / "report.json")[1]
    assert "(validation, calibration)" in header["warning"]


def test_refusals_are_one_line_and_leave_the_run_as_it_was(
    run: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "bundle.json").read_bytes()
    for options, line in (
        (["--method", "platt"], "--method is platt. Expected one of temperature, isotonic"),
        (["--split", "test"], "All 12 clips to calibrate on have the split test"),
        (["--split", "all"], "12 of 48 clips to calibrate on have the split test"),
        (["--split", "spare"], "No clip has the split 'spare' (splits: test, validation)"),
        (["--per-device"], "18 of A, 18 of B. Expected at least 30 clips of each device"),
    ):
        command = ["calibrate", str(run), "--data", str(clips), *options]
        assert main(command) == 2
        out, err = capsys.readouterr()
        assert line in err
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert out == ""
    assert (run / "bundle.json").read_bytes() == before
