"""The resamples and percentiles that all intervals are made of, by their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from anymic.metrics.intervals import (
    MetricError,
    bootstrap,
    bounded_mean,
    design_effect,
    paired_difference,
    percentile_interval,
    resampled_counts,
    resampled_mean,
    resampled_totals,
)

GRID = np.linspace(0.0, 1.0, 100_001)  # its quantile q is q


@pytest.mark.parametrize("groups", [2, 5, 40])
def test_percentiles_are_those_of_student_for_so_many_groups(groups: int) -> None:
    reach = np.sqrt(groups / (groups - 1)) * stats.t.ppf(0.975, groups - 1)
    found = percentile_interval(0.5, GRID, groups=groups, n=7)
    assert (found.low, found.high) == pytest.approx((stats.norm.cdf(-reach), stats.norm.cdf(reach)))
    assert (found.value, found.n) == (0.5, 7)


def test_centred_percentiles_stand_around_the_value_and_ignore_empty_resamples() -> None:
    plain = percentile_interval(0.5, GRID, groups=9, n=9)
    moved = percentile_interval(0.1, np.append(GRID, np.nan), groups=9, n=9, centred=True)
    assert (moved.low, moved.high) == pytest.approx((plain.low - 0.4, plain.high - 0.4))
    beside = percentile_interval(2.0, GRID, groups=9, n=9)  # an interval holds its value
    assert (beside.low, beside.high) == pytest.approx((plain.low, 2.0))


@pytest.mark.parametrize("groups", [3, 5000])
def test_every_resample_draws_as_many_groups_as_there_are(groups: int) -> None:
    """5000 groups are drawn in several blocks."""
    totals = resampled_totals(np.ones((groups, 1)), resamples=900)
    assert totals.tolist() == [[groups]] * 900


def test_blocks_that_fit_into_the_memory_hold_the_same_resamples() -> None:
    whole = np.concatenate(list(resampled_counts(30, 50, seed=1)))
    blocks = list(resampled_counts(30, 50, seed=1, rows=500_000))
    assert max(len(block) for block in blocks) == 4  # 2,000,000 numbers
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert (whole.sum(axis=1) == 30).all()


def test_the_mean_of_resamples_has_the_spread_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(size=400)
    found = resampled_mean(values, resamples=4000)
    half = stats.norm.ppf(0.975) * values.std() / 20
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.01
    )


@pytest.mark.parametrize("values", [[-0.5, 0.5], [0.5, 1.5]])
def test_values_outside_0_to_1_have_no_bounded_interval(values: list[float]) -> None:
    for measure in (bounded_mean, design_effect):
        with pytest.raises(MetricError, match="numbers from 0 to 1"):
            measure(values)


def test_without_a_seed_resamples_are_those_of_seed_0() -> None:
    values = np.random.default_rng(1).normal(size=30)

    def mean(rows: np.ndarray) -> float:
        return float(values[rows].mean())

    assert resampled_mean(values) == resampled_mean(values, seed=0)
    assert paired_difference(values, 0 * values) == paired_difference(values, 0 * values, seed=0)
    assert bootstrap(mean, None, n=30) == bootstrap(mean, None, n=30, seed=0)
    for draw in (resampled_counts, lambda n, **seed: [resampled_totals(np.eye(n), **seed)]):
        np.testing.assert_array_equal(next(iter(draw(30))), next(iter(draw(30, seed=0))))


def test_no_resample_and_no_group_are_refused() -> None:
    for groups, resamples in ((0, 10), (10, 0)):
        with pytest.raises(MetricError, match="at least 1 of each"):
            list(resampled_counts(groups, resamples))
    assert len(next(resampled_counts(1, 1))) == 1
