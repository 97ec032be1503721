"""The four submissions: two fixed splits, and miniature networks that vote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.data.splits import check_splits
from anymic_experiments.commands import ROOT
from anymic_experiments.experiment import Experiment
from anymic_experiments.kosmider2019 import submissions
from anymic_experiments.kosmider2019.settings import Settings
from anymic_experiments.page import Page

FOLDER = ROOT / "kosmider2019"
GRID = Settings.read(FOLDER)
TINY = {
    "epochs": 1,
    "width": 0.1,
    "batch_size": 8,
    "frontend": {"rate_hz": 44_100, "fft_size": 2048, "hop_samples": 2048, "bands": 32},
    "clip_s": 1,
    "validation_share": 0.5,
    "spec_augment": None,
}


def test_the_sets_are_those_of_the_report() -> None:
    sizes = {name: each["paper"] for name, each in GRID.sets.items()}
    assert sizes == {"split #1": 36, "split #2": 31, "all clips": 46}
    assert [one.voting for one in GRID.submissions] == ["soft", "calibrated", "calibrated", "soft"]
    assert GRID.selected == 0.7


def test_the_two_splits_differ_and_divide_no_recording(
    trees: dict[str, Path], tmp_path: Path
) -> None:
    fold = trees["tau2019-mobile"]
    first, second = (
        Manifest.read(submissions.with_split(fold, number, 0.5, tmp_path)) for number in (1, 2)
    )
    check_splits(first)
    test = Manifest.read(fold).table["split"] == "test"
    for one in (first, second):
        assert ((one.table["split"] == "test") == test).all()
    assert (first.table["split"] != second.table["split"]).any()


@pytest.mark.usefixtures("one_thread")
def test_members_of_a_split_share_it_and_all_of_them_vote(
    trees: dict[str, Path], tmp_path: Path
) -> None:
    grid = replace(GRID, changes=TINY, selected=0.0, members=2)
    data = (trees["tau2019-mobile"],)
    experiment = Experiment(grid, out=tmp_path, data=data, workers=1, progress=False)
    found = submissions.trained(experiment)
    assert {name: [len(fold) for fold in folds] for name, folds in found.items()} == {
        name: [2] for name in GRID.sets
    }
    parts = {}
    for name, (members,) in found.items():
        runs = [one.outcome.run for one in members]
        used = [Bundle.load(run.folder(experiment.places)).fitted_on for run in runs]
        assert used[0].get("validation") == used[1].get("validation")
        assert runs[0].config.seed != runs[1].config.seed
        parts[name] = used[0].get("validation")
    assert parts["split #1"] != parts["split #2"]
    assert not parts["all clips"]
    twice = {  # calibration needs two clips of each label
        name: [
            [
                replace(
                    one, validation=np.tile(one.validation, (2, 1)), targets=np.tile(one.targets, 2)
                )
                for one in fold
            ]
            for fold in folds
        ]
        for name, folds in found.items()
    }
    section = submissions.section(twice, grid)
    assert section.facts["sizes"] == {
        "trained on all clips": (2, 2),
        "split #1": (2, 2),
        "split #2": (2, 2),
        "all": (6, 6),
    }
    text = Page(FOLDER, grid=grid, scale="small").section(section)
    assert "2 of split #1, 2 of split #2, 2 of all clips in each fold" in text
    assert text.count("\n| ") == 1 + 4
