"""From many trainings to one model that answers like any other, by commands alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.bundle import Bundle, Ensemble
from anymic.cli import main
from anymic.evaluation.report import read_json

RATE = 8000
SETTINGS = """
network: basic1
frontend: {rate_hz: 8000, fft_size: 256, hop_samples: 128, bands: 32}
epochs: 2
batch_size: 8
validation_share: 0.34
monitor: last
"""


def tone(hz: float, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    phase = 2 * np.pi * hz * generator.uniform(0.9, 1.1) * np.arange(RATE) / RATE
    return (0.3 * np.sin(phase) + 0.05 * generator.normal(size=RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    rows = []
    for label, hz in (("low", 300), ("high", 2500)):
        for number in range(12):
            path = f"{label}{number}.wav"
            soundfile.write(root / path, tone(hz, number + int(hz)), RATE, subtype="PCM_16")
            split = "train" if number < 8 else "aside" if number < 10 else "test"
            rows.append((path, label, split, "AB"[number % 2], path))
    columns = ["path", "label", "split", "device", "group"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "clips.csv", index=False)
    (root / "settings.yaml").write_text(SETTINGS)
    return root


def arguments(*parts: object) -> list[str]:
    return [str(part) for part in parts]


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    settings = ("--data", corpus / "clips.csv", "--config", corpus / "settings.yaml")
    train = ("train", *settings, "--members", 3, "--seed", 5, "--workers", 1, "--out", out)
    assert main(arguments(*train)) == 0
    return out


def members(run: Path) -> list[Path]:
    return sorted((run / "members").iterdir())


def test_training_members_says_what_is_next(
    run: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run again it trains nothing, and its last line can be typed."""
    settings = ("--data", corpus / "clips.csv", "--config", corpus / "settings.yaml")
    train = ("train", *settings, "--members", 3, "--seed", 5, "--out", run)
    assert main(arguments(*train, "--json")) == 0
    listed = json.loads(capsys.readouterr().out)["members"]
    assert [item["model"] for item in listed] == [str(place) for place in members(run)]
    assert all(0 <= item["best"] <= 1 for item in listed)
    assert main(arguments(*train)) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        f"next: anymic ensemble {run}/members/* --voting calibrated"
        f" --data {corpus / 'clips.csv'} --out {run}/ensemble"
    )


