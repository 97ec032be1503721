"""From a folder of sounds to a model, its report and its answers, by commands alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic._internal.precision import choose
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.data.manifest import Manifest
from anymic.evaluation.report import read_json
from anymic.inference.predictor import load

RATE = 8000
SETTINGS = """
network: basic1
frontend: {rate_hz: 8000, fft_size: 256, hop_samples: 128, bands: 32}
epochs: 3
batch_size: 8
"""


def tone(hz: float, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    phase = 2 * np.pi * hz * generator.uniform(0.9, 1.1) * np.arange(RATE) / RATE
    return (0.3 * np.sin(phase) + 0.05 * generator.normal(size=RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of one folder a label, with a manifest of it that has splits and devices."""
    root = tmp_path_factory.mktemp("corpus")
    rows = []
    for label, hz in (("low", 300), ("high", 2500)):
        (root / "sounds" / label).mkdir(parents=True)
        for number in range(12):
            path = root / "sounds" / label / f"{number}.wav"
            soundfile.write(path, tone(hz, number + int(hz)), RATE, subtype="PCM_16")
            split = "train" if number < 6 else "validation" if number < 8 else "test"
            device = "AB"[number % 2]
            group = f"{label}{number}"
            rows.append((f"sounds/{label}/{number}.wav", label, split, device, group))
    columns = ["path", "label", "split", "device", "group"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "clips.csv", index=False)
    (root / "settings.yaml").write_text(SETTINGS)
    return root


@pytest.fixture(scope="module")
def model(corpus: Path) -> Path:
    arguments = ["--data", corpus / "clips.csv", "--config", corpus / "settings.yaml"]
    status = main(["train", *map(str, arguments), "--out", str(corpus / "run"), "--seed", "3"])
    assert status == 0
    return corpus / "run"


def test_train_writes_a_model_that_knows_its_settings(corpus: Path, model: Path) -> None:
    bundle = Bundle.load(model)
    assert bundle.labels == ("high", "low")
    assert bundle.training["settings"]["seed"] == 3
    assert bundle.training["settings"]["epochs"] == 3
    assert len(bundle.fitted_on["weights"]) == 12
    assert len(bundle.fitted_on["validation"]) == 4


def test_train_takes_a_folder_and_changes(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", corpus / "sounds", "--out", tmp_path / "run"]
    changes = ["--config", corpus / "settings.yaml", "--set", "epochs=1", "--set", "loss=focal"]
    assert main(["train", *map(str, [*arguments, *changes]), "--json"]) == 0
    out, err = capsys.readouterr()
    assert "will replace" not in err
    outcome = json.loads(out)
    assert outcome["model"] == str(tmp_path / "run")
    assert outcome["labels"] == ["high", "low"]
    assert outcome["epochs"] == 1
    assert main(["train", *map(str, [*arguments, *changes]), "--json"]) == 0
    assert f"note: {tmp_path / 'run'} holds a model, which this" in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_train_says_once_in_which_number_format_it_computed(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], precision: str
) -> None:
    """The note stands in the model's record, too, and names the format that is recorded there."""
    arguments = ["--data", corpus / "sounds", "--out", tmp_path / "run", "--set", "epochs=1"]
    settings = ["--config", corpus / "settings.yaml", "--set", f"precision={precision}"]
    assert main(["train", *map(str, [*arguments, *settings])]) == 0
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "computed in" in one]
    training = Bundle.load(tmp_path / "run").training
    assert line.removeprefix("note: ") in training["notes"]
    name = {"bf16-mixed": "bfloat16", "32-true": "float32"}[training["precision"]]
    chosen = choose(precision, "cpu", "training")
    assert line == f"note: computed in {name}: {chosen.reason}"


