"""The grid of Kosmider 2019, its table by hand, and the paper's scale on a miniature corpus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anymic.training import load_config
from anymic_experiments.kosmider2019 import grid, table
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Outcome, Run, train_all

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
    runs = grid.grid([Path("fold1.csv"), Path("fold2.csv")], SMALL, seeds=(0, 1))
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
    runs = grid.grid([Path("fold1.csv")], SMALL, seeds=(0, 1))
    seeds: dict[int, list[str]] = {}
    for run in runs:
        seeds.setdefault(run.config.seed, []).append(run.condition.removesuffix(", correction"))
    assert len(seeds) == 16
    for names in seeds.values():
        assert len(names) == 2
        assert len(set(names)) == 1


def test_members_of_all_clips_set_none_aside() -> None:
    runs = grid.whole([Path("fold1.csv")], SMALL)
    assert len(runs) == 8
    assert {run.config.validation_share for run in runs} == {0.0}
    assert all(run.config.correction for run in runs)


def test_the_reports_figures_stand_where_the_report_has_them() -> None:
    setting = grid.Setting("basic1", augmentation=True, normalization=True, correction=False)
    assert table.PAPER[setting] == (73, 58)
    last = grid.Setting("basic2", augmentation=False, normalization=False, correction=True)
    assert table.PAPER[last] == (69, 64)
    assert len(table.PAPER) == 16


def test_table_3_by_hand() -> None:
    worse = "basic2, normalization, correction"
    outcomes = [
        outcome(setting.name, 16, *((14, 12) if setting.correction else (10, 8)))
        for setting in grid.TABLE
        if setting.name != worse
    ]
    found = table.table3(pool([*outcomes, outcome(worse, 15, 8, 8)]))
    name = grid.SUBMITTED.name
    assert found.of("accuracy", name, "A").value == pytest.approx(16 / 20)
    assert found.of("accuracy", name, table.PAIR).value == pytest.approx(26 / 40)
    change = found.of("accuracy_difference", name, table.PAIR)
    assert change.value == pytest.approx(8 / 40)
    every = found.of("accuracy_difference", f"{table.EVERY}, correction", table.PAIR)
    assert every.value == pytest.approx((7 * 8 / 40 - 2 / 40) / 8)
    text = table.markdown(found)
    assert text.count("\n") == 2 + 8
    assert "| yes | yes | - | 80.0 [" in text
    assert "(73)" in text
    assert "7 of 8 settings with correction beat" in table.reading(found)
    assert f"Not so {worse}: -5.0" in table.reading(found)
    assert table.gains_markdown(found).count("\n") == 2 + 8 + 1


def test_the_papers_scale_trains_on_a_miniature_of_the_published_layout(
    miniature_tau: Path, tmp_path: Path
) -> None:
    """Two lines of the table at full size: 10 s clips, 256 bands, hop 512; one epoch."""
    base = load_config("kosmider2019")
    assert (base.frontend.bands, base.frontend.hop_samples, base.epochs) == (256, 512, 150)
    assert base.spec_augment is not None
    assert (base.spec_augment.frames, base.spec_augment.bands) == (80, 27)
    assert (base.batch_size, base.l2, base.plateau_patience) == (64, 1e-5, 16)
    runs = grid.grid([miniature_tau], replace(base, epochs=1, batch_size=8), seeds=[0])
    chosen = [runs[0], runs[-1]]
    assert [run.condition for run in chosen] == [grid.SUBMITTED.name, "basic2"]
    for found in train_all(chosen, tmp_path / "runs", workers=1, progress=False):
        assert found.probabilities.shape == (6, 2)
        assert sorted(set(found.devices)) == ["A", "B", "C"]
        np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)
