"""Stated, identified, mistaken and unknown devices, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from anymic.data.manifest import Manifest
from anymic_experiments.kosmider2019 import devices, hearing
from anymic_experiments.kosmider2019.hearing import (
    ALL_KNOWN,
    BATCHES,
    HEARD_AS_IS,
    IDENTIFIED,
    REAL,
    ROUTED,
    STATED,
    STRANGERS,
    VIRTUAL,
    WRONG,
    Answers,
)

RECORDINGS = np.array([f"recording {number}" for number in range(10)])


def hits(*right: int) -> np.ndarray:
    """Return ten clips a device, the first so many of which are right."""
    return np.concatenate([np.arange(10) < number for number in right]).astype(float)


def answers() -> Answers:
    known, strangers = (STATED, IDENTIFIED, WRONG), (HEARD_AS_IS, *map(hearing.blind, BATCHES))
    found = {
        (VIRTUAL, STATED): hits(8, 8, 8),
        (VIRTUAL, IDENTIFIED): hits(8, 8, 5),
        (VIRTUAL, WRONG): (hits(6, 6, 6) + hits(4, 6, 6)) / 2,
        (REAL, STATED): hits(8, 8, 8),
        (REAL, IDENTIFIED): hits(8, 8, 8),
        (REAL, WRONG): hits(2, 2, 2),
    }
    for reference in (VIRTUAL, REAL):
        found[reference, HEARD_AS_IS] = hits(4, 4)
        for recordings, right in zip(BATCHES, (5, 6, 8), strict=True):
            found[reference, hearing.blind(recordings)] = hits(right, right)
        found[reference, ROUTED] = hits(5, 5)
    names = {way: np.repeat(["A", "B", "C"], 10) for way in known}
    names |= {way: np.repeat(["D", "E"], 10) for way in (*strangers, ROUTED)}
    groups = {way: np.tile(RECORDINGS, len(name) // 10) for way, name in names.items()}
    return Answers(found, names, groups)


def test_accuracies_differences_and_what_comes_back() -> None:
    found = devices.compare(answers())
    assert found.of("accuracy", VIRTUAL, STATED, "A").value == pytest.approx(0.8)
    change = found.of("accuracy_difference", VIRTUAL, IDENTIFIED, ALL_KNOWN)
    assert change.value == pytest.approx(-3 / 30)
    # A has 8 of 10, strangers as they are 4 of 10: of the 4 lost, 1, 2 and 4 come back.
    for recordings, share in zip(BATCHES, (0.25, 0.5, 1.0), strict=True):
        item = found.of("recovered_share", VIRTUAL, hearing.blind(recordings), STRANGERS)
        assert item.value == pytest.approx(share)
    text = devices.reading(found)
    assert "changes the accuracy by -10.0" in text
    assert "lose 40.0 points against A" in text
    table = devices.markdown(found)
    assert "| taken for another device's |" not in table
    assert "| taken for another device | 56.7 [" in table


def test_a_batch_has_one_name_and_every_clip_is_in_one() -> None:
    table = pd.DataFrame({"path": [f"{n}.wav" for n in range(40)], "label": "rain"})
    table["device"] = np.repeat(["D", "E"], 20)
    named = hearing._in_batches(Manifest.from_table(table), 10).table["device"]
    assert named.value_counts().to_dict() == {"D 0": 10, "D 1": 10, "E 0": 10, "E 1": 10}
    assert all(name[0] == device for name, device in zip(named, table["device"], strict=True))
    assert list(named[:10]) != ["D 0"] * 10  # drawn, not the first ten, which share a class
