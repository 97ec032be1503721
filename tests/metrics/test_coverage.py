"""Accuracy over coverage: by hand, by counting every order, and its laws."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from anymic.metrics import MetricError
from anymic.metrics.coverage import coverage_curve

Answers = tuple[NDArray[np.float64], NDArray[np.bool_]]


@pytest.fixture
def answers() -> Answers:
    """Return confidences, some of them equal, and whether the answers are right."""
    random = np.random.default_rng(0)
    confidence = random.integers(20, 100, size=200) / 100
    return confidence, random.uniform(size=200) < confidence


def test_a_curve_by_hand() -> None:
    # By falling confidence: 0.9 right, 0.8 wrong, 0.6 right and wrong, 0.5 right.
    curve = coverage_curve([0.6, 0.9, 0.5, 0.8, 0.6], [1, 1, 1, 0, 0])
    assert curve.threshold.tolist() == [0.9, 0.8, 0.6, 0.5]
    assert curve.coverage.tolist() == [0.2, 0.4, 0.8, 1.0]
    np.testing.assert_allclose(curve.accuracy, [1, 1 / 2, 2 / 4, 3 / 5])
    # Errors among the k most confident: 0, 1, then 1 or 2 in either order, 2, 2.
    assert curve.area == pytest.approx((0 / 1 + 1 / 2 + 1.5 / 3 + 2 / 4 + 2 / 5) / 5)


def test_the_area_is_the_mean_over_every_order_of_equally_sure_clips() -> None:
    groups = [[0, 1], [1, 1, 0], [0]]  # 1: wrong; equally sure inside a group
    confidence = [0.9, 0.9, 0.5, 0.5, 0.5, 0.1]
    areas = []
    for first in permutations(groups[0]):
        for second in permutations(groups[1]):
            wrong = np.array([*first, *second, *groups[2]])
            areas.append((np.cumsum(wrong) / np.arange(1, 7)).mean())
    found = coverage_curve(confidence, 1 - np.array([0, 1, 1, 1, 0, 0]))
    assert found.area == pytest.approx(np.mean(areas))


def test_each_threshold_gives_its_coverage_and_accuracy(answers: Answers) -> None:
    confidence, correct = answers
    curve = coverage_curve(confidence, correct)
    for threshold, coverage, accuracy, clips in zip(
        curve.threshold, curve.coverage, curve.accuracy, curve.clips, strict=True
    ):
        answered = confidence >= threshold
        assert clips == answered.sum()
        assert coverage == pytest.approx(answered.mean())
        assert accuracy == pytest.approx(correct[answered].mean())


def test_neither_the_order_of_clips_nor_the_scale_of_confidence_matters(answers: Answers) -> None:
    confidence, correct = answers
    curve = coverage_curve(confidence, correct)
    order = np.random.default_rng(1).permutation(len(correct))
    other = coverage_curve(np.log(confidence[order]) * 3 - 5, correct[order])
    np.testing.assert_allclose(other.coverage, curve.coverage)
    np.testing.assert_allclose(other.accuracy, curve.accuracy)
    assert other.area == pytest.approx(curve.area)


def test_a_constant_confidence_has_the_overall_error(answers: Answers) -> None:
    correct = answers[1]
    curve = coverage_curve(np.full(200, 0.7), correct)
    assert curve.coverage.tolist() == [1.0]
    assert curve.area == pytest.approx(1 - correct.mean())


def test_the_area_lies_between_those_of_the_best_and_the_worst_order(answers: Answers) -> None:
    confidence, correct = answers
    best, worst = (coverage_curve(sign * correct, correct).area for sign in (1.0, -1.0))
    assert best < coverage_curve(confidence, correct).area < 1 - correct.mean() < worst
    assert coverage_curve(confidence, np.ones(200)).area == 0


def test_at_a_coverage_the_fewest_sufficient_clips_are_answered(answers: Answers) -> None:
    curve = coverage_curve(*answers)
    for coverage in (0.005, 0.3, 0.5, 0.9, 1.0):
        entry = curve.at(coverage)
        assert curve.coverage[entry] >= coverage
        assert entry == 0 or curve.coverage[entry - 1] < coverage
    assert curve.at(1.0) == len(curve.threshold) - 1
    assert coverage_curve([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], np.ones(7)).at(3 / 7) == 2
    assert coverage_curve(np.arange(100.0), np.ones(100)).at(0.07) == 6  # 0.07 * 100 > 7


@pytest.mark.parametrize(
    ("confidence", "correct", "said"),
    [
        ([], [], "shape"),
        ([0.5], [1, 0], "1 confidences and 2 results"),
        ([0.5, np.nan], [1, 0], "1 of 2 values that is not finite"),
        ([0.5, 0.6], [1, 2], "between 1 and 2"),
    ],
)
def test_invalid_answers_are_refused(
    confidence: list[float], correct: list[int], said: str
) -> None:
    with pytest.raises(MetricError, match=said):
        coverage_curve(confidence, correct)


@pytest.mark.parametrize("coverage", [0.0, 1.1, float("nan")])
def test_a_coverage_outside_0_to_1_is_refused(coverage: float) -> None:
    with pytest.raises(MetricError, match="coverage is"):
        coverage_curve([0.5], [1]).at(coverage)
