from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.data.checks import check, usable
from anymic.data.corpora import load
from anymic.data.manifest import Manifest
from anymic.errors import ConfigError


def table(root: Path, labels: dict[str, str]) -> Manifest:
    rows = pd.DataFrame({"path": list(labels), "label": list(labels.values())})
    return Manifest.from_table(rows, root)


def test_all_problems_are_listed_at_once(tmp_path: Path, wav: Callable[..., Path]) -> None:
    for name in ("good", "better", "twin", "torn"):
        wav(tmp_path / f"{name}.wav")
    wav(tmp_path / "slow.wav", rate_hz=8000)
    wav(tmp_path / "none.wav", samples=0)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("these are words\n" * 50)
    soundfile.write(tmp_path / "silent.wav", np.zeros(1000), 44100)
    soundfile.write(tmp_path / "nan.wav", np.array([0.1, np.nan]), 44100, subtype="FLOAT")
    torn = (tmp_path / "torn.wav").read_bytes()
    (tmp_path / "torn.wav").write_bytes(torn[: len(torn) // 2])
    shutil.copy(tmp_path / "good.wav", tmp_path / "copy.wav")
    samples, rate_hz = soundfile.read(tmp_path / "twin.wav")
    soundfile.write(tmp_path / "twin.flac", samples, rate_hz)
    labels = dict.fromkeys(
        ["good", "better", "gone", "slow", "none", "empty", "text", "silent", "nan", "torn"], "x"
    )
    labels |= {"copy": "x", "twin": "x"}
    manifest = table(tmp_path, {f"{k}.wav": v for k, v in labels.items()} | {"twin.flac": "y"})

    problems = check(manifest, rate_hz=44100, workers=3)

    assert [(problem.path, problem.kind) for problem in problems] == [
        ("gone.wav", "missing"),
        ("slow.wav", "rate"),
        ("none.wav", "unreadable"),
        ("empty.wav", "empty"),
        ("text.wav", "unreadable"),
        ("silent.wav", "silent"),
        ("nan.wav", "unreadable"),
        ("torn.wav", "unreadable"),
        ("copy.wav", "duplicate"),
        ("twin.wav", "conflict"),
        ("twin.flac", "conflict"),
    ]
    reasons = {problem.path: problem.reason for problem in problems}
    assert reasons["slow.wav"] == "The rate is 8000 Hz. Expected 44100 Hz. Convert the file."
    assert "good.wav" in reasons["copy.wav"]
    assert "twin.flac (y), labelled x here" in reasons["twin.wav"]
    assert not any("\n" in reason for reason in reasons.values())
    assert usable(manifest, problems).table["path"].tolist() == ["good.wav", "better.wav"]
    assert len(check(manifest, workers=1)) == len(problems) - 1  # any rate will do


def test_a_part_that_is_not_all_there(tmp_path: Path, wav: Callable[..., Path]) -> None:
    wav(tmp_path / "a.wav", samples=44100)
    manifest = Manifest.from_table(
        pd.DataFrame(
            {
                "path": "a.wav",
                "label": "x",
                "start_s": [0, 0.5, 0.6, 2],
                "duration_s": [1, 0.5, 0.5, ""],
            }
        ),
        tmp_path,
    )
    problems = check(manifest)
    assert [(problem.kind, problem.rows) for problem in problems] == [
        ("outside", (2,)),
        ("outside", (3,)),
    ]
    assert problems[0].reason.startswith("The file has 1 s of audio. Expected 0.6 s to 1.1 s")


def test_real_recordings_are_well(shared_data: Path) -> None:
    manifest = load("esc10", shared_data / "ESC-50").where(fold=1, label=["dog", "rain"])
    assert check(manifest, rate_hz=44100) == []
    assert {p.kind for p in check(manifest, rate_hz=22050)} == {"rate"}


def test_no_workers(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="workers is 0"):
        check(table(tmp_path, {"a.wav": "x"}), workers=0)


def test_an_unknown_corpus(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Unknown corpus 'esc11'") as caught:
        load("esc11", tmp_path)
    listed = str(caught.value).partition("Expected one of ")[2]
    assert {"esc10", "tau2020-mobile"} <= set(listed.partition(". ")[0].split(", "))
