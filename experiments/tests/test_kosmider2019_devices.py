"""Stated, identified, mistaken and unknown devices, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from anymic.data.manifest import Manifest
from anymic_experiments.commands import ROOT
from anymic_experiments.kosmider2019 import device_policy
from anymic_experiments.kosmider2019.device_policy import (
    AS_IS,
    BY_CLIP,
    IDENTIFIED,
    KNOWN,
    STATED,
    UNKNOWN,
    WRONG,
)
from anymic_experiments.kosmider2019.settings import Settings
from anymic_experiments.page import Page

FOLDER = ROOT / "kosmider2019"
GRID = Settings.read(FOLDER)
BATCHES = GRID.device_policy.batches
VIRTUAL, REAL = GRID.device_policy.references.values()
RECORDINGS = np.array([f"recording {number}" for number in range(10)])


def hits(*right: int) -> np.ndarray:
    """Return ten clips a device, the first so many of which are right."""
    return np.concatenate([np.arange(10) < number for number in right]).astype(float)


def answers() -> pd.DataFrame:
    known, without = (STATED, IDENTIFIED, WRONG), (AS_IS, *map(device_policy.blind, BATCHES))
    found = {
        (VIRTUAL, STATED): hits(8, 8, 8),
        (VIRTUAL, IDENTIFIED): hits(8, 8, 5),
        (VIRTUAL, WRONG): (hits(6, 6, 6) + hits(4, 6, 6)) / 2,
        (REAL, STATED): hits(8, 8, 8),
        (REAL, IDENTIFIED): hits(8, 8, 8),
        (REAL, WRONG): hits(2, 2, 2),
    }
    for reference in (VIRTUAL, REAL):
        found[reference, AS_IS] = hits(4, 4)
        for recordings, right in zip(BATCHES, (5, 6, 8), strict=True):
            found[reference, device_policy.blind(recordings)] = hits(right, right)
        found[reference, BY_CLIP] = hits(5, 5)
    names = {way: np.repeat(["A", "B", "C"], 10) for way in known}
    names |= {way: np.repeat(["D", "E"], 10) for way in (*without, BY_CLIP)}
    groups = {way: np.tile(RECORDINGS, len(name) // 10) for way, name in names.items()}
    parts = [
        pd.DataFrame({"device": names[way], "group": groups[way], "right": right}).assign(
            reference=reference, policy=way
        )
        for (reference, way), right in found.items()
    ]
    return pd.concat(parts, ignore_index=True)


def test_accuracies_differences_and_what_comes_back() -> None:
    section = device_policy.section(answers(), GRID, ["F", "G"])
    found = section.found
    assert found.of(
        "accuracy", reference=VIRTUAL, condition=STATED, device="A"
    ).value == pytest.approx(0.8)
    change = found.of("accuracy_difference", reference=VIRTUAL, condition=IDENTIFIED, device=KNOWN)
    assert change.value == pytest.approx(-3 / 30)
    # A has 8 of 10, unknown devices uncorrected 4 of 10: of the 4 lost, 1, 2 and 4 come back.
    for recordings, share in zip(BATCHES, (0.25, 0.5, 1.0), strict=True):
        where = {"condition": device_policy.blind(recordings), "device": UNKNOWN}
        item = found.of("recovered_share", reference=VIRTUAL, **where)
        assert item.value == pytest.approx(share)
    text = Page(FOLDER, grid=GRID).section(section)
    assert "changes the accuracy by -10.0" in text
    assert "lose 40.0 points against A" in text
    assert "| taken for another device's |" not in text
    assert "| taken for another device | 56.7 [" in text


def test_a_batch_has_one_name_and_every_clip_is_in_one() -> None:
    table = pd.DataFrame({"path": [f"{n}.wav" for n in range(40)], "label": "rain"})
    table["device"] = np.repeat(["D", "E"], 20)
    named = device_policy.in_batches(Manifest.from_table(table), 10).table["device"]
    assert named.value_counts().to_dict() == {"D 0": 10, "D 1": 10, "E 0": 10, "E 1": 10}
    assert all(name[0] == device for name, device in zip(named, table["device"], strict=True))
    assert list(named[:10]) != ["D 0"] * 10  # drawn, not the first ten, which share a class
