from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from scipy.stats import t as student
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional.classification import multiclass_calibration_error

from anymic.metrics import (
    BINS,
    Interval,
    MetricError,
    accuracy,
    bootstrap,
    brier_score,
    brier_scores,
    calibration_bins,
    confusion_matrix,
    design_effect,
    device_contrasts,
    expected_calibration_error,
    log_loss,
    log_losses,
    paired_difference,
    probability_scores,
)


def hits(right: int, n: int) -> NDArray[np.bool_]:
    return np.arange(n) < right


def some_probabilities(
    n: int = 200, classes: int = 5, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    targets = random.integers(classes, size=n)
    logits = random.normal(size=(n, classes)) + 1.5 * np.eye(classes)[targets]
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True), targets


# accuracy: the Wilson interval


def test_accuracy_equals_the_numbers_worked_by_hand() -> None:
    result = accuracy(hits(8, 10))
    assert result.n == 10
    assert result.value == 0.8
    assert (result.low, result.high) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)


@pytest.mark.parametrize(("right", "n"), [(0, 5), (1, 1), (3, 7), (50, 60), (7, 7), (500, 1000)])
def test_accuracy_of_independent_clips_equals_scipy(right: int, n: int) -> None:
    theirs = binomtest(right, n).proportion_ci(method="wilson")
    ours = accuracy(hits(right, n))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_independent_clips_have_no_design_effect() -> None:
    correct = np.random.default_rng(1).random(50) < 0.7
    assert design_effect(correct, np.arange(50)) == 1.0
    assert accuracy(correct, [f"clip{i}" for i in range(50)]) == accuracy(correct)


@pytest.mark.parametrize("copies", [2, 5])
def test_duplicated_clips_do_not_narrow_the_interval(copies: int) -> None:
    once = accuracy(hits(14, 20))
    many = accuracy(np.repeat(hits(14, 20), copies), np.repeat(np.arange(20), copies))
    assert many.n == 20 * copies
    assert (many.value, many.low, many.high) == pytest.approx((once.value, once.low, once.high))


def test_all_right_counts_recordings_not_clips() -> None:
    groups = np.repeat(np.arange(6), 10)
    theirs = binomtest(6, 6).proportion_ci(method="wilson")
    ours = accuracy(np.ones(60), groups)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, 1.0))


def test_one_recording_counts_as_one_clip() -> None:
    assert design_effect(hits(3, 12), ["same"] * 12) == 12


def test_recordings_of_one_share_each_do_not_narrow_the_interval() -> None:
    """Every recording has one clip of two right: less spread between them than by chance."""
    assert design_effect(np.tile([0, 1], 10), np.repeat(np.arange(10), 2)) == 1.0


