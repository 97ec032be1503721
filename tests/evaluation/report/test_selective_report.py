"""Rows, table and figure of declining the least sure clips."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from anymic.evaluation.report import Row, evaluate, summary
from anymic.evaluation.report.evaluation import selective_rows, threshold_rows
from anymic.evaluation.report.figures import accuracy_over_coverage
from anymic.evaluation.report.scored import ScoredClips
from anymic.evaluation.report.tables import (
    comparison_table,
    coverage_tables,
    device_table,
    threshold_table,
)
from anymic.metrics import accuracy

Scored: TypeAlias = tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.str_], NDArray[np.intp]]


@pytest.fixture(scope="module")
def scored() -> Scored:
    random = np.random.default_rng(0)
    t = np.tile(random.integers(3, size=60), 2)
    p = random.dirichlet(np.ones(3), size=120) * 0.5 + 0.5 * np.eye(3)[t]
    p[:60] = np.where(random.uniform(size=(60, 1)) < 0.4, np.roll(p[:60], 1, axis=1), p[:60])
    return p, t, np.repeat(["A", "B"], 60), np.tile(np.arange(60) // 2, 2)


def find(rows: list[Row], metric: str, **condition: str) -> Row:
    (found,) = [row for row in rows if row.metric == metric and row.condition == condition]
    return found


def test_rows_by_hand() -> None:
    # Confidence 0.9 right, 0.8 right, 0.7 wrong, 0.6 and 0.6: one right.
    sure = np.array([0.9, 0.8, 0.7, 0.6, 0.6])
    rows = selective_rows(ScoredClips.of(np.column_stack([sure, 1 - sure]), [0, 0, 1, 0, 1]))
    expected = {"50 %": (2 / 3, 0.7, 3), "80 %": (3 / 5, 0.6, 5), "90 %": (3 / 5, 0.6, 5)}
    for coverage, (value, threshold, n) in expected.items():
        found = find(rows, "accuracy_at_coverage", coverage=coverage)
        assert found.value == pytest.approx(value)
        assert found.n == n
        from_where = find(rows, "confidence_at_coverage", coverage=coverage)
        assert (from_where.value, from_where.low) == (threshold, None)


def test_with_all_clips_answered_it_is_the_accuracy(scored: Scored) -> None:
    p, t, devices, groups = scored
    rows = selective_rows(ScoredClips.of(p, t, devices, groups))
    known = evaluate(p, t, labels="xyz", devices=devices, groups=groups)
    for condition in ({}, {"device": "A"}, {"device": "B"}):
        whole = find(known, "accuracy", **condition)
        found = find(rows, "accuracy_at_coverage", **condition, coverage="100 %")
        assert (found.value, found.low, found.high, found.n) == (
            whole.value,
            whole.low,
            whole.high,
            whole.n,
        )


def test_each_device_has_its_own_threshold(scored: Scored) -> None:
    p, t, devices, groups = scored
    rows = selective_rows(ScoredClips.of(p, t, devices, groups))
    of = devices == "B"
    threshold = find(rows, "confidence_at_coverage", device="B", coverage="80 %").value
    answered = of & (p.max(axis=1) >= threshold)
    assert answered.sum() == 48
    expected = accuracy(p.argmax(axis=1)[answered] == t[answered], groups[answered])
    found = find(rows, "accuracy_at_coverage", device="B", coverage="80 %")
    assert (found.value, found.low, found.high) == (expected.value, expected.low, expected.high)


def test_other_tables_and_the_finding_stay_as_they_were(scored: Scored) -> None:
    p, t, devices, groups = scored
    rows = evaluate(p, t, labels="xyz", devices=devices, groups=groups)
    more = rows + selective_rows(ScoredClips.of(p, t, devices, groups))
    more += threshold_rows(ScoredClips.of(p, t, devices, groups), 0.7)
    assert device_table(more, full=True) == device_table(rows, full=True)
    assert comparison_table(more) == comparison_table(rows)
    assert summary(more) == summary(rows)


def test_the_tables_hold_devices_and_coverages(scored: Scored) -> None:
    right, threshold = coverage_tables(selective_rows(ScoredClips.of(*scored)))
    assert right.columns == threshold.columns == ("device", "50 %", "80 %", "90 %", "100 %")
    assert [row[0] for row in right.rows] == ["A", "B", "all clips"]
    assert right.rows[2][4].endswith("n=120")
    assert threshold.rows[0][4] == f"{scored[0][:60].max(axis=1).min():.3f}"
    assert not any(table.rows for table in coverage_tables([]))


def test_the_figure_has_a_line_a_device_through_its_marks(scored: Scored) -> None:
    p, t, devices, groups = scored
    figure = accuracy_over_coverage(ScoredClips.of(p, t, devices))
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["A", "B"]
    rows = selective_rows(ScoredClips.of(p, t, devices, groups))
    for device, line, marks in zip("AB", axes.lines[::2], axes.lines[1::2], strict=True):
        wanted = [
            find(rows, "accuracy_at_coverage", device=device, coverage=coverage)
            for coverage in ("50 %", "80 %", "90 %", "100 %")
        ]
        marked, drawn = np.asarray(marks.get_data()), np.asarray(line.get_data())
        assert marked[1] == pytest.approx([100 * row.value for row in wanted])
        assert marked[0] == pytest.approx([100 * row.n / 60 for row in wanted])
        assert set(map(tuple, marked.T.tolist())) <= set(map(tuple, drawn.T.tolist()))
        assert drawn[0].min() == pytest.approx(100 * 10 / 60)


def test_a_figure_of_few_clips_of_no_device() -> None:
    figure = accuracy_over_coverage(ScoredClips.of([[0.9, 0.1], [0.4, 0.6]], [0, 0]))
    assert np.asarray(figure.axes[0].lines[0].get_ydata()).tolist() == [50]
    assert figure.axes[0].get_legend() is None


def test_a_threshold_by_hand() -> None:
    # At 0.7: 0.9 right, 0.8 right, 0.7 wrong are answered; two of 0.6 are not.
    sure = np.array([0.9, 0.8, 0.7, 0.6, 0.6])
    p = np.column_stack([sure, 1 - sure])
    rows = threshold_rows(ScoredClips.of(p, [0, 0, 1, 0, 1], devices=list("AAAAB")), 0.7)
    answered = find(rows, "coverage", min_confidence="0.7")
    assert answered.value == pytest.approx(3 / 5)
    assert answered.n == 5
    right = find(rows, "accuracy_when_sure", min_confidence="0.7")
    assert right.value == pytest.approx(2 / 3)
    assert right.n == 3
    none = find(rows, "coverage", device="B", min_confidence="0.7")
    assert none.value == 0
    assert none.n == 1
    assert not [row for row in rows if row.metric == "accuracy_when_sure" and row.n == 0]
    table = threshold_table(rows)
    assert [cells[0] for cells in table.rows] == ["A", "B", "all clips"]
    assert table.rows[1][2] == "none"
    assert table.title == "Answered where the confidence is 0.7 or more"
    assert not threshold_table([]).rows


def test_at_no_confidence_every_clip_is_answered(scored: Scored) -> None:
    p, t, devices, groups = scored
    rows = threshold_rows(ScoredClips.of(p, t, devices, groups), 0.0)
    known = evaluate(p, t, labels="xyz", devices=devices, groups=groups)
    for condition in ({}, {"device": "A"}, {"device": "B"}):
        whole = find(known, "accuracy", **condition)
        found = find(rows, "accuracy_when_sure", **condition, min_confidence="0")
        assert (found.value, found.low, found.high) == (whole.value, whole.low, whole.high)
        assert find(rows, "coverage", **condition, min_confidence="0").value == 1
