"""Calibrated beside soft voting on clips that were in nothing, over ten draws of members."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anymic import metrics
from anymic.bundle.voting import vote
from anymic.calibration import IsotonicCalibrator

LABELS, MEMBERS, VOTERS, DRAWS = 10, 20, 6, 10
DEVELOPMENT, PER_LABEL, TEST = 240, 6, 400  # clips; a member sets 6 of each label aside
SEPARATION = 2.5  # of the labels, in standard deviations of the noise of a clip


def members(
    generator: np.random.Generator, *, confidence: float, own_noise: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return probabilities (member, clip, label) and the labels of the clips.

    A clip is a score for each label: `SEPARATION` for the true one, and noise of 1 that all
    members share. Each member reads it with `own_noise` of its own. For what a member reads, the
    true posterior is softmax(SEPARATION / (1 + own_noise²) scores); its logits are `confidence`
    times these. Above 1 it is overconfident, as networks that are trained long are (Guo et al.
    2017); below 1 underconfident, as those that are trained shortly or with mixup.
    """
    targets = np.arange(DEVELOPMENT + TEST) % LABELS
    clips = SEPARATION * np.eye(LABELS)[targets]
    clips += generator.standard_normal(clips.shape)
    read = clips + own_noise * generator.standard_normal((MEMBERS, *clips.shape))
    e = np.exp(confidence * SEPARATION / (1 + own_noise**2) * read)
    return e / e.sum(axis=2, keepdims=True), targets


def scores(p: NDArray[np.float64], targets: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return log loss, infinite where a true label has probability 0, Brier score and ECE."""
    with np.errstate(divide="ignore"):
        loss = float(-np.log(p[np.arange(len(targets)), targets]).mean())
    return (
        loss,
        metrics.brier_score(p, targets),
        metrics.expected_calibration_error(p, targets),
    )


def draws(seed: int, *, confidence: float, own_noise: float) -> dict[str, NDArray[np.float64]]:
    """Return the scores (draw, score) of each voting, of six members drawn ten times."""
    generator = np.random.default_rng(seed)
    p, targets = members(generator, confidence=confidence, own_noise=own_noise)
    kept = [
        np.concatenate(
            [
                generator.choice(np.arange(label, DEVELOPMENT, LABELS), PER_LABEL, replace=False)
                for label in range(LABELS)
            ]
        )
        for _ in range(MEMBERS)
    ]
    test, known = p[:, DEVELOPMENT:], targets[DEVELOPMENT:]
    drawn = [generator.choice(MEMBERS, VOTERS, replace=False) for _ in range(DRAWS)]
    found = {"soft": np.array([scores(vote(test[one], "soft"), known) for one in drawn])}
    for name, smoothing in (("calibrated", True), ("plain steps", False)):
        fitted = [
            IsotonicCalibrator(smoothing=smoothing).fit(own[clips], targets[clips])
            for own, clips in zip(p, kept, strict=True)
        ]
        voted = [vote(test[one], "calibrated", [fitted[member] for member in one]) for one in drawn]
        found[name] = np.array([scores(each, known) for each in voted])
    return found


@pytest.mark.parametrize(
    "errors",
    [{"confidence": 0.5, "own_noise": 1.0}, {"confidence": 3.0, "own_noise": 0.3}],
    ids=["underconfident", "overconfident, with shared errors"],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_calibrated_voting_is_better_than_soft_voting(seed: int, errors: dict[str, float]) -> None:
    """In log loss, Brier score and calibration error, in at least eight of ten draws.

    Soft voting does not remove what the members share: too little confidence, or errors that all
    of them are too sure of. Plain steps of 60 clips give some true labels the probability 0.
    """
    found = draws(seed, **errors)
    assert np.isfinite(found["calibrated"]).all()
    assert ((found["calibrated"] < found["soft"]).sum(axis=0) >= 8).all()
    assert np.isinf(found["plain steps"][:, 0]).any()


def test_soft_voting_is_better_where_each_member_has_errors_of_its_own() -> None:
    """The mean over overconfident members is then nearly calibrated already."""
    found = draws(0, confidence=2.0, own_noise=1.0)
    assert ((found["soft"] < found["calibrated"]).sum(axis=0) >= 8).all()
