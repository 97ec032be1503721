"""A metric of the user's stands in every report beside the built-in ones, with its interval."""

from __future__ import annotations

import numpy as np
import pytest

import anymic
from anymic.evaluation.report import evaluate
from anymic.evaluation.report.cells import estimate
from anymic.evaluation.report.tables import device_table
from anymic.metrics import MetricError, metric_named

GENERATOR = np.random.default_rng(4)
P = GENERATOR.dirichlet(np.ones(3), 60)
T = GENERATOR.integers(0, 3, 60)
DEVICES = ["A", "B"] * 30
GROUPS = np.repeat(np.arange(20), 3)
LABELS = ("x", "y", "z")


def test_a_share_of_each_clip_is_reported_and_shown() -> None:
    @anymic.register_metric("top_two", title="top 2", unit="share", per_clip=True)
    def top_two(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
        best = np.argsort(-probabilities, axis=1)[:, :2]
        found: np.ndarray = (best == targets[:, None]).any(axis=1)
        return found

    rows = evaluate(P, T, labels=LABELS, devices=DEVICES, groups=GROUPS)
    own = {row.condition.get("device", ""): row for row in rows if row.metric == "top_two"}
    assert set(own) == {"", "A", "B"}
    assert own[""].value == top_two(P, T).mean()
    assert own[""].low is not None
    assert own[""].high is not None
    assert own[""].low < own[""].value < own[""].high
    assert estimate(own[""]) == f"{100 * own[''].value:.1f} %"
    table = device_table(rows)
    assert "top 2" in table.columns
    assert table.rows[-1][table.columns.index("top 2")] == estimate(own[""])


def test_one_number_for_all_clips_has_an_interval_over_recordings() -> None:
    @anymic.register_metric("surprise", better="lower")
    def surprise(probabilities: np.ndarray, targets: np.ndarray) -> float:
        return float(-np.log(probabilities[np.arange(len(targets)), targets]).mean())

    rows = {row.metric: row for row in evaluate(P, T, labels=LABELS, groups=GROUPS)[:6]}
    own, known = rows["surprise"], rows["log_loss"]
    assert own.value == pytest.approx(known.value)
    # The built-in one is the same mean over the same resamples, without a call for each.
    assert (own.low, own.high) == pytest.approx((known.low, known.high))
    alone = evaluate(P, T, labels=LABELS, groups=np.zeros(60))
    found = next(row for row in alone if row.metric == "surprise")
    assert (found.low, found.high) == (None, None)


def test_values_of_clips_have_the_interval_of_their_mean() -> None:
    @anymic.register_metric("losses", per_clip=True)
    def losses(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
        found: np.ndarray = -np.log(probabilities[np.arange(len(targets)), targets])
        return found

    rows = {row.metric: row for row in evaluate(P, T, labels=LABELS, groups=GROUPS)[:6]}
    expected = rows["log_loss"].low, rows["log_loss"].high
    assert (rows["losses"].low, rows["losses"].high) == pytest.approx(expected)


@pytest.mark.parametrize("result", [np.zeros(3), np.nan, np.zeros((60, 2))])
@pytest.mark.parametrize(
    ("per_clip", "expected"), [(False, "one finite number"), (True, r"finite values \(60,\)")]
)
def test_a_metric_without_a_finite_number_is_refused(
    result: object, per_clip: bool, expected: str
) -> None:
    anymic.register_metric("broken", per_clip=per_clip)(lambda probabilities, targets: result)
    with pytest.raises(MetricError, match=f"Metric broken returns .*Expected {expected}"):
        evaluate(P, T, labels=LABELS)


def test_names_units_and_directions() -> None:
    with pytest.raises(MetricError, match="second metric named 'log_loss'"):
        anymic.register_metric("log_loss")(lambda probabilities, targets: 0.0)
    assert metric_named("mean_average_precision_at_5").title == "MAP@5"
    assert metric_named("accuracy").unit == "share"
    assert metric_named("recall_difference").unit == "difference"
    assert metric_named("measured_kbps").title == "measured_kbps"
    assert metric_named("log_loss").better == "lower"
