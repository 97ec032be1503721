"""F1 of events: hand-made cases, laws, and the numbers of sed_eval where it is installed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from anymic.metrics.events import EventMetricError, event_counts, f1, segment_counts

LABELS = ("dog", "rain", "siren")


class Span(NamedTuple):
    start_s: float
    end_s: float
    label: str


DOG = [Span(1.0, 3.0, "dog")]


@pytest.mark.parametrize(
    ("found", "segments", "events"),
    [
        ([Span(1.0, 3.0, "dog")], (2, 2, 2), (1, 1, 1)),
        ([Span(1.25, 3.0, "dog")], (2, 2, 2), (1, 1, 1)),
        ([Span(1.3, 3.0, "dog")], (2, 2, 2), (0, 1, 1)),  # starts later than the collar
        ([Span(1.0, 4.0, "dog")], (2, 2, 3), (1, 1, 1)),  # ends within half of the length
        ([Span(1.0, 4.1, "dog")], (2, 2, 4), (0, 1, 1)),
        ([Span(1.0, 1.5, "dog"), Span(1.5, 3.0, "dog")], (2, 2, 2), (0, 1, 2)),
        ([Span(1.0, 3.0, "dog"), Span(1.1, 3.0, "dog")], (2, 2, 2), (1, 1, 2)),  # one pair
        ([], (0, 2, 0), (0, 1, 0)),
    ],
)
def test_by_hand(found: list[Span], segments: tuple[int, ...], events: tuple[int, ...]) -> None:
    assert tuple(segment_counts(DOG, found, ["dog"])[0]) == segments
    assert tuple(event_counts(DOG, found, ["dog"])[0]) == events


def test_another_label_is_no_match() -> None:
    counts = event_counts(DOG, [Span(1.0, 3.0, "rain")], LABELS)
    assert counts.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert np.isnan(f1(counts)).tolist() == [False, False, True]


def test_f1_of_what_was_missed_is_zero_and_of_nothing_is_none() -> None:
    counts = np.array([[0, 1, 0], [0, 0, 1], [1, 1, 1], [1, 2, 1], [0, 0, 0]])
    np.testing.assert_array_equal(f1(counts), [0, 0, 1, 2 / 3, np.nan])


def test_the_number_of_pairs_is_the_largest() -> None:
    """A choice in the order of starts would leave the second event without a partner."""
    reference = [Span(1.0, 2.0, "dog"), Span(1.2, 2.2, "dog")]
    found = [Span(1.2, 2.1, "dog"), Span(0.8, 2.1, "dog")]
    assert event_counts(reference, found, ["dog"])[0, 0] == 2


def drawn(seed: int, count: int = 12) -> list[Span]:
    generator = np.random.default_rng(seed)
    spans = []
    for label in LABELS:
        now_s = 0.0
        for _ in range(count):
            start_s = now_s + float(generator.choice([0.0, 0.1, 0.5, 1.0, 2.3]))
            end_s = start_s + float(generator.choice([0.2, 0.5, 1.0, 3.7]))
            spans.append(Span(round(start_s, 3), round(end_s, 3), label))
            now_s = end_s
    return spans


def shaken(spans: list[Span], seed: int) -> list[Span]:
    """Return events like these: some moved, renamed, left out or doubled."""
    generator = np.random.default_rng(seed)
    found = []
    for one in spans:
        for _ in range(int(generator.choice([0, 1, 1, 1, 2]))):
            start_s = max(0.0, one.start_s + generator.normal(0, 0.2))
            end_s = max(start_s + 0.05, one.end_s + generator.normal(0, 0.3))
            label = one.label if generator.random() > 0.1 else str(generator.choice(LABELS))
            found.append(Span(round(start_s, 3), round(end_s, 3), label))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_laws(seed: int) -> None:
    reference, found = drawn(seed), shaken(drawn(seed), seed + 100)
    for counts in (segment_counts, event_counts):
        there, back = counts(reference, found, LABELS), counts(found, reference, LABELS)
        assert (there[:, 0] <= np.minimum(there[:, 1], there[:, 2])).all()
        assert (counts(reference, reference, LABELS)[:, 0] == there[:, 1]).all()
        np.testing.assert_array_equal(there[:, 1:], back[:, :0:-1])


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("segment_s", "collar_s"), [(1.0, 0.25), (0.5, 0.1)])
def test_equal_to_sed_eval(seed: int, segment_s: float, collar_s: float) -> None:
    sed_eval = pytest.importorskip("sed_eval", reason="sed_eval is not installed")
    reference, found = drawn(seed, 1 + seed), shaken(drawn(seed, 1 + seed), seed + 100)

    def listed(spans: list[Span]) -> list[dict[str, Any]]:
        return [
            {"onset": one.start_s, "offset": one.end_s, "event_label": one.label, "file": "a.wav"}
            for one in spans
        ]

    segments = sed_eval.sound_event.SegmentBasedMetrics(list(LABELS), time_resolution=segment_s)
    segments.evaluate(listed(reference), listed(found))
    events = sed_eval.sound_event.EventBasedMetrics(
        list(LABELS), t_collar=collar_s, percentage_of_length=0.5
    )
    events.evaluate(listed(reference), listed(found))
    for counts, metrics in (
        (segment_counts(reference, found, LABELS, segment_s=segment_s), segments),
        (event_counts(reference, found, LABELS, collar_s=collar_s), events),
    ):
        overall = metrics.results_overall_metrics()["f_measure"]["f_measure"]
        check_same(counts.sum(axis=0), overall)
        classes = metrics.results_class_wise_metrics()
        for label, own in zip(LABELS, counts, strict=True):
            check_same(own, classes[label]["f_measure"]["f_measure"])


def check_same(counts: np.ndarray, wanted: float) -> None:
    """Where nothing was found, or nothing was there, sed_eval has NaN."""
    if 0 in counts[1:]:
        assert np.isnan(wanted)
        assert float(f1(counts)) == 0 or not counts.any()
    else:
        assert float(f1(counts)) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("wrong", [{"segment_s": 0.0}, {"segment_s": float("nan")}])
def test_segments_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(EventMetricError, match="Expected a length"):
        segment_counts(DOG, DOG, LABELS, **wrong)


def test_a_negative_collar_is_refused() -> None:
    with pytest.raises(EventMetricError, match="Expected 0 or more"):
        event_counts(DOG, DOG, LABELS, collar_s=-1.0)
