"""The device policy on the command line: set once, then predict and evaluate follow it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.bundle import Bundle, load
from anymic.cli import main
from anymic.cli.devices_policy import devices_policy
from anymic.data.manifest import Manifest
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.errors import BundleError, ConfigError, DeviceError

RATE = 8000


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Return a manifest of 12 clips each of A (white) and B (dark)."""
    rows = []
    for seed in range(24):
        samples = np.random.default_rng(seed).normal(0, 0.05, RATE)
        if seed % 2:
            samples = np.cumsum(samples) / 10
            samples -= samples.mean()
        soundfile.write(tmp_path / f"{seed}.wav", samples, RATE, subtype="FLOAT")
        rows.append({"path": f"{seed}.wav", "label": ("dog", "rain")[seed % 4 > 1]})
    table = pd.DataFrame(rows).assign(device=["A", "B"] * 12)
    table.to_csv(tmp_path / "clips.csv", index=False)
    return tmp_path / "clips.csv"


@pytest.fixture
def model(small_bundle: Bundle, clips: Path, tmp_path: Path) -> Path:
    ids = tuple(Manifest.read(clips).clip_ids())
    return replace(small_bundle, fitted_on={"weights": ids}).save(tmp_path / "model")


@pytest.fixture
def identifier(clips: Path, tmp_path: Path) -> Path:
    return DeviceIdentifier().fit(Manifest.read(clips)).save(tmp_path / "identifier")


def answers(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_the_policy_is_saved_and_followed(
    model: Path, identifier: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = (model / "weights.safetensors").read_bytes()
    devices_policy(model, unknown="blind", identifier=identifier, data=clips)
    said = capsys.readouterr().out
    assert "mean spectrum of 24 clips" in said
    assert "identified among A, B; unknown ones are corrected with gains estimated" in said
    assert (model / "weights.safetensors").read_bytes() == weights
    files = [tmp_path / f"{number}.wav" for number in (0, 1, 2, 3)]
    found = answers(capsys, "predict", *files, "--model", model)
    assert {one["device_from"] for one in found} == {"identified"}
    assert all(0 < float(str(one["device_probability"])) <= 1 for one in found)
    assert {one["device_policy"] for one in found} <= {"profile", "blind"}
    alone = answers(capsys, "predict", *files, "--model", model, "--device", "Z")
    shared = answers(capsys, "predict", *files, "--model", model, "--device", "Z", "--together")
    assert {one["device_policy"] for one in alone + shared} == {"blind"}
    assert alone[0]["probabilities"] != pytest.approx(shared[0]["probabilities"], abs=1e-4)
    devices_policy(model, unknown="identity")
    assert load(model).identifier is not None
    assert load(model).contract.unknown_device == "identity"


def test_rows_say_how_a_device_is_known(
    model: Path, identifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    devices_policy(model, identifier=identifier)
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "1.wav"), "--model", str(model)]) == 0
    cells = capsys.readouterr().out.rstrip("\n").split("\t")
    assert re.match(r"device (identified|not recognized) \([01]\.\d\d\): ", cells[4])


def test_evaluate_unstated_still_reports_by_device(
    model: Path, identifier: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    devices_policy(model, identifier=identifier, out=tmp_path / "routed")
    assert load(model).identifier is None
    out = tmp_path / "report"
    command = ["evaluate", str(tmp_path / "routed"), "--data", str(clips), "--out", str(out)]
    assert main([*command, "--unstated"]) == 0
    assert "the identified device was right for 2" in capsys.readouterr().err
    report = json.loads((out / "report.json").read_text())
    devices = {one["condition"].get("device") for one in report["rows"]}
    assert {"A", "B"} <= devices
    assert "identified device's gains" in json.dumps(report)


def test_wrong_policies_are_refused(model: Path, clips: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"--unknown is loudly\. Expected one of identity, blind, refuse"
    ):
        devices_policy(model, unknown="loudly")
    with pytest.raises(BundleError, match="Blind gains need the training clips"):
        devices_policy(model, unknown="blind")
    with pytest.raises(DeviceError, match="No folder"):
        devices_policy(model, identifier=tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"has no bundle\.json"):
        devices_policy(tmp_path, unknown="refuse")


def test_together_is_for_blind_models(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(tmp_path / "1.wav"), "--model", str(model), "--together"]
    assert main(command) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: Clips cannot share a device with unknown_device 'identity'.")
    assert line.count("\n") == 1


def test_narrow_bands_are_refused_and_the_others_answered(
    model: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from anymic import audio

    wide = audio.read(tmp_path / "0.wav")
    low = audio.resample(audio.resample(wide, 4000), RATE)
    narrow = tmp_path / "narrow.wav"
    soundfile.write(narrow, low.samples, RATE, subtype="FLOAT")
    devices_policy(model, least_bandwidth=3000.0)
    assert "bands below 3000 Hz are noted" in capsys.readouterr().out
    (noted,) = answers(capsys, "predict", narrow, "--model", model)
    assert any("below the 3000 Hz of the model" in note for note in noted["notes"])  # type: ignore[attr-defined]
    assert 1900 < float(str(noted["bandwidth_hz"])) < 2100
    devices_policy(model, narrower="refuse")
    capsys.readouterr()
    assert main(["predict", str(narrow), str(tmp_path / "0.wav"), "--model", str(model)]) == 1
    rows = capsys.readouterr().out.splitlines()
    assert "failed" in rows[0]
    assert "Expected at least 3000 Hz" in rows[0]
    assert "failed" not in rows[1]
    devices_policy(model, least_bandwidth=0.0)
    assert load(model).contract.least_bandwidth_hz is None


def test_narrow_without_a_least_bandwidth_or_beyond_the_band(model: Path) -> None:
    with pytest.raises(ConfigError, match="--least-bandwidth"):
        devices_policy(model, narrower="refuse")
    with pytest.raises(ConfigError, match="4000 Hz, half the rate"):
        devices_policy(model, least_bandwidth=5000.0)