def clustered_outcomes(
    random: np.random.Generator, share: float, spread: float
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Outcomes of 40 recordings of 4 clips, the chance of each recording drawn from a beta."""
    a, b = share * (1 / spread - 1), (1 - share) * (1 / spread - 1)
    groups = np.repeat(np.arange(40), 4)
    return random.random(160) < random.beta(a, b, size=40)[groups], groups


def test_interval_of_clustered_clips_holds_the_truth_95_times_in_100() -> None:
    random = np.random.default_rng(7)
    held = naive = 0
    for _ in range(600):
        correct, groups = clustered_outcomes(random, share=0.75, spread=0.5)
        with_groups, without = accuracy(correct, groups), accuracy(correct)
        held += with_groups.low <= 0.75 <= with_groups.high
        naive += without.low <= 0.75 <= without.high
    assert 0.92 <= held / 600 <= 0.98
    assert naive / 600 < 0.88  # what ignoring the recordings would have claimed


@pytest.mark.parametrize(("recordings", "spread"), [(10, 0.2), (10, 0.9), (20, 0.5)])
def test_interval_holds_the_truth_where_one_recording_is_ten_times_longer(
    recordings: int, spread: float
) -> None:
    """Without the corrections for uneven groups, 83 in 100 of ten recordings.

    The corrected intervals are wide where recordings differ little: the quantile of Student's t has
    few degrees of freedom there. An interval that contains the truth in more than 99 of 100 draws
    would have a confidence other than the stated one.
    """
    random, draws = np.random.default_rng(recordings), 2000
    groups = np.repeat(np.arange(recordings), [40, *[4] * (recordings - 1)])
    a, b = 0.75 * (1 / spread - 1), 0.25 * (1 / spread - 1)
    held = 0
    for _ in range(draws):
        right = random.random(len(groups)) < random.beta(a, b, size=recordings)[groups]
        found = accuracy(right, groups)
        held += found.low <= 0.75 <= found.high
    print(f"accuracy, {recordings} recordings, spread {spread}: {held / draws:.1%} of {draws}")
    assert 0.92 <= held / draws <= 0.99


def test_design_effect_equals_the_number_worked_by_hand() -> None:
    """One group of 4 and five of 2, p = 10/14; then six groups of 2, p = 8/12."""
    hits = [1, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1]
    found = design_effect(hits, [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    squares = 1 / 49 / (1 - 4 / 14) + (16 + 100 + 16 + 9 + 16) / 49 / (1 - 2 / 14)
    independent = 10 / 14 * 4 / 14 / 13
    t = student.ppf(0.975, 14 / (36 / 14) - 1) / student.ppf(0.975, 13)
    assert found == pytest.approx(squares / 14**2 / independent * t**2)
    assert 1 < found < 36 / 14  # neither of its limits
    even = design_effect([1, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1], np.repeat(np.arange(6), 2))
    squares = 6 / 5 * (4 + 1 + 4 + 16 + 1 + 4) / 9
    t = student.ppf(0.975, 5) / student.ppf(0.975, 11)
    assert even == pytest.approx(squares / 12**2 / (2 / 3 * 1 / 3 / 11) * t**2)
    assert 1 < even < 2


# resampling whole groups


def test_bootstrap_of_a_mean_equals_the_totals_of_the_same_draws() -> None:
    random = np.random.default_rng(3)
    values, groups = random.normal(size=90), random.integers(25, size=90)
    slow = bootstrap(lambda rows: float(values[rows].mean()), groups, seed=5)
    fast = paired_difference(values, np.zeros(90), groups, seed=5)
    assert (slow.value, slow.low, slow.high) == pytest.approx((fast.value, fast.low, fast.high))


def test_bootstrap_is_seeded() -> None:
    values = np.random.default_rng(3).normal(size=40)

    def interval(seed: int) -> Interval:
        return bootstrap(lambda rows: float(values[rows].mean()), None, n=40, seed=seed)

    assert interval(1) == interval(1)
    assert interval(1) != interval(2)


def test_interval_of_a_difference_holds_the_truth_95_times_in_100() -> None:
    random = np.random.default_rng(11)
    held = 0
    groups = np.repeat(np.arange(15), 3)
    for seed in range(300):
        change = random.normal(0.2, 1.0, size=15)[groups] + random.normal(size=45)
        result = paired_difference(change, np.zeros(45), groups, resamples=400, seed=seed)
        held += result.low <= 0.2 <= result.high
    assert 0.92 <= held / 300 <= 0.985


@pytest.mark.parametrize(("recordings", "held_at_least"), [(10, 0.92), (40, 0.89)])
def test_interval_of_a_difference_where_one_recording_is_ten_times_longer(
    recordings: int, held_at_least: float
) -> None:
    """95 and 92 of 100; the resamples have no correction for uneven recordings."""
    random = np.random.default_rng(recordings)
    groups = np.repeat(np.arange(recordings), [40, *[4] * (recordings - 1)])
    held = 0
    for seed in range(400):
        change = random.normal(0.2, 1.0, size=recordings)[groups] + random.normal(size=len(groups))
        found = paired_difference(change, np.zeros(len(groups)), groups, resamples=400, seed=seed)
        held += found.low <= 0.2 <= found.high
    print(f"difference, {recordings} recordings: {held / 400:.1%} of 400")
    assert held_at_least <= held / 400 <= 0.985


def test_matching_pairs_give_a_narrower_interval_than_shuffled_pairs() -> None:
    random = np.random.default_rng(2)
    hard = random.random(300)
    a, b = hard < 0.8, hard < 0.7
    groups = np.arange(300) // 2
    paired = paired_difference(a, b, groups)
    shuffled = paired_difference(a, random.permutation(b), groups)
    assert paired.value == pytest.approx(shuffled.value)
    assert paired.high - paired.low < 0.7 * (shuffled.high - shuffled.low)
    assert paired.low > 0


def test_difference_to_itself_is_zero() -> None:
    a = np.random.default_rng(0).random(30) < 0.5
    assert paired_difference(a, a) == Interval(0.0, 0.0, 0.0, 30)


# devices


def test_macro_counts_each_device_the_same() -> None:
    correct = np.concatenate([hits(90, 100), hits(5, 10)])
    devices = ["A"] * 100 + ["B"] * 10
    macro, differences = device_contrasts(correct, devices, reference="A")
    assert macro.value == pytest.approx(0.7)
    assert macro.n == 110
    assert differences["B"].value == pytest.approx(-0.4)
    assert macro.low < 0.7 < macro.high


def test_differences_of_devices_that_recorded_the_same_moment_are_paired() -> None:
    random = np.random.default_rng(4)
    hard = random.random(200)
    correct = np.concatenate([hard < 0.8, hard < 0.65])
    devices = np.repeat(["A", "B"], 200)
    together = device_contrasts(correct, devices, np.tile(np.arange(200), 2), reference="A")[1]
    apart = device_contrasts(correct, devices, np.arange(400), reference="A")[1]
    paired = paired_difference(hard < 0.65, hard < 0.8, np.arange(200))
    assert together["B"].value == pytest.approx(paired.value)
    assert together["B"].high - together["B"].low == pytest.approx(
        paired.high - paired.low, rel=0.1
    )
    assert together["B"].high - together["B"].low < 0.8 * (apart["B"].high - apart["B"].low)


def test_a_device_of_few_recordings_gives_no_nan() -> None:
    correct = np.append(hits(80, 100), [True, False])
    devices = ["A"] * 100 + ["B"] * 2
    macro, differences = device_contrasts(correct, devices, [*range(100), 7, 7], reference="A")
    assert np.isfinite([macro.low, macro.high, differences["B"].low, differences["B"].high]).all()


# probabilities


def test_the_log_loss_of_a_certain_answer_is_0_without_a_sign() -> None:
    assert not np.signbit(log_losses([[1.0, 0.0]], [0])).any()


def test_scores_equal_sklearn() -> None:
    p, t = some_probabilities()
    assert log_loss(p, t) == pytest.approx(sklearn_metrics.log_loss(t, p, labels=range(5)))
    theirs = sklearn_metrics.brier_score_loss(t, p, labels=range(5), scale_by_half=False)
    assert brier_score(p, t) == pytest.approx(theirs)


def test_scores_of_certainty_and_of_a_uniform_guess() -> None:
    certain = np.eye(4)
    assert log_losses(certain, [0, 1, 2, 3]).tolist() == [0.0] * 4
    assert log_loss(certain, [1, 2, 3, 0]) == pytest.approx(-np.log(1e-7))
    assert brier_scores(certain, [0, 2, 2, 3]).tolist() == [0, 2, 0, 0]
    assert log_loss(np.full((3, 4), 0.25), [0, 1, 2]) == pytest.approx(np.log(4))
    assert brier_score(np.full((3, 4), 0.25), [0, 1, 2]) == pytest.approx(0.75)


def test_calibration_error_worked_by_hand() -> None:
    # 4 clips sure to 0.8, 3 of them right; 2 clips sure to 0.6, both right
    p = np.array([[0.8, 0.2]] * 4 + [[0.6, 0.4]] * 2)
    expected = 4 / 6 * 0.05 + 2 / 6 * 0.4
    assert expected_calibration_error(p, np.array([0, 0, 0, 1, 0, 0])) == pytest.approx(expected)


def test_calibration_error_equals_torchmetrics() -> None:
    p, t = some_probabilities(500)
    p[:3] = np.eye(5)[:3]  # sure to exactly 1
    p[3, :2], p[3, 2:] = (0.6, 0.4), 0.0  # on the edge of a bin
    theirs = multiclass_calibration_error(
        torch.from_numpy(p), torch.from_numpy(t), num_classes=5, n_bins=BINS, norm="l1"
    )
    # torchmetrics sums in float32
    assert expected_calibration_error(p, t) == pytest.approx(float(theirs), abs=1e-7)


def test_calibration_bins_hold_their_lower_edge() -> None:
    assert calibration_bins([0.0, 0.2, 0.39, 0.4, 0.999, 1.0]).tolist() == [0, 3, 5, 6, 14, 15]


def test_intervals_of_scores_hold_their_values() -> None:
    p, t = some_probabilities(120)
    scores = probability_scores(p, t, np.arange(120) // 3)
    assert scores["log_loss"].value == log_loss(p, t)
    assert scores["brier_score"].value == brier_score(p, t)
    assert scores["expected_calibration_error"].value == expected_calibration_error(p, t)
    for score in scores.values():
        assert 0 <= score.low < score.value < score.high
        assert score.n == 120


def test_confusion_matrix_equals_sklearn() -> None:
    p, t = some_probabilities()
    theirs = sklearn_metrics.confusion_matrix(t, p.argmax(axis=1), labels=range(6))
    np.testing.assert_array_equal(confusion_matrix(t, p.argmax(axis=1), classes=6), theirs)


# what is refused


@pytest.mark.parametrize(
    ("probabilities", "targets", "said"),
    [
        ([[0.5, np.nan]], [0], "of the only clip are not finite"),
        ([[0.5, 0.6]], [0], r"row sums in \[1.1, 1.1\]"),
        ([[1.5, -0.5]], [0], "softmax"),
        (np.zeros((0, 3)), [], r"\(0, 3\)"),
        ([[0.5, 0.5]], [2], "0 to 1"),
        ([[0.5, 0.5]] * 2, [0, 2], "0 to 1"),
        ([[0.5, 0.5]] * 2, [1, -1], "0 to 1"),
        ([[0.5, 0.5]], [0.5], "float64"),
        ([[0.5, 0.5]], [0, 1], r"\(2,\)"),
        ([[1.0], [1.0]], [0, 0], "two classes"),
    ],
)
def test_every_score_refuses_invalid_probabilities(
    probabilities: ArrayLike, targets: list[float], said: str
) -> None:
    numbers = np.array(targets, dtype=None if len(targets) else int)
    scores: list[Callable[[ArrayLike, ArrayLike], object]] = [
        log_loss,
        brier_score,
        expected_calibration_error,
        probability_scores,
    ]
    for score in scores:
        with pytest.raises(MetricError, match=said):
            score(np.array(probabilities), numbers)


@pytest.mark.parametrize(
    ("correct", "groups", "said"),
    [
        ([], None, "at least one clip"),
        ([1.0, np.nan], None, "1 of 2 values that is not finite"),
        ([1, 2], None, "between 1 and 2"),
        ([1, 0], ["a"], "one group for each of 2"),
        ([1, 0], ["a", None], "1 of 2 clips has no group"),
        ([1, 0], [1.0, np.nan], "1 of 2 clips has no group"),
    ],
)
def test_accuracy_refuses_invalid_outcomes(
    correct: list[float], groups: list[Any] | None, said: str
) -> None:
    with pytest.raises(MetricError, match=said):
        accuracy(correct, groups)


def test_one_recording_has_no_bootstrap_interval() -> None:
    with pytest.raises(MetricError, match="two recordings"):
        bootstrap(lambda rows: 1.0, ["a", "a"])
    with pytest.raises(MetricError, match="two recordings"):
        paired_difference([1, 0], [0, 0], ["a", "a"])


def test_other_refusals() -> None:
    with pytest.raises(MetricError, match="same clips"):
        paired_difference([1, 0], [1])
    with pytest.raises(MetricError, match="neither groups nor n"):
        bootstrap(lambda rows: 1.0, None)
    with pytest.raises(MetricError, match="finite"):
        bootstrap(lambda rows: float("nan"), [1, 2, 3])
    with pytest.raises(MetricError, match="Z among them"):
        device_contrasts([1, 0], ["A", "B"], reference="Z")
    with pytest.raises(MetricError, match=r"2 devices \(A, B\) for 3 clips"):
        device_contrasts([1, 0, 1], ["A", "B"])
    with pytest.raises(MetricError, match=r"2 devices \(none\) for 2 clips"):
        device_contrasts([1, 0], ["", None])
    for targets, predictions in (
        ([0, 2], [0, 1]),
        ([0, 1], [2, 0]),
        ([-1, 1], [0, 1]),
        ([0, 1], [0, -1]),
    ):
        with pytest.raises(MetricError, match="0 to 1"):
            confusion_matrix(targets, predictions, classes=2)


@pytest.mark.parametrize(
    ("targets", "predictions"),
    [([0, 1], [0]), ([], []), ([[0, 1]], [[0, 1]]), ([0.0, 1.0], [0, 1]), ([0, 1], [0.0, 1.0])],
)
def test_a_confusion_matrix_refuses_what_is_no_class_number(
    targets: list[Any], predictions: list[Any]
) -> None:
    with pytest.raises(MetricError, match="class numbers, one of each"):
        confusion_matrix(targets, predictions, classes=2)