def test_without_a_terminal_an_epoch_is_a_line(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", corpus / "sounds", "--out", tmp_path / "run", "--set", "epochs=2"]
    assert main(["train", *map(str, arguments), "--config", str(corpus / "settings.yaml")]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch ")]
    assert [line.partition(":")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]


def test_evaluate_and_its_report(
    corpus: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", model, "--data", corpus / "clips.csv", "--out", tmp_path / "report"]
    assert main(list(map(str, arguments))) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "Accuracy by device" in out
    rows, header = read_json(tmp_path / "report" / "report.json")
    overall = next(row for row in rows if row.metric == "accuracy" and not row.condition)
    assert overall.n == 8  # the test split only
    predictor = load(model)
    tests = Manifest.read(corpus / "clips.csv").where(split="test")
    predicted = predictor.predict_manifest(tests).probabilities.argmax(axis=1)
    answers = tests.table["label"]
    right = np.array(predictor.labels)[predicted] == answers.to_numpy()
    assert overall.value == np.mean(right)
    assert {row.condition.get("device") for row in rows} >= {"A", "B"}
    assert header["command"].startswith("anymic")
    html = (tmp_path / "report" / "report.html").read_text()
    assert "<img" in html or "<svg" in html


def test_evaluate_on_training_clips_says_so(
    corpus: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", model, "--data", corpus / "clips.csv", "--split", "train", "--json"]
    assert main(list(map(str, arguments))) == 0
    out, err = capsys.readouterr()
    assert err.startswith("note: the model was fitted on 12 of these 12 clips")
    outcome = json.loads(out)
    assert outcome["paths"]["html"] == str(model / "report" / "report.html")
    assert all(np.isfinite(row["value"]) for row in outcome["rows"])


def test_evaluate_goes_on_past_a_bad_file(
    corpus: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(str(corpus / f"sounds/low/{number}.wav"), "low") for number in range(8, 12)]
    rows.append((str(corpus / "settings.yaml"), "high"))
    pd.DataFrame(rows, columns=["path", "label"]).to_csv(tmp_path / "clips.csv", index=False)
    arguments = ["evaluate", model, "--data", tmp_path / "clips.csv", "--out", tmp_path / "out"]
    assert main(list(map(str, arguments))) == 1
    out, err = capsys.readouterr()
    assert err.startswith(f"failed: {corpus / 'settings.yaml'}: ")
    assert "NaN" not in out
    rows_read, header = read_json(tmp_path / "out" / "report.json")
    assert rows_read[0].n == 4
    assert len(header["failures"]) == 1


def test_kept_features_give_the_same_report(corpus: Path, model: Path, tmp_path: Path) -> None:
    options = ["--data", str(corpus / "clips.csv")]
    cache = ["--cache", str(tmp_path / "cache")]
    assert main(["evaluate", str(model), *options, "--out", str(tmp_path / "a")]) == 0
    assert main(["evaluate", str(model), *options, *cache, "--out", str(tmp_path / "b")]) == 0
    plain, kept = (read_json(tmp_path / name / "report.json")[0] for name in "ab")
    for one, other in zip(plain, kept, strict=True):
        assert (one.condition, one.metric, one.n) == (other.condition, other.metric, other.n)
        assert one.value == pytest.approx(other.value, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--preset", "small", "--config", "x.yaml"], "Both --preset small and --config x"),
        (["--set", "epochs"], "--set epochs is not a setting. Expected KEY=VALUE"),
        (
            ["--set", "temperature=0"],
            "Invalid settings: temperature is 0.0. Expected positive numbers, ",
        ),
        (["--set", "epoch=4"], "Unknown key 'epoch' (did you mean 'epochs'?)"),
        (["--set", "zzz=4"], "Unknown key 'zzz'. Expected one of network, width, "),
        (["--set", "epochs=five"], "epochs: 'five' is not a whole number. Expected a whole number"),
        (
            ["--set", "network=basic7"],
            "Unknown network 'basic7' (did you mean 'basic2'?). Expected one of basic1, ",
        ),
        (
            ["--set", "network=basic7", "--set", "epochs=0"],
            "Invalid settings: epochs is 0; unknown network 'basic7' (did you mean 'basic2'?)",
        ),
        (["--preset", "scene"], "Unknown preset 'scene' (did you mean 'scenes'?)"),
        (
            ["--set", "correction.estimator=geometrik"],
            "correction: unknown estimator 'geometrik' (did you mean 'geometric'?)",
        ),
        (
            ["--preset", "kosmidr"],
            "Unknown preset 'kosmidr' (did you mean 'kosmider2019'?). Expected one of",
        ),
        (["--config", "missing.yaml"], "No file missing.yaml"),
        (["--trainer", "strategy=dpp"], "The trainer refuses strategy=dpp ("),
        (["--trainer", "accelerator=tpu"], "The trainer refuses accelerator=tpu ("),
    ],
)
def test_train_refuses_in_one_line(
    corpus: Path,
    tmp_path: Path,
    arguments: list[str],
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = ["--data", str(corpus / "clips.csv"), "--out", str(tmp_path / "run")]
    assert main(["train", *data, *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {line}")
    assert err.count(". Expected ") <= 1  # an error within another is not wrapped in a second one
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_evaluate_refuses_a_split_that_is_not_there(
    corpus: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(model), "--data", str(corpus / "clips.csv"), "--split", "tset"]
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: No clip has the split 'tset' (splits: test, train, valid")


def test_evaluate_refuses_map_at_more_than_there_are_labels(
    corpus: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(model), "--data", str(corpus / "clips.csv"), "--map-at", "30"]
    assert main(arguments) == 2
    assert "MAP@30 is not possible with 2 labels" in capsys.readouterr().err
