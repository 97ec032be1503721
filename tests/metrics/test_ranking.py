"""MAP@k: hand-made cases, a second implementation, and what its interval promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchmetrics.functional.retrieval import retrieval_average_precision

from anymic.metrics import (
    MetricError,
    accuracy,
    bounded_mean,
    mean_average_precision_at,
    reciprocal_ranks_at,
)


def some_probabilities(
    n: int = 150, classes: int = 7, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.ones(classes), size=n)
    return p, random.integers(classes, size=n)


def test_hand_made_cases() -> None:
    p = np.array([0.4, 0.3, 0.2, 0.1])
    clips = np.stack([p] * 4)
    assert reciprocal_ranks_at(clips, np.arange(4)).tolist() == [1, 1 / 2, 1 / 3, 0]
    assert mean_average_precision_at(clips, np.arange(4)).value == pytest.approx(11 / 24)
    assert mean_average_precision_at(clips, np.arange(4), k=2).value == pytest.approx(3 / 8)


def test_equal_probabilities_rank_by_column() -> None:
    flat = np.full((4, 4), 0.25)
    assert reciprocal_ranks_at(flat, np.arange(4)).tolist() == [1, 1 / 2, 1 / 3, 0]


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_equals_torchmetrics_and_the_definition(k: int) -> None:
    p, t = some_probabilities()
    ours = reciprocal_ranks_at(p, t, k=k)
    truth = np.eye(p.shape[1], dtype=int)[t]
    theirs = [
        float(retrieval_average_precision(torch.tensor(a), torch.tensor(b), top_k=k))
        for a, b in zip(p, truth, strict=True)
    ]
    assert ours == pytest.approx(theirs, abs=1e-6)
    for scores, target, found in zip(p, t, ours, strict=True):
        # Sum over the first k places of precision there x relevance, over min(k, relevant) = 1.
        places = [int(place) == target for place in np.argsort(-scores)[:k]]
        precision = [sum(places[: n + 1]) / (n + 1) for n in range(k)]
        assert found == pytest.approx(sum(a * b for a, b in zip(precision, places, strict=True)))


def test_at_one_it_is_accuracy() -> None:
    p, t = some_probabilities(60)
    groups = np.arange(60) // 3
    assert mean_average_precision_at(p, t, groups, k=1) == accuracy(p.argmax(axis=1) == t, groups)


def test_interval_holds_the_truth_at_least_95_times_in_100() -> None:
    random = np.random.default_rng(3)
    scores = np.array([1, 1 / 2, 1 / 3, 0])
    held = 0
    for _ in range(500):
        # Recordings of four clips that share an ease: easy ones rank high.
        ease = random.beta(3, 1, size=(30, 1))
        rank = (random.random((30, 4)) > ease).astype(int) * random.integers(1, 4, size=(30, 4))
        interval = bounded_mean(scores[rank].ravel(), np.repeat(np.arange(30), 4))
        truth = 0.75 + 0.25 * (1 / 2 + 1 / 3 + 0) / 3
        held += interval.low <= truth <= interval.high
    assert held >= 0.94 * 500


def test_a_few_clips_all_right_are_not_certain() -> None:
    assert bounded_mean(np.ones(8)).low < 0.75
    assert bounded_mean(np.full(8, 0.5), ["one"] * 8).low < bounded_mean(np.full(8, 0.5)).low


def test_rejections() -> None:
    p, t = some_probabilities(10, classes=2)
    with pytest.raises(MetricError, match="2 classes for a mean average precision at 3"):
        mean_average_precision_at(p, t)
    with pytest.raises(MetricError, match="a rank of 1 or more"):
        mean_average_precision_at(p, t, k=0)
    with pytest.raises(MetricError, match="between 0 and 2"):
        bounded_mean([0.0, 2.0])
