"""Logistic regression on embeddings, against scikit-learn's own, and its choice of C."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from anymic.training.logistic import STRENGTHS, USUAL, fit_logistic

Arrays = tuple[NDArray[np.float64], NDArray[np.int64], list[str]]


def drawn(*, classes: int = 3, clips: int = 60, spread: float = 1.5, width: int = 12) -> Arrays:
    """Return vectors around a centre for each class, their classes, and groups of two."""
    generator = np.random.default_rng(4)
    targets = np.repeat(np.arange(classes), clips // classes)
    centres = generator.normal(size=(classes, width))
    vectors = centres[targets] + spread * generator.normal(size=(len(targets), width))
    return 5 + 3 * vectors, targets, [f"g{number // 2}" for number in range(len(targets))]


@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_scikit_learns_regression_on_standardized_vectors(classes: int) -> None:
    vectors, targets, groups = drawn(classes=classes)
    found = fit_logistic(vectors, targets, groups)
    scaled = StandardScaler().fit_transform(vectors)
    theirs = LogisticRegression(C=found.strength, max_iter=1000).fit(scaled, targets)
    logits = found.logits(vectors)
    own = np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])
    np.testing.assert_allclose(own, theirs.predict_proba(scaled), atol=2e-2)
    assert set(found.losses) == set(STRENGTHS)
    assert found.losses[found.strength] == min(found.losses.values())


def test_one_scale_for_all_features_keeps_their_relative_weight() -> None:
    vectors, targets, groups = drawn()
    found = fit_logistic(vectors, targets, groups, scaling="common")
    np.testing.assert_allclose(found.scale, vectors.std(axis=0).mean())
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
    other = fit_logistic(vectors @ turned, targets, groups, scaling="common", strengths=[0.1])
    own = fit_logistic(vectors, targets, groups, scaling="common", strengths=[0.1])
    ratio = other.scale[0] / own.scale[0]  # nearly 1: the directions then play no part
    assert ratio == pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(other.logits(vectors @ turned), own.logits(vectors), atol=0.3)


def test_noise_is_regularized_more_than_what_separates_the_classes() -> None:
    noisy, clear = (fit_logistic(*drawn(spread=spread)).strength for spread in (6.0, 0.3))
    assert noisy < clear


def test_groups_are_not_divided_between_folds() -> None:
    """Copies of a clip would let a nearly unregularized classifier win."""
    vectors, targets, _ = drawn(spread=6.0, clips=30)
    copies = np.repeat(vectors, 4, axis=0), np.repeat(targets, 4)
    together = [f"g{number // 4}" for number in range(len(copies[0]))]
    apart = [f"g{number}" for number in range(len(copies[0]))]
    honest, leaking = (fit_logistic(*copies, groups) for groups in (together, apart))
    assert honest.strength < leaking.strength
    assert honest.accuracy is not None
    assert leaking.accuracy is not None
    assert honest.accuracy < leaking.accuracy


def test_weights_are_as_many_copies() -> None:
    vectors, targets, groups = drawn()
    weights = np.where(np.arange(len(targets)) % 3, 1.0, 2.0)
    weighted = fit_logistic(vectors, targets, groups, weights=weights, strengths=[0.1])
    times = weights.astype(int)
    copied = fit_logistic(
        np.repeat(vectors, times, axis=0),
        np.repeat(targets, times),
        np.repeat(groups, times).tolist(),
        strengths=[0.1],
    )
    np.testing.assert_allclose(weighted.mean, copied.mean)
    np.testing.assert_allclose(weighted.scale, copied.scale)


def test_copies_train_and_do_not_count_in_the_accuracy() -> None:
    vectors, targets, groups = drawn()
    noisy = vectors + np.random.default_rng(8).normal(scale=9.0, size=vectors.shape)
    both = np.concatenate([vectors, noisy]), np.concatenate([targets, targets]), [*groups, *groups]
    copies = np.arange(2 * len(targets)) >= len(targets)
    all_of_them, clips, others = (
        fit_logistic(*both, copies=marked) for marked in (None, copies, ~copies)
    )
    np.testing.assert_array_equal(clips.weight, all_of_them.weight)
    assert clips.accuracy is not None
    assert others.accuracy is not None
    assert clips.accuracy > others.accuracy + 0.1
    assert all_of_them.accuracy == pytest.approx((clips.accuracy + others.accuracy) / 2)


def test_one_recording_of_a_class_leaves_nothing_to_compare() -> None:
    vectors, targets, groups = drawn()
    groups = ["one" if target == 0 else name for target, name in zip(targets, groups, strict=True)]
    found = fit_logistic(vectors, targets, groups)
    assert (found.strength, found.losses, found.accuracy, found.folds) == (USUAL, {}, None, 0)


def test_several_labels_are_fitted_one_against_the_rest() -> None:
    vectors, targets, groups = drawn()
    several = np.stack([targets == 0, targets != 1, np.zeros_like(targets)], axis=1).astype(float)
    found = fit_logistic(vectors, several, groups, strengths=[0.1])
    scaled = StandardScaler().fit_transform(vectors)
    for label in range(2):
        theirs = LogisticRegression(C=found.strength, max_iter=1000).fit(scaled, several[:, label])
        own = 1 / (1 + np.exp(-found.logits(vectors)[:, label]))
        np.testing.assert_allclose(own, theirs.predict_proba(scaled)[:, 1], atol=1e-2)
    assert (found.logits(vectors)[:, 2] < -5).all()  # of no clip
