from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anymic.cli import main
from anymic.data.files import find_files
from anymic.errors import Failure
from anymic.inference.predictor import load

RATE = 8000


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Return a folder of four sounds, one below, and a file that is none."""
    folder = tmp_path / "sounds"
    (folder / "below").mkdir(parents=True)
    names = ("a.wav", "b.flac", "below/c.OGG", "[d].wav")
    for seed, name in enumerate(names):
        samples = np.random.default_rng(seed).uniform(-0.5, 0.5, round((1 + 1.5 * seed) * RATE))
        soundfile.write(folder / name, samples.astype(np.float32), RATE)
    (folder / "notes.txt").write_text("no sound")
    (folder / ".hidden.wav").write_text("no sound")
    return folder


def test_places(sounds: Path) -> None:
    names = ["[d].wav", "a.wav", "b.flac", "below/c.OGG"]
    assert find_files([str(sounds)]) == [sounds / name for name in names]
    assert find_files([str(sounds / "[d].wav")]) == [sounds / "[d].wav"]
    assert find_files([str(sounds / "?.wav")]) == [sounds / "a.wav"]
    assert find_files([f"{sounds}/**/*.OGG"]) == [sounds / "below" / "c.OGG"]
    assert find_files([str(sounds / "a.wav")] * 2) == [sounds / "a.wav"]
    (missing,) = find_files(["nowhere.wav"])
    assert missing == Path("nowhere.wav")  # the reader says what is wrong with it
    for place in (str(sounds / "x*.wav"), str(sounds.parent / "empty")):
        (sounds.parent / "empty").mkdir(exist_ok=True)
        (failure,) = find_files([place])
        assert isinstance(failure, Failure)
        assert failure.path == place


def test_rows_are_what_python_says(
    sounds: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(sounds), "--model", str(bundle_folder), "--device", "B"]) == 0
    out, err = capsys.readouterr()
    assert err == "note: 2 files skipped: 1 hidden, 1 .txt\n"
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == [str(file) for file in find_files([str(sounds)])]
    predictor = load(bundle_folder)
    for path, label, probability, device, known, _notes in rows:
        alone = predictor.predict(path, device="B")
        assert label == alone.label
        assert float(probability) == pytest.approx(alone.probability, abs=2e-3)
        assert (device, known) == ("B", "device stated: corrected")


def test_a_device_that_the_model_does_not_know_is_noted(
    sounds: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(sounds / "a.wav"), "--model", str(bundle_folder), "--device"]
    assert main(["predict", *arguments, "Q"]) == 0
    known = ", ".join(load(bundle_folder).bundle.devices)
    out, err = capsys.readouterr()
    assert err == f"note: Q is none of the model's devices ({known})\n"
    assert "device stated: not corrected" in out


def test_an_unknown_device_is_said_to_be_not_corrected(
    sounds: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(sounds / "a.wav"), "--model", str(bundle_folder)]) == 0
    assert capsys.readouterr().out.split("\t")[3:5] == ["", "device unknown: not corrected"]


def test_windows_and_top(
    sounds: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", str(bundle_folder), "--every-window", "--top", "2"]
    assert main(["predict", str(sounds / "below"), *options]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[1] for row in rows] == ["0.000", "1.000", "2.000", "3.000"]
    for row in rows:
        assert row[2] != row[4]
        assert float(row[3]) >= float(row[5])


def test_more_than_all_labels_are_no_empty_columns(
    sounds: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = load(bundle_folder).bundle.labels
    command = ["predict", str(sounds / "below"), "--model", str(bundle_folder), "--top"]
    printed = []
    for top in (len(labels), 50):
        assert main([*command, str(top)]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()[0].split("\t")) == 1 + 2 * len(labels) + 3


def test_json(sounds: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [str(sounds / "a.wav"), "nowhere.wav", str(sounds / "b.flac")]
    options = ["--model", str(bundle_folder), "--json", "--every-window", "--top", "2"]
    assert main(["predict", *places, *options]) == 1
    out, err = capsys.readouterr()
    first, second, third = json.loads(out)
    assert err == "1 of 3 files failed\n"
    assert second["path"] == "nowhere.wav"
    assert second["failed"].startswith("No file at nowhere.wav")
    assert set(first["probabilities"]) == {"dog", "rain", "siren"}
    assert first["device"] is None
    assert first["device_from"] == "assumed"
    assert first["top"][0] == {key: first[key] for key in ("label", "probability")}
    assert [one["start_s"] for one in third["each_window"]] == [0.0, 1.0, 2.0]


def test_a_terminal_gets_a_table(
    sounds: Path,
    bundle_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    places = [str(sounds / "a.wav"), "[odd]name.wav"]
    assert main(["predict", *places, "--model", str(bundle_folder), "--top", "2"]) == 1
    out = capsys.readouterr().out
    assert "label 2" in out
    assert "[odd]name.wav" in out
    assert "failed" in out


def test_a_table_is_no_audio_and_the_right_command_is_named(
    sounds: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = sounds / "clips.csv"
    table.write_text("path,label\na.wav,x\n")
    good = next(iter(sorted(sounds.glob("*.wav"))))
    assert main(["predict", str(good), str(table), "--model", str(bundle_folder)]) == 1
    said = capsys.readouterr()
    rows = said.out.splitlines()
    assert len(rows) == 2  # the other file is classified
    assert "`anymic evaluate`" in rows[1]
    assert "Expected audio files, folders or patterns" in rows[1]


def test_an_accelerator_that_is_not_there(
    bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", "a.wav", "--model", str(bundle_folder), "--accelerator", "vulcan9"]
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: This machine has no accelerator 'vulcan9'")


def test_not_sure_in_text_and_json(
    sounds: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below the confidence the answer is missing, in every form; the probabilities are not."""
    command = ["predict", str(sounds), "--model", str(bundle_folder)]
    assert main([*command, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert all(one["answer"] == one["label"] for one in plain)
    least = sorted(one["probability"] for one in plain)[1]  # one of four is below it
    options = ["--min-confidence", f"{least:.17g}"]
    assert main([*command, *options, "--json"]) == 0
    sure = json.loads(capsys.readouterr().out)
    for one, other in zip(sure, plain, strict=True):
        wanted = other["label"] if other["probability"] >= least else None
        assert (one["answer"], one["min_confidence"]) == (wanted, least)
        assert one["probabilities"] == other["probabilities"]
    assert sum(one["answer"] is None for one in sure) == 1
    assert main([*command, *options]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    for row, one in zip(rows, sure, strict=True):
        assert row[1] == (one["answer"] or "not sure")
        assert float(row[2]) == pytest.approx(one["probability"], abs=1e-4)
        if one["answer"] is None:
            assert row[5].endswith(f": {one['label']}")
            assert row[5].startswith("below ")


def test_each_window_may_be_unsure(
    sounds: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(sounds / "below"), "--model", str(bundle_folder), "--every-window"]
    assert main([*command, "--min-confidence", "1"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[2] for row in rows] == ["not sure"] * 4
    assert main([*command, "--min-confidence", "1", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert [one["answer"] for one in found["each_window"]] == [None] * 4
