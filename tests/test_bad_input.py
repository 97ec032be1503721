"""Bad input of users: one test for each kind, through the command line.

Each test checks the exit status, the one line of the message, that there is no traceback, and that
the results of the good files are complete.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from anymic.bundle import Bundle
from anymic.cli import main
from anymic.data.manifest import Manifest

RATE = 8000
Refused = Callable[..., str]


def noise(seconds: float, rate_hz: int = RATE, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).uniform(-0.4, 0.4, round(seconds * rate_hz))
    return samples.astype(np.float32)


@pytest.fixture
def good(tmp_path: Path) -> list[Path]:
    """Return two good files, between which the bad one is put."""
    paths = [tmp_path / "good1.wav", tmp_path / "good2.wav"]
    for seed, path in enumerate(paths):
        soundfile.write(path, noise(1.0, seed=seed), RATE)
    return paths


@pytest.fixture
def predicted(
    good: list[Path], bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """Return a function that predicts a file among good ones and gives its JSON object."""

    def predict(path: Path, *, status: int) -> dict[str, Any]:
        places = [str(good[0]), str(path), str(good[1])]
        assert main(["predict", *places, "--model", str(bundle_folder), "--json"]) == status
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        middle: dict[str, Any]
        first, middle, last = json.loads(out, parse_constant=pytest.fail)  # a NaN
        assert [one["path"] for one in (first, middle, last)] == places
        assert all(0 < one["probability"] <= 1 for one in (first, last))
        return middle

    return predict


@pytest.fixture
def fails(predicted: Callable[..., dict[str, Any]]) -> Callable[[Path], str]:
    """Return a function that gives the reason why a file among good ones failed."""

    def fail(path: Path) -> str:
        reason = predicted(path, status=1)["failed"]
        assert isinstance(reason, str)
        assert reason.endswith(".")
        assert ".." not in reason.replace("...", "")
        assert "\n" not in reason
        return reason

    return fail


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Return a function that runs a command which is refused, and gives its one line."""

    def refuse(*arguments: object) -> str:
        assert main([str(argument) for argument in arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert err.count("error: ") == 1
        assert re.search(r"[^.]\. Expected .*[^.]\. \S.*[^.][.?]\n$", err)  # ends with the fix
        return err

    return refuse


# Files


def test_empty_file(tmp_path: Path, fails: Callable[[Path], str]) -> None:
    (tmp_path / "x.wav").write_bytes(b"")
    assert "x.wav has 0 bytes. Expected an audio file" in fails(tmp_path / "x.wav")


def test_truncated_file(tmp_path: Path, fails: Callable[[Path], str]) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(2.0), RATE, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:-16000])
    assert "cut short: only 1.000 s of 2.000 s can be decoded" in fails(path)


def test_zero_length_file(tmp_path: Path, fails: Callable[[Path], str]) -> None:
    soundfile.write(tmp_path / "x.wav", noise(0.0), RATE)
    assert "a header but no samples" in fails(tmp_path / "x.wav")


def test_silent_file(tmp_path: Path, fails: Callable[[Path], str]) -> None:
    soundfile.write(tmp_path / "x.wav", np.zeros(5 * RATE, dtype=np.float32), RATE)
    assert "x.wav is silent" in fails(tmp_path / "x.wav")


def test_nan_in_file(tmp_path: Path, fails: Callable[[Path], str]) -> None:
    samples = noise(1.0)
    samples[4000:4010] = np.nan
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    assert "10 NaN or infinite samples, the first at 0.500 s" in fails(tmp_path / "x.wav")


def test_text_named_wav(tmp_path: Path, fails: Callable[[Path], str]) -> None:
    (tmp_path / "x.wav").write_text("<html>404</html>")
    assert "x.wav contains text. Expected an audio file" in fails(tmp_path / "x.wav")


def test_three_milliseconds(tmp_path: Path, fails: Callable[[Path], str]) -> None:
    soundfile.write(tmp_path / "x.wav", noise(0.003), RATE)
    assert "x.wav lasts 3 ms. Expected at least 32 ms" in fails(tmp_path / "x.wav")


