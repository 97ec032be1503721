from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anymic.evaluation.report import compare, evaluate, select, write_json
from anymic.metrics import (
    MetricError,
    accuracy,
    device_contrasts,
    mean_average_precision_at,
    paired_difference,
)

LABELS = ["bus", "metro", "park", "tram"]


def recorded_by_devices(
    moments: int = 60, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.str_], NDArray[np.intp]]:
    """Three devices record the same moments, three a recording; B and C are less accurate."""
    random = np.random.default_rng(seed)
    truth = np.tile(random.integers(4, size=moments), 3)
    clear = np.repeat([2.5, 1.0, 1.5], moments)
    logits = random.normal(size=(3 * moments, 4)) + clear[:, None] * np.eye(4)[truth]
    p = np.exp(logits)
    devices = np.repeat(["A", "B", "C"], moments)
    groups = np.tile(np.arange(moments) // 3, 3)
    return p / p.sum(axis=1, keepdims=True), truth, devices, groups


def test_rows_are_the_metrics_of_their_clips() -> None:
    p, t, devices, groups = recorded_by_devices()
    correct = p.argmax(axis=1) == t
    rows = evaluate(p, t, labels=LABELS, devices=devices, groups=groups, seed=4)
    (overall,) = select(rows, "accuracy")
    assert overall.n == 180
    assert overall.value == correct.mean()
    for row in select(rows, "accuracy", "device"):
        of = devices == row.condition["device"]
        expected = accuracy(correct[of], groups[of])
        assert (row.value, row.low, row.high) == (expected.value, expected.low, expected.high)
    for row in select(rows, "accuracy", "label"):
        of = t == LABELS.index(row.condition["label"])
        assert row.value == correct[of].mean()
        assert row.n == of.sum()
    (macro,) = select(rows, "macro_accuracy")
    expected, differences = device_contrasts(correct, devices, groups, reference="A", seed=4)
    assert (macro.value, macro.low, macro.high) == (expected.value, expected.low, expected.high)
    changes = select(rows, "accuracy_difference", "device", "against_device")
    assert [row.condition["device"] for row in changes] == ["B", "C"]
    assert [row.value for row in changes] == [differences["B"].value, differences["C"].value]
    for metric in ("log_loss", "brier_score", "expected_calibration_error"):
        assert len(select(rows, metric, "device")) == 3
        assert len(select(rows, metric)) == 1


def test_the_same_seed_gives_the_same_rows_and_names_of_groups_do_not_matter() -> None:
    p, t, devices, groups = recorded_by_devices()
    rows = evaluate(p, t, labels=LABELS, devices=devices, groups=groups, seed=1)
    named = [f"recording {group:02d}" for group in groups]
    again = evaluate(p, t, labels=LABELS, devices=list(devices), groups=named, seed=1)
    assert rows == again
    assert rows != evaluate(p, t, labels=LABELS, devices=devices, groups=groups, seed=2)


def test_what_has_no_clips_has_no_row() -> None:
    p, t, devices, groups = recorded_by_devices()
    kept = t != 2
    some = devices.astype(object)
    some[devices == "C"] = None  # no known device
    rows = evaluate(p[kept], t[kept], labels=LABELS, devices=some[kept], groups=groups[kept])
    assert {row.condition["label"] for row in select(rows, "accuracy", "label")} == {
        "bus",
        "metro",
        "tram",
    }
    assert {row.condition["device"] for row in select(rows, "accuracy", "device")} == {"A", "B"}
    assert select(rows, "accuracy")[0].n == kept.sum()


def test_one_recording_still_gives_a_report_without_nan(tmp_path: Path) -> None:
    p, t, devices, _ = recorded_by_devices(4)
    rows = evaluate(p, t, labels=LABELS, devices=devices, groups=["same"] * len(t))
    write_json(rows, tmp_path / "report.json")
    (loss,) = select(rows, "log_loss")
    assert loss.low is None
    (overall,) = select(rows, "accuracy")
    assert overall.low is not None
    assert overall.high is not None
    assert overall.high - overall.low > 0.7  # one recording is little evidence
    single = evaluate(p[:1], t[:1], labels=LABELS, devices=["A"])
    assert select(single, "accuracy", "device")[0].n == 1


def test_conditions_are_compared_in_pairs() -> None:
    p, t, devices, groups = recorded_by_devices()
    before = p.argmax(axis=1) == t
    after = before | (devices == "B")
    rows = compare(
        {"none": before, "geometric": after},
        against="none",
        key="correction",
        devices=devices,
        groups=groups,
    )
    assert [row.condition.get("device") for row in rows] == [None, "A", "B", "C"]
    assert rows[1].value == rows[1].low == rows[1].high == 0
    expected = paired_difference(
        after[devices == "B"], before[devices == "B"], groups[devices == "B"]
    )
    assert (rows[2].value, rows[2].low) == (expected.value, expected.low)
    assert rows[2].condition == {
        "correction": "geometric",
        "against_correction": "none",
        "device": "B",
    }


def test_refusals() -> None:
    p, t, devices, groups = recorded_by_devices()
    with pytest.raises(MetricError, match="3 labels for 4 columns"):
        evaluate(p, t, labels=LABELS[:3])
    with pytest.raises(MetricError, match=r"reference device 'Z'\. Expected one of A, B, C"):
        evaluate(p, t, labels=LABELS, devices=devices, reference="Z")
    with pytest.raises(MetricError, match="2 devices for 180 clips"):
        evaluate(p, t, labels=LABELS, devices=["A", "B"])
    with pytest.raises(MetricError, match="groups have shape"):
        evaluate(p, t, labels=LABELS, groups=groups[:5])
    p[7, 1] = np.nan
    with pytest.raises(MetricError, match="of 1 of 180 clips are not finite"):
        evaluate(p, t, labels=LABELS, devices=devices)
    with pytest.raises(MetricError, match="'x' to compare with"):
        compare({"none": t == t}, against="x")


def test_map_at_3_where_there_are_3_labels_or_more_and_at_what_is_asked_for() -> None:
    p, t, devices, groups = recorded_by_devices()
    metric = "mean_average_precision_at_3"
    rows = evaluate(p, t, labels=LABELS, devices=devices, groups=groups)
    (overall,) = select(rows, metric)
    expected = mean_average_precision_at(p, t, groups)
    assert (overall.value, overall.low, overall.high) == (
        expected.value,
        expected.low,
        expected.high,
    )
    assert len(select(rows, metric, "device")) == 3
    of_class = select(rows, metric, "label")
    assert sum(row.value * row.n for row in of_class) / 180 == pytest.approx(overall.value)
    three = p[:, :3] / p[:, :3].sum(axis=1, keepdims=True)
    assert select(evaluate(three, t % 3, labels=LABELS[:3]), metric)
    two = p[:, :2] / p[:, :2].sum(axis=1, keepdims=True)
    assert not select(evaluate(two, t % 2, labels=LABELS[:2]), metric)
    with pytest.raises(MetricError, match="2 classes for a mean average precision at 3"):
        evaluate(two, t % 2, labels=LABELS[:2], map_at=3)
    with pytest.raises(MetricError, match="3 classes for a mean average precision at 5"):
        evaluate(three, t % 3, labels=LABELS[:3], map_at=5)
