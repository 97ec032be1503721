"""Votes of several models."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gmean

from anymic.bundle.voting import Voting, vote
from anymic.calibration import IsotonicCalibrator
from anymic.errors import ConfigError


def members(count: int = 5, clips: int = 30) -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(3), (count, clips))


def test_soft_voting_is_the_mean() -> None:
    p = members()
    np.testing.assert_array_equal(vote(p, "soft"), p.mean(axis=0))


def test_geometric_voting_is_scipys_geometric_mean() -> None:
    p = members()
    wanted = gmean(p, axis=0)
    wanted /= wanted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(vote(p, "geometric"), wanted, rtol=1e-10)


def test_a_zero_everywhere_is_no_nan() -> None:
    p = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    np.testing.assert_allclose(vote(p, "geometric"), [[0.5, 0.5]])


def test_calibrated_voting_is_the_mean_of_the_calibrated() -> None:
    p = members()
    t = np.random.default_rng(1).integers(0, 3, p.shape[1])
    each = [IsotonicCalibrator().fit(own, t) for own in p]
    wanted = np.mean([one.transform(own) for one, own in zip(each, p, strict=True)], axis=0)
    np.testing.assert_allclose(vote(p, "calibrated", each), wanted)


@pytest.mark.parametrize("voting", ["soft", "geometric"])
def test_one_member_alone_decides(voting: Voting) -> None:
    p = members(1)
    np.testing.assert_allclose(vote(p, voting), p[0], rtol=1e-10)


def test_refusals() -> None:
    p = members()
    with pytest.raises(
        ConfigError, match=r"voting 'hard'\. Expected soft, calibrated or geometric"
    ):
        vote(p, "hard")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"0 calibrators for 5 members\. Expected one for each"):
        vote(p, "calibrated")
    with pytest.raises(ConfigError, match=r"shape \(30, 3\)\. Expected \(member, clip, label\)"):
        vote(p[0], "soft")