def test_an_ensemble_predicts_and_is_evaluated_like_any_model(
    run: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, data = tmp_path / "ensemble", ("--data", corpus / "clips.csv")
    made = ("ensemble", *members(run), "--voting", "calibrated", *data, "--out", out)
    assert main(arguments(*made)) == 0
    printed = capsys.readouterr().out
    assert printed.count("votes") == 3
    assert f"{out}: all 3 members, calibrated voting" in printed
    ensemble = Ensemble.load(out)
    for member, place in zip(ensemble.members, members(run), strict=True):
        aside = Bundle.load(place).fitted_on["validation"]
        assert sorted(member.fitted_on["calibration"]) == sorted(aside)
    assert main(arguments("evaluate", out, *data, "--out", tmp_path / "report")) == 0
    assert read_json(tmp_path / "report" / "report.json")[0][0].n == 4
    capsys.readouterr()
    assert main(arguments("predict", corpus / "low11.wav", "--model", out, "--json")) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert sum(found["probabilities"].values()) == pytest.approx(1.0)


def test_selection_leaves_out_and_says_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = shutil.copytree(members(run)[0], tmp_path / "worse")
    index = json.loads((place / "bundle.json").read_text())
    index["training"]["best"] = 0.1
    (place / "bundle.json").write_text(json.dumps(index))
    made = ("ensemble", place, *members(run)[1:], "--select", "accuracy>=0.2")
    assert main(arguments(*made, "--out", tmp_path / "out", "--json")) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["left_out"] == [str(place)]
    assert [one["name"] for one in outcome["members"]] == [str(p) for p in members(run)[1:]]
    assert len(Ensemble.load(tmp_path / "out").members) == 2
    made = ("ensemble", place, "--select", "accuracy>=0.2", "--out", tmp_path / "none")
    assert main(arguments(*made)) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: No member has accuracy>=0.2 (the best of 1, ")
    assert err.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_a_split_without_training_clips_calibrates(run: Path, corpus: Path, tmp_path: Path) -> None:
    data = ("--data", corpus / "clips.csv", "--split", "aside")
    made = ("ensemble", *members(run), "--voting", "calibrated", *data, "--out", tmp_path / "out")
    assert main(arguments(*made)) == 0
    (one, *_) = {m.fitted_on["calibration"] for m in Ensemble.load(tmp_path / "out").members}
    assert len(one) == 4


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--voting", "hard"],
            "--voting is hard. Expected one of soft, calibrated, geometric",
        ),
        (["--voting", "calibrated"], "--voting calibrated is given without --data"),
        (["--split", "aside"], "--split aside is given without --voting calibrated and --data"),
        (
            ["--select", "accuracy>70"],
            "The selection 'accuracy>70' is not valid. Expected accuracy>= and a",
        ),
        (["--select", "accuracy>=1.0", "{worse}"], "The members have different labels: high and"),
        (["{first}"], "twice. Expected each model once"),
        (["{corpus}"], "has no bundle.json. Expected the folder of a bundle"),
        (
            ["--voting", "calibrated", "--data", "{csv}", "--split", "train"],
            "were used to train its weights",
        ),
        (
            ["--voting", "calibrated", "--data", "{csv}", "--split", "x"],
            "No clip has the split 'x",
        ),
    ],
)
def test_refusals_in_one_line(
    run: Path,
    corpus: Path,
    tmp_path: Path,
    options: list[str],
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    worse = shutil.copytree(members(run)[0], tmp_path / "worse")
    index = json.loads((worse / "bundle.json").read_text())
    (worse / "bundle.json").write_text(json.dumps({**index, "labels": ["low", "mid"]}))
    names = {
        "{worse}": str(worse),
        "{first}": str(members(run)[0]),
        "{corpus}": str(corpus),
        "{csv}": str(corpus / "clips.csv"),
    }
    given = [names.get(option, option) for option in options]
    made = ("ensemble", *members(run), *given, "--out", tmp_path / "out")
    assert main(arguments(*made)) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_models_without_validation_clips_are_refused(
    run: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = shutil.copytree(members(run)[0], tmp_path / "bare")
    index = json.loads((place / "bundle.json").read_text())
    del index["fitted_on"]["validation"]
    (place / "bundle.json").write_text(json.dumps(index))
    data = ("--voting", "calibrated", "--data", corpus / "clips.csv")
    for options in (data, ("--select", "accuracy>=0.1")):
        assert main(arguments("ensemble", place, *options, "--out", tmp_path / "out")) == 2
        assert "No validation clips were set aside for" in capsys.readouterr().err


def test_an_ensemble_is_no_member(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(arguments("ensemble", members(run)[0], "--out", out)) == 0  # one alone may
    assert main(arguments("ensemble", out, "--out", tmp_path / "again")) == 2
    assert "an ensemble. Expected single models" in capsys.readouterr().err
    assert main(arguments("ensemble", members(run)[0], "--out", run)) == 2
    assert "a folder members that belongs to no ensemble" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--workers", "2"], "--workers 2 is given without --members"),
        (
            ["--members", "2", "--trainer", "devices=2"],
            "--trainer devices=2 is given with --members",
        ),
        (
            ["--members", "2", "--trainer", "strategy=ddp"],
            "--trainer strategy=ddp is given with --members",
        ),
    ],
)
def test_train_refuses_in_one_line(
    corpus: Path,
    tmp_path: Path,
    options: list[str],
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train = ("train", "--data", corpus / "clips.csv", "--out", tmp_path / "run", *options)
    assert main(arguments(*train)) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {line}")
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
