"""The arithmetic of the experiment, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anymic.metrics.recovery import recovered_share
from anymic.training import load_config
from anymic_experiments import correction_page
from anymic_experiments import spectrum_correction as recipe
from anymic_experiments.runs import Outcome, Run

DEVICES = np.repeat(["A", "B", "C"], 20)
GROUPS = np.tile([f"recording {number}" for number in range(20)], 3)


def hits(a: int, b: int, c: int) -> np.ndarray:
    """Return 20 clips a device, the first a, b and c of which are right."""
    return np.concatenate([np.arange(20) < right for right in (a, b, c)])


def outcome(condition: str, right: np.ndarray) -> Outcome:
    probabilities = np.stack([np.where(right, 0.9, 0.1), np.where(right, 0.1, 0.9)], axis=1)
    run = Run(condition, load_config("small"), Path("fold1.csv"))
    zeros = np.zeros(60, dtype=np.int64)
    return Outcome(run, probabilities, zeros, ("dog", "rain"), DEVICES, GROUPS)


def test_the_recovered_share_by_hand() -> None:
    # Without: A 18 of 20, B and C 10 of 20: 8 of 20 are lost. With: 15 and 17, 6 of 20 come back.
    share = recovered_share(hits(18, 15, 17), hits(18, 10, 10), DEVICES, GROUPS)
    assert share.value == pytest.approx(6 / 8)
    assert share.low <= share.value <= share.high


def test_no_correction_recovers_nothing_and_a_full_one_everything() -> None:
    without = hits(18, 10, 12)
    assert recovered_share(without, without, DEVICES, GROUPS).value == 0
    full = recovered_share(hits(18, 18, 18), without, DEVICES, GROUPS)
    assert full.value == pytest.approx(1)


def test_conditions_are_compared_in_pairs() -> None:
    names = list(recipe.conditions())
    outcomes = [outcome(names[0], hits(18, 10, 10))]
    outcomes += [outcome(name, hits(17, 15, 16)) for name in names[1:]]
    findings = recipe.compare(outcomes)
    rows = {
        (row.metric, row.condition["condition"], row.condition.get("device")): row
        for row in findings.rows
    }
    assert rows["accuracy", names[0], "B"].value == pytest.approx(0.5)
    assert rows["accuracy_difference", names[1], "A"].value == pytest.approx(-1 / 20)
    assert rows["accuracy_difference", names[1], "C"].value == pytest.approx(6 / 20)
    assert rows["recovered_share", "mean of all corrections", None].value == pytest.approx(11 / 16)
    table = correction_page.markdown(findings)
    assert table.count("\n") == 2 + len(names) + 1
    assert "| 69 [" in table
    text = correction_page.reading(findings)
    assert "B 40.0 and C 40.0 points are lost against A" in text
    assert "A changes by -5.0 points on average, and by -5.0 at worst" in text


def test_the_grid_is_no_correction_and_every_reference_with_every_estimator() -> None:
    grid = recipe.conditions()
    assert len(grid) == 1 + 3 * 3
    assert grid[recipe.NONE] is None
    pairs = {(item.reference, item.estimator) for item in grid.values() if item}
    assert len(pairs) == 9


def test_the_report_and_the_page_are_written(tmp_path: Path) -> None:
    names = list(recipe.conditions())
    findings = recipe.compare([outcome(name, hits(17, 12, 13)) for name in names])
    paths = correction_page.report(
        findings, tmp_path / "report", page=tmp_path / "docs", command="anymic x", seeds=1
    )
    assert all(path.stat().st_size > 1000 for path in paths)
    text = (tmp_path / "docs" / "spectrum_correction.md").read_text()
    assert "    anymic x\n" in text
    assert "n = 20 (20 clips x 1 seeds)" in text
