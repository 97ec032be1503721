"""Scores of several labels a clip, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, log_loss

from anymic.calibration import CalibrationError, best_thresholds
from anymic.metrics import MetricError, f1_intervals, precision_intervals, score_all
from anymic.metrics.intervals import bootstrap
from anymic.metrics.several import (
    _weighted,
    average_precisions,
    binary_log_losses,
    mean_average_precision,
    precision_difference,
)


def example(clips: int = 80, labels: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores with ties, labels that some clips have, and recordings of two clips each."""
    generator = np.random.default_rng(3)
    has = (generator.random((clips, labels)) < 0.3).astype(np.int64)
    scores = np.round(np.clip(0.4 * has + generator.random((clips, labels)) * 0.6, 0, 1), 2)
    return scores, has, np.arange(clips) // 2


def test_average_precision_is_that_of_scikit_learn() -> None:
    p, y, _ = example()
    expected = average_precision_score(y, p, average=None)
    np.testing.assert_allclose(average_precisions(p, y), expected)
    assert mean_average_precision(p, y) == pytest.approx(average_precision_score(y, p))


def test_a_label_that_no_clip_has_is_left_out() -> None:
    p, y, _ = example()
    y[:, 1] = 0
    kept = [0, 2, 3]
    expected = average_precision_score(y[:, kept], p[:, kept])
    assert mean_average_precision(p, y) == pytest.approx(expected)
    mean, each = precision_intervals(p, y)
    assert mean is not None
    assert each[1] is None
    assert mean.value == pytest.approx(expected)
    with pytest.raises(MetricError, match="No clip has a label"):
        mean_average_precision(p, np.zeros_like(y))


def test_a_resample_counts_clips_as_scikit_learns_weights() -> None:
    p, y, _ = example()
    weights = np.random.default_rng(0).poisson(1.0, (5, len(p)))
    y[p[:, 0].argmin(), 0] = 1  # a clip that has the label, below all others
    for label in range(y.shape[1]):
        found = _weighted(p[:, label], y[:, label], weights)
        expected = [
            average_precision_score(y[:, label], p[:, label], sample_weight=w) for w in weights
        ]
        np.testing.assert_allclose(found, expected)


def test_intervals_hold_the_value_and_widen_for_recordings_of_several_clips() -> None:
    p, y, groups = example()
    p, y, groups = np.repeat(p, 3, axis=0), np.repeat(y, 3, axis=0), np.repeat(groups, 3)
    for intervals, first in ((precision_intervals, p), (f1_intervals, p >= 0.5)):
        alone, each = intervals(first, y)
        together, _ = intervals(first, y, groups)
        assert alone is not None
        assert together is not None
        assert together.low < alone.low < alone.value < alone.high < together.high
        assert all(one is not None and one.low <= one.value <= one.high for one in each)
        assert intervals(first, y, groups) == intervals(first, y, groups)  # seeded
        whole, _ = intervals(first, y, np.zeros(len(y)))  # a single recording has no interval
        assert whole is not None
        assert np.isnan(whole.low)


def test_f1_is_that_of_scikit_learn() -> None:
    p, y, _ = example()
    mean, each = f1_intervals(p >= 0.5, y)
    assert mean is not None
    assert mean.value == pytest.approx(f1_score(y, p >= 0.5, average="macro"))
    found = [one.value for one in each if one is not None]
    np.testing.assert_allclose(found, f1_score(y, p >= 0.5, average=None))


def test_n_is_the_number_of_clips_that_have_the_label() -> None:
    p, y, groups = example()
    y[:, 2] = 0
    for intervals, first in ((precision_intervals, p), (f1_intervals, p >= 0.5)):
        for recordings in (groups, np.zeros(len(y))):
            mean, each = intervals(first, y, recordings)
            assert mean is not None
            assert mean.n == len(y)
            assert [one.n if one else 0 for one in each] == y.sum(axis=0).tolist()
        two, _ = intervals(first, y, np.arange(len(y)) % 2)  # the fewest with an interval
        assert two is not None
        assert two.low < two.value < two.high
        assert intervals(first, np.zeros_like(y), groups) == (None, [None] * 4)


def test_the_log_loss_of_labels_is_that_of_scikit_learn() -> None:
    p, y, _ = example()
    p[:2] = [[0.0] * 4, [1.0] * 4]
    expected = [
        np.mean([log_loss([has], [score], labels=[0, 1]) for has, score in zip(*row, strict=True)])
        for row in zip(y, np.clip(p, 1e-7, 1 - 1e-7), strict=True)
    ]
    np.testing.assert_allclose(binary_log_losses(p, y), expected, atol=1e-6)


def test_registered_metrics_are_those_of_the_kind_of_targets() -> None:
    p, y, groups = example()
    assert set(score_all(p, y, groups)) == {"mean_average_precision", "binary_log_loss"}
    one = p / p.sum(axis=1, keepdims=True)
    assert "mean_average_precision" not in score_all(one, y.argmax(axis=1), groups)


def test_the_interval_of_a_difference_is_that_of_scores_of_the_same_resamples() -> None:
    p, y, groups = example()
    other = np.clip(p + np.random.default_rng(1).normal(0, 0.1, p.shape), 0, 1)

    def difference(rows: np.ndarray) -> float:
        each = (average_precision_score(y[rows], scores[rows]) for scores in (p, other))
        return float(next(each) - next(each))

    found = precision_difference(p, other, y, groups, resamples=200)
    expected = bootstrap(difference, groups, resamples=200)
    np.testing.assert_allclose(
        [found.value, found.low, found.high], [expected.value, expected.low, expected.high]
    )
    assert precision_difference(p, p, y, groups).high == 0


def test_thresholds_have_the_largest_f1_of_all() -> None:
    p, y, _ = example()
    found = best_thresholds(p, y)
    assert all(found.chosen)
    for label, threshold in enumerate(found.values):
        own = f1_score(y[:, label], p[:, label] >= threshold)
        others = [f1_score(y[:, label], p[:, label] >= other) for other in np.unique(p[:, label])]
        assert own == pytest.approx(max(others))
        assert threshold not in p[:, label]  # between two scores, so that rounding decides nothing


def test_labels_with_too_few_clips_keep_the_usual_threshold() -> None:
    p, y, _ = example()
    y[:, 0], y[4:, 1], y[5:, 2], y[:5, 2] = 1, 0, 0, 1  # all have it, 4 at most have it, 5 have it
    found = best_thresholds(p, y)
    assert found.chosen == (False, False, True, True)
    assert found.values[:2] == (0.5, 0.5)
    assert best_thresholds(np.empty((0, 2)), np.empty((0, 2))).values == (0.5, 0.5)


@pytest.mark.parametrize(
    ("p", "y"),
    [([[0.5]], [[2]]), ([[0.5]], [[0, 1]]), ([[np.nan]], [[1]]), ([[0.5, np.nan]], [[1, 0]])],
)
def test_arrays_that_do_not_fit_are_refused(p: list[list[float]], y: list[list[int]]) -> None:
    with pytest.raises(MetricError):
        mean_average_precision(p, y)
    with pytest.raises(CalibrationError):
        best_thresholds(p, y)
