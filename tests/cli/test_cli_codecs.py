"""From what a codec loses to a model that was trained through it, by commands alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import soundfile
from tests.cli.test_cli_train_evaluate import RATE, SETTINGS, tone

from anymic.bundle import Bundle
from anymic.cli import main


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a manifest of two labels that has splits, and settings."""
    root = tmp_path_factory.mktemp("corpus")
    rows = []
    for label, hz in (("low", 300), ("high", 2500)):
        for number in range(8):
            name = f"{label}{number}.wav"
            soundfile.write(root / name, tone(hz, number + hz), RATE, subtype="PCM_16")
            rows.append((name, label, "train" if number < 5 else "test"))
    pd.DataFrame(rows, columns=["path", "label", "split"]).to_csv(root / "clips.csv", index=False)
    (root / "settings.yaml").write_text(SETTINGS.replace("epochs: 3", "epochs: 1"))
    return root


@pytest.fixture(scope="module")
def model(corpus: Path) -> Path:
    command = ["train", "--data", corpus / "clips.csv", "--config", corpus / "settings.yaml"]
    assert main([*map(str, command), "--out", str(corpus / "run")]) == 0
    return corpus / "run"


def test_a_chain_is_measured_by_its_name_and_then_trained_through(
    corpus: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(corpus / "clips.csv"), "--codecs", "voice-message"]
    command = ["robustness", str(model), *data, "--out", str(tmp_path / "loss")]
    assert main(command) == 0
    assert "voice-message 16" in capsys.readouterr().out
    assert "voice-message" in (tmp_path / "loss" / "report.html").read_text()
    command = ["finetune", str(model), *data, "--epochs", "2", "--out", str(tmp_path / "tuned")]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "voice-message 16" in out
    rows = Bundle.load(tmp_path / "tuned").training["finetuned"]["measured"]
    measured = {(row["condition"].get("codec"), row["condition"]["epoch"]) for row in rows}
    assert {("voice-message 16", "0"), ("voice-message 16", "2"), ("clean", "2")} <= measured


def test_any_codec_in_training_with_a_changed_share(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--data", str(corpus / "clips.csv"), "--out", str(tmp_path / "run")]
    command += ["--config", str(corpus / "settings.yaml"), "--codecs", "any"]
    command += ["--set", "codecs.versions=1", "--set", "codecs.consistency=0.5", "--json"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert "1 coded version of each training clip" in err
    assert "codecs" in " ".join(json.loads(out)["notes"])
    settings = Bundle.load(tmp_path / "run").training["settings"]["codecs"]
    assert (settings["set"], settings["versions"], settings["consistency"]) == ([], 1, 0.5)


def test_what_is_no_codec_is_refused(
    corpus: Path, model: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    data = ["--data", corpus / "clips.csv", "--out", tmp_path / "out"]
    wrong = ["--codecs", "voice-mesage"]
    for command in (["train", *data], ["finetune", model, *data], ["robustness", model, *data]):
        assert "did you mean 'voice-message'?" in refused(*command, *wrong)
    both = ["--codecs", "any", "--set", "codecs={share: 0.1}"]
    assert "Both --codecs any and --set codecs are given" in refused("train", *data, *both)
