"""Logistic regression on embeddings; cross-validation chooses its regularization."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anymic.data.folds import divide_groups

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # scikit-learn's C, on standardized features
USUAL = 0.1  # where recordings are too few to compare
FOLDS = 4
MOST_CLIPS = 4000  # that compare the strengths
MOST_STEPS = 300
SMALLEST_SCALE = 1e-3  # of the largest: a feature that varies less is not enlarged

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Logistic:
    """A linear classifier of standardized features: weight @ (vector - mean) / scale + bias.

    Attributes
    ----------
    mean, scale : array (feature,)
    weight : array (class, feature)
    bias : array (class,)
    strength : float
        scikit-learn's C: the inverse of the regularization.
    losses : dict of float to float
        The cross-validated log-loss of each strength; empty where none were compared.
    accuracy : float or None
        Cross-validated, with the strength that was chosen.
    folds : int
        In which the strengths were compared; 0 where none were.
    """

    mean: Floats
    scale: Floats
    weight: Floats
    bias: Floats
    strength: float
    losses: dict[float, float]
    accuracy: float | None
    folds: int

    def logits(self, vectors: NDArray[np.floating]) -> Floats:
        """Return logits (clip, class) of vectors (clip, feature)."""
        standardized = (np.asarray(vectors, dtype=np.float64) - self.mean) / self.scale
        return np.asarray(standardized @ self.weight.T + self.bias)


def fit_logistic(
    vectors: NDArray[np.floating],
    targets: NDArray[np.integer] | NDArray[np.floating],
    groups: Sequence[str],
    *,
    weights: NDArray[np.floating] | None = None,
    copies: NDArray[np.bool_] | None = None,
    strengths: Sequence[float] = STRENGTHS,
    scaling: Literal["each", "common"] = "each",
    seed: int = 0,
) -> Logistic:
    """Fit logistic regression with the regularization of the least cross-validated log-loss.

    The folds divide groups, stratified by class as far as groups allow. There are at most four, and
    no more than the rarest class, or the most frequent of independent labels, has groups. If that
    is one, C is 0.1. Of more than 4,000 examples, those of random groups are compared.

    Parameters
    ----------
    vectors : array (example, feature)
    targets : array (example,) of classes 0 to n - 1, or (example, class) of 0 and 1
        Exclusive classes (softmax), or independent labels (one against the rest).
    groups : sequence of str
        The recording of each example.
    weights : array (example,), optional
        Of the examples.
    copies : array (example,) of bool, optional
        Examples that do not count in the cross-validated accuracy. Those of one recording are in
        one fold, because its group is theirs.
    strengths : sequence of float
        The values of C to compare, ascending; a single value is used as it is.
    scaling : {"each", "common"}
        Divide each feature by its standard deviation, or all by the mean of these: features that
        have one unit, as embeddings do, then keep their relative weight.
    seed : int
        Of the folds.
    """
    wanted = np.ones(len(vectors)) if weights is None else np.asarray(weights, dtype=np.float64)
    data = _Data(np.asarray(vectors, dtype=np.float64), targets, wanted / wanted.mean(), scaling)
    scored = np.ones(len(vectors), dtype=bool) if copies is None else ~copies
    compared: dict[float, float] = {}
    right, count, own_count, folds = dict.fromkeys(strengths, 0.0), 0.0, 0.0, 0
    divided = _folds(data, np.asarray(groups), seed) if len(strengths) > 1 else ()
    for training, held_out in divided:
        folds += 1
        part, rest = data.rows(training), data.rows(held_out)
        own_weights = rest.weights * scored[held_out]
        count += float(rest.weights.sum())
        own_count += float(own_weights.sum())
        for strength, found in zip(strengths, _path(part, strengths), strict=True):
            losses_of, right_of = rest.measure(found.logits(rest.vectors))
            compared[strength] = compared.get(strength, 0.0) + float(rest.weights @ losses_of)
            right[strength] += float(own_weights @ right_of)
    losses = {strength: loss / count for strength, loss in compared.items()}
    unknown = USUAL if len(strengths) > 1 else strengths[0]
    best = min(losses, key=losses.__getitem__) if losses else unknown
    (found,) = _path(data, [best])
    accuracy = right[best] / own_count if losses else None
    return Logistic(
        found.mean, found.scale, found.weight, found.bias, best, losses, accuracy, folds
    )


@dataclass(frozen=True, eq=False)
class _Data:
    vectors: Floats
    targets: NDArray[np.integer] | NDArray[np.floating]
    weights: Floats
    scaling: str

    @property
    def classes(self) -> int:
        return int(self.targets.max()) + 1 if self.targets.ndim == 1 else self.targets.shape[1]

    def rows(self, chosen: NDArray[np.int64]) -> _Data:
        return _Data(self.vectors[chosen], self.targets[chosen], self.weights[chosen], self.scaling)

    def measure(self, logits: Floats) -> tuple[Floats, Floats]:
        """Return the log-loss (example,) and the share of correct answers (example,)."""
        if self.targets.ndim == 1:
            shifted = logits - logits.max(axis=1, keepdims=True)
            log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            loss = -log_p[np.arange(len(logits)), self.targets.astype(np.int64)]
            right = logits.argmax(axis=1) == self.targets
        else:
            loss = (np.logaddexp(0.0, logits) - self.targets * logits).sum(axis=1)
            right = ((logits > 0) == (self.targets > 0.5)).mean(axis=1)
        return np.asarray(loss), np.asarray(right, dtype=np.float64)


def _folds(
    data: _Data, groups: NDArray[np.str_], seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the rows that train and those held out; nothing if there are too few groups."""
    exclusive = data.targets.ndim == 1
    has = np.eye(data.classes, dtype=np.int64)[data.targets] if exclusive else data.targets > 0
    kept = np.arange(len(groups))
    if len(groups) > MOST_CLIPS:
        order = np.random.default_rng(seed).permutation(np.unique(groups))
        sizes = np.unique(groups, return_counts=True)
        size_of = dict(zip(sizes[0].tolist(), sizes[1].tolist(), strict=True))
        total = np.cumsum([size_of[name] for name in order.tolist()])
        kept = np.flatnonzero(np.isin(groups, order[: max(1, int((total <= MOST_CLIPS).sum()))]))
    own, there = groups[kept], np.asarray(has[kept], dtype=np.int64)
    counts = [len(np.unique(own[column > 0])) for column in there.T if column.any()]
    # A label that no clip of a part has loses the same with every strength.
    folds = min(FOLDS, min(counts) if exclusive else max(counts))
    if folds < 2:
        return
    numbers = divide_groups(there, own.tolist(), folds, seed=seed)
    for number in range(1, folds + 1):
        yield kept[numbers != number], kept[numbers == number]


