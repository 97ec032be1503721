"""The curve of device identification: its shares and areas, by hand and by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anymic.recipes.kosmider2019 import identification
from anymic.recipes.kosmider2019.identification import Curve, Tried

RECORDINGS = 12


def tried(seed: int) -> Tried:
    """Return what an identifier said of 12 recordings by A, B, C and two strangers."""
    generator = np.random.default_rng(seed)
    devices = np.repeat(["A", "B", "C", "D", "E"], RECORDINGS)
    known = np.isin(devices, ["A", "B", "C"])
    scores = generator.normal(size=len(devices)) + 1.5 * known
    named = np.ones(len(devices), dtype=bool)
    named[:3] = False  # three of A's are taken for another's
    return Tried(
        named=named & known,
        known=known,
        scores=scores,
        accepted=scores > 0,
        devices=devices,
        groups=np.tile([f"recording {number}" for number in range(RECORDINGS)], 5),
        parts=np.zeros(len(devices), dtype=np.int64),
    )


def test_the_area_is_the_mean_of_scikit_learns_over_the_parts() -> None:
    one, other = tried(0), tried(1)
    both = identification._together([one, other])
    expected = np.mean([roc_auc_score(part.known, part.scores) for part in (one, other)])
    found = identification._area(both, ~both.known)
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high


def test_shares_and_the_table_by_hand() -> None:
    rows = [
        row
        for clips in identification.SIZES
        for row in identification._rows(identification._together([tried(0), tried(1)]), clips)
    ]
    curve = Curve(rows)
    assert curve.of("identification_accuracy", 40).value == pytest.approx(33 / 36)
    assert curve.of("identification_accuracy", 40, "A").value == pytest.approx(9 / 12)
    accepted = np.concatenate([part.accepted[part.known] for part in (tried(0), tried(1))])
    assert curve.of("true_accepts", 10).value == pytest.approx(accepted.mean())
    text = identification.markdown(curve)
    assert "| 40 | 91.7 [" in text
    assert "AUROC of each stranger with 40 clips a device: D 0." in text
    assert len(identification.figure(curve).axes) == 2