def test_clipped_file_is_predicted_and_noted(
    tmp_path: Path, predicted: Callable[..., dict[str, Any]]
) -> None:
    soundfile.write(tmp_path / "x.wav", np.clip(10 * noise(1.0), -1, 1), RATE)
    (note,) = predicted(tmp_path / "x.wav", status=0)["notes"]
    assert note.startswith("clipped: ")


def test_eight_bits_are_predicted(tmp_path: Path, predicted: Callable[..., dict[str, Any]]) -> None:
    """The same sound in 8 bits gets nearly the same answer as in 16."""
    answers = []
    for subtype in ("PCM_U8", "PCM_16"):
        soundfile.write(tmp_path / "x.wav", noise(1.0, seed=7), RATE, subtype=subtype)
        answers.append(predicted(tmp_path / "x.wav", status=0))
    coarse, fine = answers
    assert coarse["notes"] == []
    assert coarse["probabilities"] == pytest.approx(fine["probabilities"], abs=0.05)


def test_192_khz_is_resampled_and_noted(
    tmp_path: Path, predicted: Callable[..., dict[str, Any]]
) -> None:
    soundfile.write(tmp_path / "x.wav", noise(1.0, 192000), 192000)
    assert predicted(tmp_path / "x.wav", status=0)["notes"] == ["resampled from 192000 Hz"]


def test_seven_channels_are_mixed_and_noted(
    tmp_path: Path, predicted: Callable[..., dict[str, Any]]
) -> None:
    soundfile.write(tmp_path / "x.wav", np.stack([noise(1.0)] * 7, axis=1), RATE)
    assert predicted(tmp_path / "x.wav", status=0)["notes"] == ["7 channels mixed down by mean"]


def test_three_hours_are_predicted_window_by_window(
    tmp_path: Path,
    small_bundle: Bundle,
    bundle_folder: Path,
    predicted: Callable[..., dict[str, Any]],
) -> None:
    contract = replace(small_bundle.contract, clip_s=10.0)
    replace(small_bundle, contract=contract).save(bundle_folder)
    path = tmp_path / "x.wav"
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_U8") as file:
        for minute in range(180):
            file.write(noise(60.0, seed=minute % 3))
    row = predicted(path, status=0)
    assert row["windows"] == 3 * 360
    assert row["duration_s"] == 3 * 3600
    assert 0 < row["probability"] <= 1


# Manifests


def table(csv: Path, /, **columns: Sequence[object]) -> Path:
    pd.DataFrame(columns).to_csv(csv, index=False)
    return csv


def test_manifest_without_columns(tmp_path: Path, bundle_folder: Path, refused: Refused) -> None:
    clips = table(tmp_path / "clips.csv", file=["good1.wav"], class_name=["dog"])
    line = refused("evaluate", bundle_folder, "--data", clips)
    assert "clips has no column path and no column label (its columns: file, class_name)" in line
    line = refused("train", "--data", clips, "--out", tmp_path / "run")
    assert "no column path and no column label" in line


def test_unknown_labels(
    tmp_path: Path, bundle_folder: Path, good: list[Path], refused: Refused
) -> None:
    names = [path.name for path in good]
    clips = table(tmp_path / "clips.csv", path=names, label=["dog", "dgo"])
    line = refused("evaluate", bundle_folder, "--data", clips)
    assert "Unknown labels clips: dgo (1 row). Expected only dog, rain, siren" in line


def test_duplicate_paths(
    tmp_path: Path, bundle_folder: Path, good: list[Path], refused: Refused
) -> None:
    clips = table(tmp_path / "clips.csv", path=[good[0].name] * 2, label=["dog", "rain"])
    for command in (["evaluate", bundle_folder], ["train", "--out", tmp_path / "run"]):
        assert "the same path and start_s twice: good1.wav (row 3)" in refused(
            *command, "--data", clips
        )


