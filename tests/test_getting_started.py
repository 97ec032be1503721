"""Every step of docs/getting-started.md: one device, and then a new microphone."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile
from numpy.typing import NDArray
from tests.test_readme import ROOT, blocks

from anymic import audio
from anymic.cli import main
from anymic.data.corpora.scenes import Settings, scenes

pytestmark = pytest.mark.usefixtures("one_thread")
TAKES = 10


def steps() -> list[list[str]]:
    """Return the commands of one device and of a new one, in the page's order."""
    shell = [text for kind, text in blocks(ROOT / "docs/getting-started.md") if kind == "sh"]
    lines = [line for text in shell[:3] for line in text.splitlines()]
    return [shlex.split(line) for line in lines if not line.startswith("#")]


def test_it_is_four_commands_and_one_more_for_a_new_microphone() -> None:
    begin = [" ".join(step[:3]) for step in steps()]
    assert begin == [
        "pip install .[all]",
        "anymic import yamnet",
        "anymic train --data",
        "anymic predict new/",
        "anymic devices add",
        "anymic predict new/",
    ]


def anymic(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Run a command, and return what it prints and notes."""
    assert main(list(arguments)) == 0, capsys.readouterr().err
    return capsys.readouterr()


def write_takes(sounds: list[Path], through: NDArray[np.float64]) -> None:
    """Write recordings of these sounds by two devices, and three of new ones by the second."""
    generator = np.random.default_rng(0)
    for folder in ("recorder", "phone", "new"):
        Path(folder).mkdir()
    for number, path in enumerate(sounds[: TAKES + 3]):
        clip = audio.read(path)
        recorded = scipy.signal.fftconvolve(clip.samples, through)[: len(clip.samples)]
        recorded = recorded / 2 + 5e-5 * generator.standard_normal(len(recorded))
        devices = {"recorder": clip.samples / 2, "phone": recorded}
        if number >= TAKES:
            devices = {"new": recorded}
        for device, samples in devices.items():
            place = Path(device) / f"{number:02}.wav"
            soundfile.write(place, samples.astype(np.float32), clip.rate_hz, "FLOAT")


def check_new_microphone(capsys: pytest.CaptureFixture[str]) -> None:
    """Run the last two steps."""
    *_, add, predict = steps()
    printed, _ = anymic(*add[1:], capsys=capsys)
    assert f"phone: from {TAKES} takes with " in printed
    rows = anymic(*predict[1:], capsys=capsys)[0].splitlines()
    assert len(rows) == 3
    assert all("\tphone\tdevice stated: corrected" in row for row in rows)


@pytest.fixture
def weights(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the real weights of YAMNet, in an empty folder without installed models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANYMIC_MODELS", str(tmp_path / "models"))
    found = shared_data / "yamnet" / "yamnet_float32.npz"
    if not found.is_file():
        pytest.skip("the weights of YAMNet (shared/data: yamnet) are not on this machine")
    return found


@pytest.mark.slow
def test_every_step_with_real_clips_and_weights(
    shared_data: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(shared_data / "ESC-50" / "meta" / "esc50.csv")
    table = table[table.category.isin(["dog", "rain", "rooster"])]
    table = table.drop_duplicates(["category", "src_file"])
    links = []
    for row in table.groupby("category").head(6).itertuples():
        links.append(Path("sounds") / str(row.category) / str(row.filename))
        links[-1].parent.mkdir(parents=True, exist_ok=True)
        links[-1].symlink_to(shared_data / "ESC-50" / "audio" / str(row.filename))
    impulse, _ = soundfile.read(shared_data / "micirp" / "IR_Shure510C.wav", always_2d=True)
    write_takes(links, impulse[:, 0] / np.abs(impulse).max())

    _, install, train, predict, *_ = steps()
    assert install[-1] == "--download"
    anymic(*install[1:-1], str(weights), capsys=capsys)
    printed, said = anymic(*train[1:], capsys=capsys)
    assert "extractor: yamnet" in said
    assert re.search(r"Accuracy is \d+\.\d % \[[\d., ]+\] over 18 clips\.", printed)
    for line in (r"model +\d+\.\d %", r"MFCC baseline +\d+\.\d %"):
        assert re.search(line, printed), printed
    report = json.loads(Path("run/report/report.json").read_text())
    value = next(
        row["value"]
        for row in report["rows"]
        if row["metric"] == "accuracy" and row["condition"] == {}
    )
    assert value >= 0.8
    assert Path("run/report/report.html").stat().st_size > 10_000
    rows = anymic(*predict[1:], capsys=capsys)[0].splitlines()
    assert [row.split("\t")[0] for row in rows] == ["new/10.wav", "new/11.wav", "new/12.wav"]
    check_new_microphone(capsys)


def test_clips_of_a_second_at_8_khz_are_trained_on_without_settings(
    shared_data: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With two clips of each label and fold; the page has the figure for all."""
    if not (shared_data / "ESC-50-16k").is_dir():
        pytest.skip("ESC-50 at 16 kHz (shared/data: ESC-50-16k) is not on this machine")
    make = runpy.run_path(str(ROOT / "benchmarks" / "short_clips.py"))["short_clips"]
    table = make(shared_data / "ESC-50-16k", Path("short"), clips=2)
    anymic("import", "yamnet", str(weights), capsys=capsys)
    said = anymic("train", "--data", str(table), "--out", "run", "--folds", "4", capsys=capsys)[1]
    assert "80 clips of 8000 Hz are resampled to the model's 16000 Hz" in said
    report = json.loads(Path("run/report/report.json").read_text())
    (change,) = (row for row in report["rows"] if row["metric"] == "accuracy_difference")
    assert change["n"] == 80
    assert change["low"] > 0  # clearly better than the baseline


@pytest.mark.slow
def test_every_step_without_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With built-in scenes, whose file names have another form than those of the page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANYMIC_MODELS", str(tmp_path / "models"))
    made = scenes(tmp_path / "made", Settings(train_locations=1, test_locations=1, clip_s=0.5))
    clips = made.table[made.table["label"].isin(sorted(set(made.table["label"]))[:4])]
    links = []
    for number, row in enumerate(clips.itertuples()):
        links.append(Path("sounds") / str(row.label) / f"1-{number}-A.flac")
        links[-1].parent.mkdir(parents=True, exist_ok=True)
        links[-1].symlink_to(tmp_path / "made" / str(row.path))
    write_takes(links, np.array([0.5, 0.3, 0.1]))

    _, _, train, predict, *_ = steps()
    printed, said = anymic(*train[1:], capsys=capsys)
    assert "no pretrained extractor is installed" in said
    assert "MFCC baseline" in printed
    assert len(anymic(*predict[1:], capsys=capsys)[0].splitlines()) == 3
    check_new_microphone(capsys)
