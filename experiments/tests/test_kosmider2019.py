"""The grid of Kosmider 2019, its table by hand, and the paper's scale on a miniature corpus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anymic.training import load_config
from anymic_experiments.commands import ROOT
from anymic_experiments.findings import Published
from anymic_experiments.kosmider2019 import analysis
from anymic_experiments.kosmider2019.settings import Settings
from anymic_experiments.page import Page
from anymic_experiments.runner import finish_all
from anymic_experiments.runs import Outcome, Run

FOLDER = ROOT / "kosmider2019"
GRID = Settings.read(FOLDER)
SUBMITTED = "basic1, augmentation, normalization, correction"

DEVICES = np.repeat(["A", "B", "C"], 20)
GROUPS = np.tile([f"recording {number}" for number in range(20)], 3)
SMALL = load_config("kosmider2019-small")


def outcome(condition: str, a: int, b: int, c: int) -> Outcome:
    """Return 20 clips a device, the first a, b and c of which are right."""
    right = np.concatenate([np.arange(20) < number for number in (a, b, c)])
    probabilities = np.stack([np.where(right, 0.9, 0.1), np.where(right, 0.1, 0.9)], axis=1)
    zeros = np.zeros(60, dtype=np.int64)
    run = Run(condition, SMALL, Path("fold1.csv"))
    return Outcome(run, probabilities, zeros, ("dog", "rain"), DEVICES, GROUPS)


def test_the_grid_is_every_setting_with_and_without_correction() -> None:
    runs = GRID.runs(
        "table", folds=[Path("fold1.csv"), Path("fold2.csv")], seeds=(0, 1), scale="small"
    )
    assert len(runs) == 2**4 * 2 * 2
    first = {run.condition: run.config for run in runs[:16]}
    assert len(first) == 16
    plain = first["basic2"]
    assert (plain.mixup, plain.spec_augment, plain.correction) == (None, None, None)
    assert not plain.standardize
    full = first["basic1, augmentation, normalization, correction"]
    assert (full.mixup, full.spec_augment) == (SMALL.mixup, SMALL.spec_augment)
    assert full.correction == SMALL.correction
    assert full.standardize


def test_a_line_shares_its_seed_with_its_counterpart_alone() -> None:
    runs = GRID.runs("table", folds=[Path("fold1.csv")], seeds=(0, 1), scale="small")
    seeds: dict[int, list[str]] = {}
    for run in runs:
        seeds.setdefault(run.config.seed, []).append(run.condition.removesuffix(", correction"))
    assert len(seeds) == 16
    for names in seeds.values():
        assert len(names) == 2
        assert len(set(names)) == 1


def test_members_of_all_clips_set_none_aside() -> None:
    runs = GRID.runs("whole", folds=[Path("fold1.csv")], seeds=(0,), scale="small")
    assert len(runs) == 8
    assert {run.config.validation_share for run in runs} == {0.0}
    assert all(run.config.correction for run in runs)


def test_both_references_differ_in_the_reference_alone() -> None:
    virtual, real = GRID.runs("references", folds=[Path("fold1.csv")], seeds=(1,), scale="small")
    assert (virtual.condition, real.condition) == (SUBMITTED, f"{SUBMITTED} to A")
    assert virtual.config.correction is not None
    towards_a = replace(virtual.config.correction, reference=("A",))
    assert real.config == replace(virtual.config, correction=towards_a)


def test_the_reports_figures_stand_where_the_report_has_them() -> None:
    figures = Published.read(FOLDER)
    name = "basic1, augmentation, normalization"
    assert [figures.of("3", name, device) for device in GRID.devices] == [73, 58]
    assert [figures.of("3", "basic2, correction", device) for device in GRID.devices] == [69, 64]
    assert len(figures.values) == 2 * 16


def test_table_3_by_hand() -> None:
    worse = "basic2, normalization, correction"
    outcomes = [
        outcome(name, 15, 8, 8)
        if name == worse
        else outcome(name, 16, *((14, 12) if "correction" in name else (10, 8)))
        for name in (one.name for one in GRID.conditions("table", scale="small"))
    ]
    section = analysis.table(outcomes, GRID)
    found = section.found
    where = {"condition": SUBMITTED, "device": "B and C"}
    accuracy = found.of("accuracy", condition=SUBMITTED, device="A")
    assert accuracy.value == pytest.approx(16 / 20)
    assert found.of("accuracy", **where).value == pytest.approx(26 / 40)
    assert found.of("accuracy_difference", **where).value == pytest.approx(8 / 40)
    where["condition"] = f"{analysis.EVERY}, correction"
    every = found.of("accuracy_difference", **where)
    assert every.value == pytest.approx((7 * 8 / 40 - 2 / 40) / 8)
    text = Page(FOLDER, grid=GRID).section(section)
    assert text.count("\n| ") == (1 + 8) + (1 + 8 + 1)
    assert "| yes | yes | - | 80.0 [" in text
    assert "(73)" in text
    assert "7 of 8 settings with correction are more accurate" in text
    assert f"Not so {worse}: -5.0" in text


def test_the_papers_scale_trains_on_a_miniature_of_the_published_layout(
    miniature_tau: Path, tmp_path: Path
) -> None:
    """Two lines of the table at full size: 10 s clips, 256 bands, hop 512; one epoch."""
    base = load_config("kosmider2019")
    assert (base.frontend.bands, base.frontend.hop_samples, base.epochs) == (256, 512, 500)
    assert base.spec_augment is not None
    assert (base.spec_augment.frames, base.spec_augment.bands) == (80, 27)
    assert (base.batch_size, base.l2, base.plateau_patience, base.stop_below) == (
        64,
        1e-5,
        16,
        1e-3,
    )
    tiny = replace(GRID, changes={"epochs": 1, "batch_size": 8})
    runs = tiny.runs(
        "table",
        folds=[miniature_tau],
        seeds=[0],
        scale="paper",
    )
    chosen = [runs[0], runs[-1]]
    assert [run.condition for run in chosen] == [SUBMITTED, "basic2"]
    finish_all(chosen, tmp_path, workers=1, progress=False)
    for found in (run.outcome(tmp_path) for run in chosen):
        assert found.probabilities.shape == (6, 2)
        assert sorted(set(found.devices)) == ["A", "B", "C"]
        np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)
