from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anymic.bundle import Bundle
from anymic.errors import ConfigError
from anymic.inference.events import Event, EventFinder, EventRules, find_events
from anymic.inference.predictor import Predictor

LABELS = ("dog", "rain", "siren")


def windows(hop_s: float, count: int = 60, seed: int = 0) -> tuple[list[float], np.ndarray]:
    """Return starts, and scores (window, label) that rise and fall over several windows."""
    noise = np.random.default_rng(seed).normal(size=(count + 2, len(LABELS)))
    smooth = noise[:-2] + noise[1:-1] + noise[2:]
    return [hop_s * one for one in range(count)], 1 / (1 + np.exp(-smooth))


def one_label(values: list[float], **rules: float) -> list[tuple[float, float, float]]:
    found = find_events(
        list(range(len(values))),
        np.array(values)[:, None],
        ["dog"],
        length_s=1.0,
        rules=EventRules(**rules),  # type: ignore[arg-type]
    )
    return [(event.start_s, event.end_s, event.probability) for event in found]


RULES = [
    EventRules(),
    EventRules(threshold=0.7, hysteresis=0, longest_gap_s=0),
    EventRules(threshold=0.8, hysteresis=0.5, longest_gap_s=2.5, shortest_s=1.7),
    EventRules(threshold=0.6, longest_gap_s=0.3, overlap="maximum"),
]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("hop_s", [1.0, 0.5, 0.3, 0.96])
@pytest.mark.parametrize("seed", range(4))
def test_windows_one_by_one_give_the_events_of_the_whole(
    rules: EventRules, hop_s: float, seed: int
) -> None:
    starts_s, values = windows(hop_s, seed=seed)
    whole = find_events(starts_s, values, LABELS, length_s=1.0, rules=rules)
    finder = EventFinder(LABELS, length_s=1.0, rules=rules)
    given: list[Event] = []
    for start_s, row in zip(starts_s, values, strict=True):
        new = finder.add(start_s, row)
        assert all(event.end_s <= start_s + 1e-6 for event in new), "only what has ended is final"
        given += new
    given += finder.finish()
    assert sorted(given, key=str) == sorted(whole, key=str)
    assert len(whole) > 2


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("hop_s", [1.0, 0.5])
def test_laws_of_events(rules: EventRules, hop_s: float) -> None:
    """Checked against the probability of each stretch of time, computed another way."""
    starts_s, values = windows(hop_s)
    count = round(1 / hop_s)  # windows that contain a moment, but for the beginning and the end
    stretches = [values[max(0, one - count + 1) : one + 1] for one in range(len(values))]
    pooled = np.array(
        [w.mean(axis=0) if rules.overlap == "mean" else w.max(axis=0) for w in stretches]
    )
    threshold = rules.threshold or 0.5
    found = find_events(
        starts_s, values, LABELS, length_s=1.0, rules=rules, end_s=starts_s[-1] + hop_s
    )
    at_s = np.array(starts_s) + hop_s / 2
    for column, label in enumerate(LABELS):
        own = [event for event in found if event.label == label]
        for event in own:
            inside = pooled[(at_s > event.start_s) & (at_s < event.end_s), column]
            assert event.probability == inside.max() >= threshold
            assert event.end_s - event.start_s >= rules.shortest_s
            low = (1 - rules.hysteresis) * threshold
            edges = inside[[0, -1]]
            assert (edges >= low).all()
            longest = max((len(run) for run in _runs(inside < low)), default=0)
            assert longest * hop_s <= rules.longest_gap_s + 1e-6
        for before, after in pairwise(own):
            assert after.start_s - before.end_s > rules.longest_gap_s
        if rules.shortest_s == 0:  # every window that reaches the threshold is in an event
            for moment in at_s[pooled[:, column] >= threshold]:
                assert any(event.start_s < moment < event.end_s for event in own)


def _runs(values: np.ndarray) -> list[list[bool]]:
    """Return the runs of true values."""
    text = "".join("x" if one else " " for one in values)
    return [[True] * len(run) for run in text.split()]


def test_hysteresis_keeps_an_event_through_a_weak_window() -> None:
    values = [0.1, 0.45, 0.9, 0.45, 0.1, 0.45, 0.1]
    assert one_label(values, hysteresis=0.2, longest_gap_s=0) == [(1.0, 4.0, 0.9)]
    assert one_label(values, hysteresis=0, longest_gap_s=0) == [(2.0, 3.0, 0.9)]


def test_gaps_join_and_short_events_go() -> None:
    values = [0.9, 0.1, 0.8, 0.1, 0.1, 0.7]
    assert one_label(values) == [(0.0, 3.0, 0.9), (5.0, 6.0, 0.7)]
    assert one_label(values, longest_gap_s=2) == [(0.0, 6.0, 0.9)]
    assert one_label(values, shortest_s=1.5) == [(0.0, 3.0, 0.9)]
    assert len(one_label(values, longest_gap_s=0)) == 3


def test_a_weak_stretch_joins_nothing() -> None:
    """Above the lower threshold alone is a gap like any other."""
    values = [0.9, 0.1, 0.45, 0.1, 0.9]
    assert one_label(values, longest_gap_s=1) == [(0.0, 1.0, 0.9), (4.0, 5.0, 0.9)]


def test_thresholds_of_the_model_hold_unless_one_is_stated() -> None:
    values, own = [[0.3, 0.3]], {"dog": 0.2, "rain": 0.4}
    found = find_events([0.0], values, ["dog", "rain"], length_s=1.0, thresholds=own)
    assert [event.label for event in found] == ["dog"]
    rules = EventRules(threshold=0.25)
    found = find_events([0.0], values, ["dog", "rain"], length_s=1.0, thresholds=own, rules=rules)
    assert [event.label for event in found] == ["dog", "rain"]


def test_no_event_ends_after_the_recording() -> None:
    (event,) = find_events([0.0, 1.0], [[0.9], [0.9]], ["dog"], length_s=1.0, end_s=1.6)
    assert event.end_s == 1.6


def test_no_windows_no_events() -> None:
    assert find_events([], np.empty((0, 1)), ["dog"], length_s=1.0) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 1.5},
        {"hysteresis": -0.1},
        {"shortest_s": float("nan")},
        {"longest_gap_s": -1.0},
        {"overlap": "median"},
    ],
)
def test_rules_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"(?i){name} is .*Expected"):
        EventRules(**wrong)  # type: ignore[arg-type]


def test_events_of_a_file(small_bundle: Bundle, tmp_path: Path) -> None:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 8000 * 4 + 5000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    predictor = Predictor(small_bundle, precision="float32")
    rules = EventRules(threshold=0.0)
    table = predictor.events(tmp_path / "a.wav", rules=rules)
    assert list(table.columns) == ["start_s", "end_s", "label", "probability"]
    prediction = predictor.predict(tmp_path / "a.wav")
    assert table["label"].tolist() == list(small_bundle.labels)
    assert (table["start_s"] == 0).all()
    assert (table["end_s"] == 4.625).all()
    highest = prediction.window_probabilities.max(axis=0)
    np.testing.assert_array_equal(table["probability"], highest)
    assert predictor.events(tmp_path / "a.wav", rules=EventRules(threshold=1.0)).empty
