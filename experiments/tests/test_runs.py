"""A grid of runs: each done once, the same whoever does it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError
from anymic.features import FrontendConfig
from anymic.training import CorrectionConfig, TrainingConfig
from anymic_experiments.runner import finish_all
from anymic_experiments.runs import RESULT, Outcome, Run, renewed

RATE_HZ = 8000
CONFIG = TrainingConfig(
    frontend=FrontendConfig(rate_hz=RATE_HZ, fft_size=256, hop_samples=128, bands=32),
    epochs=1,
    batch_size=8,
    validation_share=0.0,
    clip_s=0.5,
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    rows = []
    for number in range(16):
        noise = generator.normal(scale=0.1, size=RATE_HZ // 2)
        soundfile.write(tmp_path / f"{number}.wav", noise, RATE_HZ)
        split = "test" if number % 4 == 3 else "train"
        rows.append((f"{number}.wav", ("one", "two")[number % 2], "A", f"take{number}", split))
    table = pd.DataFrame(rows, columns=["path", "label", "device", "group", "split"])
    table.loc[table["split"] == "test", "label"] = ["one", "two", "one", "two"]
    return Manifest.from_table(table, root=tmp_path).write(tmp_path / "fold.csv")


def runs(corpus: Path) -> list[Run]:
    return [Run(f"seed {seed}", replace(CONFIG, seed=seed), corpus) for seed in (0, 1)]


def train_all(runs: list[Run], out: Path) -> list[Outcome]:
    finish_all(runs, out, workers=1, progress=False)
    return [run.outcome(out) for run in runs]


def test_finished_runs_are_not_repeated(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    first = train_all(runs(corpus), out)
    written = {run.key: (out / run.key / RESULT).stat().st_mtime_ns for run in runs(corpus)}
    (out / runs(corpus)[1].key / RESULT).unlink()  # as if interrupted in the second
    second = train_all(runs(corpus), out)
    again = {run.key: (out / run.key / RESULT).stat().st_mtime_ns for run in runs(corpus)}
    kept, redone = (run.key for run in runs(corpus))
    assert again[kept] == written[kept]
    assert again[redone] != written[redone]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_outcomes_say_what_was_tested(corpus: Path, tmp_path: Path) -> None:
    (outcome,) = train_all(runs(corpus)[:1], tmp_path / "runs")
    assert outcome.labels == ("one", "two")
    assert outcome.targets.tolist() == [0, 1, 0, 1]
    assert outcome.groups.tolist() == ["take3", "take7", "take11", "take15"]
    np.testing.assert_allclose(outcome.probabilities.sum(axis=1), 1)


def test_a_key_changes_with_settings_and_with_clips(corpus: Path) -> None:
    first, second = runs(corpus)
    assert first.key != second.key
    before = first.key
    table = Manifest.read(corpus).table.iloc[:-1]
    Manifest.from_table(table, root=corpus.parent).write(corpus)
    assert first.key != before


def test_a_key_says_what_is_done_with_unknown_devices(corpus: Path) -> None:
    """The first runs left them as they are, and keep their names."""
    keys = [
        Run(
            "", replace(CONFIG, correction=CorrectionConfig("A", unknown_device=policy)), corpus
        ).key
        for policy in (None, "blind", "identity", "refuse")
    ]
    assert keys[0] == keys[1]  # what a training does by default
    assert len(set(keys)) == 3


def test_a_test_clip_that_cannot_be_used_stops_the_run(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "3.wav").write_bytes(b"")
    with pytest.raises(AnymicError, match=r"1 clip to test cannot be used.*3\.wav"):
        train_all(runs(corpus)[:1], tmp_path / "runs")


def test_blind_gains_of_an_old_run_are_those_of_a_new_one(corpus: Path, tmp_path: Path) -> None:
    """A stored model that expects one kind of device, in the form that such models are read in."""
    table = Manifest.read(corpus).with_columns(device=list("AABB") * 4)
    config = replace(CONFIG, correction=CorrectionConfig(reference=("A",)))
    run = Run("correction", config, table.write(corpus.parent / "devices.csv"))
    train_all([run], tmp_path / "runs")
    new = Bundle.load(run.folder(tmp_path / "runs"))
    assert new.spectrum is not None
    assert new.spectrum.known.shape == (2, 129)
    expected = new.spectrum.known.mean(axis=0, keepdims=True)
    old = replace(new, spectrum=replace(new.spectrum, prior="smooth", known=expected))
    assert old.spectrum is not None
    noise = np.random.default_rng(0).normal(size=(3, 129))
    spectra = new.spectrum.log_magnitude + noise
    assert np.ptp(np.log(old.spectrum.gains(spectra) / new.spectrum.gains(spectra))) > 0.1
    changed = renewed(old)
    assert changed.spectrum is not None
    np.testing.assert_allclose(changed.spectrum.gains(spectra), new.spectrum.gains(spectra))
    assert renewed(new) is new
