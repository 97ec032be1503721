"""The four kinds of ensemble, by hand: who votes, who is calibrated, what is compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anymic.errors import AnymicError
from anymic.evaluation.report.cells import plain
from anymic.training import load_config
from anymic_experiments.commands import ROOT
from anymic_experiments.kosmider2019 import ensembles
from anymic_experiments.kosmider2019.settings import Settings
from anymic_experiments.page import Page
from anymic_experiments.runs import Member, Outcome, Run

BASE = load_config("kosmider2019-small")
FOLDER = ROOT / "kosmider2019"
GRID = Settings.read(FOLDER)
KINDS = {kind.name: kind for kind in GRID.ensembles}
SUBMITTED = "basic1, augmentation, normalization, correction"
DEVICES = np.repeat(["A", "B", "C", "D"], 12)
GROUPS = np.tile([f"recording {number}" for number in range(12)], 4)
TARGETS = np.tile(np.arange(12) % 2, 4)


def member(wrong: slice, *, share: float = 0.8, validated: int = 20, seed: int = 0) -> Member:
    """Return a member that is wrong about these clips of each device."""
    right = np.ones((4, 12), dtype=bool)
    right[:, wrong] = False
    answer = np.where(right.ravel(), TARGETS, 1 - TARGETS)
    probabilities = np.where(np.eye(2, dtype=bool)[answer], 0.9, 0.1)
    run_of = Run(SUBMITTED, replace(BASE, seed=8 * seed), Path("fold1.csv"))
    outcome = Outcome(run_of, probabilities, TARGETS, ("dog", "rain"), DEVICES, GROUPS)
    targets = np.arange(validated) % 2
    said = np.where(np.arange(validated) < share * validated, targets, 1 - targets)
    return Member(outcome, np.where(np.eye(2, dtype=bool)[said], 0.9, 0.1), targets)


def whole(wrong: slice) -> Member:
    """Return a member that set no clip aside."""
    found = member(wrong)
    run_of = replace(found.outcome.run, condition=f"all clips, {SUBMITTED}")
    outcome = replace(found.outcome, run=run_of)
    return Member(outcome, np.empty((0, 2)), np.empty(0, dtype=np.int64))


def voters() -> list[Member]:
    """Return three that are each wrong about other clips, a poor one, and one of all clips."""
    third = [member(slice(4 * n, 4 * n + 4)) for n in range(3)]
    return [*third, member(slice(0, 12), share=0.5), whole(slice(0, 2))]


def test_who_votes_in_which_ensemble() -> None:
    sizes = {
        name: len(fold)
        for name, kind in KINDS.items()
        for fold in ensembles.chosen(voters(), kind, GRID)
    }
    assert sizes == {
        "soft voting, trained on all clips": 1,
        GRID.calibrated: 3,
        "calibrated voting, selected members with augmentation": 3,
        "calibrated voting, selected members, plain steps": 3,
        "soft voting, all of both": 4,
        GRID.soft: 3,
        "geometric voting, selected members": 3,
    }


def test_members_that_err_apart_are_right_together() -> None:
    section = ensembles.section(voters(), GRID)
    found = section.found
    assert found.of("accuracy", condition=GRID.soft, device="all").value == 1
    change = found.of("accuracy_difference", condition=GRID.soft, device="all")
    assert change.value == pytest.approx(4 / 12)  # each is wrong about a third
    assert change.n == 36  # D was not asked about
    text = Page(FOLDER, grid=GRID).section(section)
    assert text.count("\n| ") == 1 + 7
    assert "more accurate than their average by +33.3" in text
    (heading,) = (line for line in text.splitlines() if line.startswith("| ensemble |"))
    (soft,) = (line for line in text.splitlines() if line.startswith(f"| {GRID.soft} |"))
    stated = dict(zip(heading.split(" | "), soft.split(" | "), strict=True))
    # Where clips are classified correctly by 0.9 two times and 0.1 once, the mean is 0.63.
    assert stated["Brier score"] == plain(found.of("brier_score", condition=GRID.soft))
    assert float(stated["Brier score"].split(" ")[0]) == pytest.approx(
        2 * (11 / 30) ** 2, abs=0.001
    )


def test_calibration_says_what_the_validation_clips_bear_out() -> None:
    """A member that says 0.9 and is right four times in five comes to say 0.8."""
    kind = KINDS[f"{GRID.calibrated}, plain steps"]
    folds = ensembles.chosen([member(slice(0, 2))], kind, GRID)
    (votes,) = ensembles.voted(folds, kind, GRID)
    sure = votes.probabilities.max(axis=1)
    np.testing.assert_allclose(sure, 0.8, atol=1e-9)
    (smooth,) = ensembles.voted(folds, KINDS[GRID.calibrated], GRID)
    # 8 of 10 clips and 2 more, half of which have the label
    np.testing.assert_allclose(smooth.probabilities.max(axis=1), 9 / 12, atol=1e-9)


def test_an_empty_selection_is_refused() -> None:
    poor = [member(slice(0, 12), share=0.5)]
    kind = KINDS[GRID.soft]
    with pytest.raises(AnymicError, match="No member reached 70 %"):
        ensembles.voted(ensembles.chosen(poor, kind, GRID), kind, GRID)


def test_the_reliability_diagrams_are_drawn() -> None:
    figure = ensembles.section(voters(), GRID).figure
    assert figure is not None
    assert len(figure.axes) == 2
