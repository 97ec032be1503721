"""The demonstration: what it writes, and that gap and recovery come out of the audio."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from anymic.bundle import Bundle
from anymic.cli.demo import demo, outcome_of
from anymic.data.corpora.scenes import Settings, scenes
from anymic.data.manifest import Manifest
from anymic.devices.correction.spectrum_correction import SpectrumCorrection
from anymic.devices.simulation.simulate import simulate
from anymic.evaluation.report import read_json
from anymic.features import Frontend, FrontendConfig
from anymic.features.feature_batches import Length
from anymic.features.feature_store import open_features
from anymic.training.demo import CORRECTED, NONE, TRIAL, Demo, run_demo

SMALL: dict[str, Any] = {"train_locations": 1, "test_locations": 1, "takes": 2, "clip_s": 1.0}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    out = tmp_path_factory.mktemp("demo")
    changes = {"epochs": 1, "clip_s": 1.0, "precision": "float32"}
    return run_demo(out, seed=3, progress=False, changes=changes, corpus=SMALL)


def test_everything_it_names_is_there(small: Demo) -> None:
    assert all(path.exists() for path in small.paths.values())
    assert {"html", "json", "accuracy_by_device", "device_gains"} <= set(small.paths)
    assert Bundle.load(small.paths["corrected"]).devices == ("A", "B", "C")
    assert Bundle.load(small.paths["uncorrected"]).devices == ()


def test_each_device_has_its_accuracy_n_and_interval(small: Demo) -> None:
    found = {
        (row.condition["correction"], row.condition["device"]): row
        for row in small.rows
        if row.metric == "accuracy" and "device" in row.condition
    }
    assert set(found) == {(name, device) for name in (NONE, CORRECTED) for device in "ABC"}
    assert all(row.n == 20 and row.low is not None for row in found.values())


def test_the_report_holds_the_rows(small: Demo) -> None:
    rows, header = read_json(small.paths["json"])
    assert rows == small.rows
    assert header["test_clips"] == {"A": 20, "B": 20, "C": 20}
    assert header["train_clips"] == {"A": 20, "B": 10, "C": 10}


def test_a_trial_says_that_it_is_one(small: Demo) -> None:
    assert small.finding.startswith(TRIAL)
    assert TRIAL in small.paths["html"].read_text(encoding="utf-8").replace("&#39;", "'")


def test_terminal_shows_table_finding_and_places(
    small: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome_of(small).show(as_json=False)
    printed = capsys.readouterr().out
    for text in (NONE, CORRECTED, "n=20", small.finding, str(small.paths["html"])):
        assert text in printed
    outcome_of(small).show(as_json=True)
    assert json.loads(capsys.readouterr().out)["finding"] == small.finding


def test_a_folder_of_another_seed_is_refused(small: Demo) -> None:
    app = typer.Typer()
    app.command()(demo)
    out = small.paths["html"].parent
    result = CliRunner().invoke(app, ["--out", str(out), "--seed", "5"])
    assert result.exit_code != 0
    assert "Choose another folder" in str(result.exception)


def test_gap_and_recovery_come_out_of_the_audio(tmp_path: Path) -> None:
    """Ten aligned takes bring the test clips of B and C most of the way back to A's."""
    clean = scenes(
        tmp_path / "scenes",
        Settings(train_locations=3, test_locations=2, takes=1, clip_s=1.5),
        progress=False,
    )
    recorded = simulate(clean, "scenes", tmp_path / "devices", progress=False).manifest
    config = FrontendConfig(rate_hz=22050, fft_size=1024, hop_samples=512, bands=40)
    correction = SpectrumCorrection(
        reference="all", estimator="geometric", fft_size=1024, hop_samples=512
    ).fit(recorded.where(split="train"))
    gains = {name: item.gains for name, item in correction.profile_.devices.items()}
    without = distances(recorded, Frontend(config), tmp_path)
    corrected = distances(recorded, Frontend(config, device_gains=gains), tmp_path)
    for device in "BC":
        assert without[device] > 0.8
        assert corrected[device] < 0.35 * without[device]


def distances(recorded: Manifest, frontend: Frontend, cache: Path) -> dict[str, float]:
    """Return how far each device's test clips lie from A's of the same moment.

    In log-mel means, by standard deviations over A's training clips.
    """

    def means(**which: str) -> NDArray[np.float32]:
        part = recorded.where(**which)
        stored = open_features(part, frontend, cache, length=Length(1.5))
        found: NDArray[np.float32] = stored.features.astype(np.float32).mean(axis=2)
        return found

    spread = means(split="train", device="A").std(axis=0)
    flat = means(split="test", device="A")
    return {
        device: float(np.abs((means(split="test", device=device) - flat) / spread).mean())
        for device in "BC"
    }