def _path(data: _Data, strengths: Sequence[float]) -> Iterator[Logistic]:
    """Yield the classifier of each strength; each begins where the one before it ended."""
    mean = np.average(data.vectors, axis=0, weights=data.weights)
    scale = np.sqrt(np.average((data.vectors - mean) ** 2, axis=0, weights=data.weights))
    if data.scaling == "common":
        scale = np.full_like(scale, scale.mean())
    scale = np.maximum(scale, SMALLEST_SCALE * max(float(scale.max()), SMALLEST_SCALE))
    standardized = (data.vectors - mean) / scale
    columns = [data.targets] if data.targets.ndim == 1 else list(data.targets.T.astype(np.int64))
    models = [_Column(standardized, each, data.weights) for each in columns]
    exclusive = data.targets.ndim == 1
    for strength in strengths:
        parts = [one.fit(strength, data.classes if exclusive else 1) for one in models]
        weight = np.concatenate([weight for weight, _ in parts])
        bias = np.concatenate([bias for _, bias in parts])
        yield Logistic(mean, scale, weight, bias, strength, {}, None, 0)


class _Column:
    """scikit-learn's logistic regression of one target; an absent class has probability 0."""

    ABSENT = -10.0  # the logit of a class without an example

    def __init__(self, vectors: Floats, target: NDArray[np.generic], weights: Floats) -> None:
        from sklearn.linear_model import LogisticRegression

        self.vectors, self.target, self.weights = vectors, target.astype(np.int64), weights
        self.there = np.unique(self.target)
        self.model = LogisticRegression(max_iter=MOST_STEPS, tol=1e-3, warm_start=True)

    def fit(self, strength: float, classes: int) -> tuple[Floats, Floats]:
        """Return the weight (class, feature) and bias (class,); one row for a single label."""
        width = self.vectors.shape[1]
        weight, bias = np.zeros((classes, width)), np.full(classes, self.ABSENT)
        if len(self.there) == 1:
            return weight, np.full(classes, self.ABSENT * (-1 if self.there[0] else 1))
        self.model.C = strength
        with warnings.catch_warnings():  # of more steps, which no longer change the results
            warnings.simplefilter("ignore")
            self.model.fit(self.vectors, self.target, sample_weight=self.weights)
        found, own = self.model.coef_, self.model.intercept_
        if classes == 1:
            return found, own
        if len(found) == 1:  # of two classes: the second against the first
            found, own = np.concatenate([0 * found, found]), np.concatenate([0 * own, own])
        weight[self.there], bias[self.there] = found, own
        return weight, bias
