"""The arithmetic of the experiment, by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anymic.metrics.recovery import recovered_share
from anymic.training import load_config
from anymic_experiments.commands import ROOT
from anymic_experiments.experiment import Experiment, Paper
from anymic_experiments.page import Page
from anymic_experiments.runs import Outcome, Run
from anymic_experiments.spectrum_correction import analysis
from anymic_experiments.spectrum_correction.analysis import Settings

FOLDER = ROOT / "spectrum_correction"

RESULTS = Path(__file__).parents[2] / "docs" / "results"

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


def experiment(out: Path = Path("out")) -> Experiment[Settings]:
    return Experiment(replace(Settings.read(FOLDER), seeds=1), out=out, data=())


def names() -> list[str]:
    return [one.name for one in experiment().grid.conditions("table", scale="small")]


def test_conditions_are_compared_in_pairs() -> None:
    outcomes = [outcome(names()[0], hits(18, 10, 10))]
    outcomes += [outcome(name, hits(17, 15, 16)) for name in names()[1:]]
    section = analysis.section(outcomes, experiment().grid)
    found = section.found
    plain, first = names()[:2]
    assert found.of("accuracy", condition=plain, device="B").value == pytest.approx(0.5)
    change = found.of("accuracy_difference", condition=first, device="A")
    assert change.value == pytest.approx(-1 / 20)
    change = found.of("accuracy_difference", condition=first, device="C")
    assert change.value == pytest.approx(6 / 20)
    share = found.of("recovered_share", condition=analysis.MEAN)
    assert share.value == pytest.approx(11 / 16)
    text = Page(FOLDER, grid=experiment().grid, scale="small", seeds=1).section(section)
    assert text.count("\n| ") == 1 + len(names()) + 1
    assert "| 69 [" in text
    assert "B 40.0 and C 40.0 points are lost against A" in text
    assert "A changes by -5.0 points on average, and by -5.0 at worst" in text


def test_the_grid_is_no_correction_and_every_reference_with_every_estimator() -> None:
    first, *corrected = experiment().grid.conditions("table", scale="small")
    assert (first.name, first.config.correction) == ("no correction", None)
    configs = [one.config.correction for one in corrected]
    assert len(configs) == 3 * 3
    assert len({(each.reference, each.estimator) for each in configs if each}) == 9


def test_the_report_and_the_page_are_written(tmp_path: Path) -> None:
    outcomes = [outcome(name, hits(17, 12, 13)) for name in names()]
    ours = experiment(tmp_path / "report")
    paper = Paper.read("spectrum_correction")
    paper = replace(paper, sections={"table": lambda _: [analysis.section(outcomes, ours.grid)]})
    paths, text = paper.run(ours, page_folder=tmp_path / "docs", command="anymic x")
    assert all(path.stat().st_size > 1000 for path in paths)
    assert (tmp_path / "docs" / "spectrum_correction.md").read_text() == text
    assert "    anymic x\n" in text
    assert "n =\n20 (20 clips x 1 seed)" in text
    assert (tmp_path / "docs" / "spectrum_correction.png").is_file()


def test_the_share_over_other_microphones_is_that_of_their_page() -> None:
    figure = re.compile(r"reference A\s+recovers (\d+ \[\d+, \d+\]) %")
    (stated,) = figure.findall(Page(FOLDER).text("decisions"))
    row = next(
        line
        for line in (RESULTS / "microphone_pairs.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| all | +")
    )
    assert row.split(" | ")[2] == stated
    stored = (RESULTS / "spectrum_correction.md").read_text(encoding="utf-8")
    assert figure.findall(stored) == [stated]