def test_group_on_both_sides_of_a_split(
    tmp_path: Path, bundle_folder: Path, good: list[Path], refused: Refused
) -> None:
    clips = table(
        tmp_path / "clips.csv",
        path=[path.name for path in good],
        label=["dog", "rain"],
        group=["park", "park"],
        split=["train", "test"],
    )
    train = ["train", "--preset", "small", "--out", tmp_path / "run"]
    for command in (["evaluate", bundle_folder], train):
        line = refused(*command, "--data", clips)
        assert "There are overlaps between splits: group park (test and train)" in line


def test_files_of_a_manifest_that_are_missing(
    tmp_path: Path,
    bundle_folder: Path,
    good: list[Path],
    refused: Refused,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One is a failure beside the others' results; all of them leave nothing to report."""
    names = [good[0].name, "gone.wav", good[1].name]
    clips = table(tmp_path / "clips.csv", path=names, label=["dog", "dog", "rain"])
    out = tmp_path / "report"
    assert main(["evaluate", str(bundle_folder), "--data", str(clips), "--out", str(out)]) == 1
    assert "failed: " in capsys.readouterr().err
    report = json.loads((out / "report.json").read_text())
    assert report["rows"][0]["n"] == 2
    assert "NaN" not in (out / "report.html").read_text()
    clips = table(tmp_path / "clips.csv", path=["gone.wav"], label=["dog"])
    line = refused("evaluate", bundle_folder, "--data", clips)
    assert "No clip can be used (1 failed). The first: No file at" in line


# Settings


def test_misspelt_settings(tmp_path: Path, good: list[Path], refused: Refused) -> None:
    clips = table(tmp_path / "c.csv", path=[path.name for path in good], label=["dog", "rain"])
    settings = tmp_path / "settings.yaml"
    settings.write_text("epoch: 3\nfrontend: {band: 32, rate_hz: fast}\n")
    line = refused("train", "--data", clips, "--out", tmp_path / "run", "--config", settings)
    assert f"{settings}: unknown key 'epoch' (did you mean 'epochs'?)" in line
    assert "unknown key 'frontend.band' (did you mean 'bands'?)" in line
    assert "frontend.rate_hz: 'fast' is not a whole number" in line
    assert not (tmp_path / "run").exists()


def test_settings_that_are_no_yaml(tmp_path: Path, good: list[Path], refused: Refused) -> None:
    clips = table(tmp_path / "c.csv", path=[path.name for path in good], label=["dog", "rain"])
    settings = tmp_path / "settings.yaml"
    settings.write_text("epochs: [3\n")
    line = refused("train", "--data", clips, "--out", tmp_path / "run", "--config", settings)
    assert "settings.yaml cannot be read (line 2: did not find expected ',' or ']'" in line
    settings.write_text("")
    line = refused("train", "--data", clips, "--out", tmp_path / "run", "--config", settings)
    assert "settings.yaml has nothing at its top" in line


@pytest.mark.parametrize(
    "verb",
    [
        ["train", "--data", "clips.csv"],
        ["evaluate", "model", "--data", "clips.csv"],
        ["finetune", "model", "--data", "clips.csv"],
        ["data", "encode", "clips.csv", "--codecs", "codecs"],
        ["data", "simulate", "clips.csv", "--devices", "microphones"],
        ["data", "balance", "clips.csv"],
        ["demo"],
    ],
    ids=lambda verb: " ".join(verb[:2]),
)
def test_a_file_in_place_of_the_folder_to_write(
    tmp_path: Path, refused: Refused, verb: list[str]
) -> None:
    (tmp_path / "taken").write_text("what was here before")
    for place in (tmp_path / "taken", tmp_path / "taken" / "below"):
        line = refused(*verb, "--out", place)
        assert f"{tmp_path / 'taken'} is a file. Expected a folder" in line
    assert (tmp_path / "taken").read_text() == "what was here before"


# Probabilities


@pytest.mark.parametrize("temperature", ["0", "-1", "-0.0"])
def test_a_temperature_that_cannot_be(
    tmp_path: Path, good: list[Path], refused: Refused, temperature: str
) -> None:
    clips = table(tmp_path / "c.csv", path=[path.name for path in good], label=["dog", "rain"])
    setting = f"temperature={temperature}"
    line = refused("train", "--data", clips, "--out", tmp_path / "run", "--set", setting)
    assert "temperature is" in line
    assert "positive" in line
    assert not (tmp_path / "run").exists()


def test_clips_that_may_not_calibrate(
    tmp_path: Path, small_bundle: Bundle, good: list[Path], refused: Refused
) -> None:
    """Clips of the training, of the test, of too few; and nothing of the model changes."""
    names = [path.name for path in good]
    clips = table(tmp_path / "c.csv", path=names, label=["dog", "rain"], split=["train", "test"])
    first = Manifest.read(clips).clip_ids()[0]
    run = replace(small_bundle, fitted_on={"weights": (first,)}).save(tmp_path / "run")
    before = sorted((path.name, path.read_bytes()) for path in run.iterdir())
    command = ["calibrate", run, "--data", clips]
    assert "was used to train its weights" in refused(*command, "--split", "train")
    assert "The only clip to calibrate on has the split test" in refused(
        *command, "--split", "test"
    )
    assert "No validation clips were set aside for" in refused(*command)
    few = table(tmp_path / "f.csv", path=names[1:], label=["dog"], device=["B"])
    command = ["calibrate", run, "--data", few, "--split", "all"]
    assert "1 of B. Expected at least 30 clips" in refused(*command, "--per-device")
    assert "1 of dog, 0 of rain, 0 of siren" in refused(*command, "--method", "isotonic")
    assert sorted((path.name, path.read_bytes()) for path in run.iterdir()) == before


@pytest.mark.parametrize("least", ["1.5", "-0.1", "nan"])
def test_a_confidence_that_is_no_probability(
    tmp_path: Path, bundle_folder: Path, good: list[Path], refused: Refused, least: str
) -> None:
    option = f"--min-confidence={least}"
    for command in (
        ["predict", good[0], "--model", bundle_folder],
        ["evaluate", bundle_folder, "--data", tmp_path],
    ):
        line = refused(*command, option)
        assert f"confidence is {least}. Expected a probability from 0 to 1" in line


# Bundles


def test_bundle_with_a_missing_file(
    bundle_folder: Path, good: list[Path], refused: Refused
) -> None:
    (bundle_folder / "weights.safetensors").unlink()
    line = refused("predict", good[0], "--model", bundle_folder)
    assert "has no weights.safetensors" in line


def test_bundle_with_an_altered_file(
    bundle_folder: Path, good: list[Path], refused: Refused
) -> None:
    weights = bundle_folder / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 255
    weights.write_bytes(content)
    line = refused("predict", good[0], "--model", bundle_folder)
    assert "was altered since it was saved: weights.safetensors" in line


def test_bundle_with_a_foreign_file(
    small_bundle: Bundle, bundle_folder: Path, tmp_path: Path, good: list[Path], refused: Refused
) -> None:
    """The weights of another model, and an index that somebody else's program wrote."""
    with torch.no_grad():
        next(small_bundle.network.parameters()).add_(1)
    other = small_bundle.save(tmp_path / "other")
    shutil.copy(other / "weights.safetensors", bundle_folder)
    line = refused("predict", good[0], "--model", bundle_folder)
    assert "was altered since it was saved: weights.safetensors" in line
    (bundle_folder / "bundle.json").write_text('{"model_type": "bert"}')
    line = refused("predict", good[0], "--model", bundle_folder)
    assert "bundle.json is not the index of a bundle" in line


def test_no_bundle_at_all(tmp_path: Path, good: list[Path], refused: Refused) -> None:
    assert "No folder" in refused("predict", good[0], "--model", tmp_path / "nowhere")
    assert "has no bundle.json" in refused("predict", good[0], "--model", tmp_path)
    assert "is a file" in refused("predict", good[0], "--model", good[1])
