"""The curve of device identification: its shares and areas, by hand and by scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from anymic.devices.identification.descriptions import Analysis, Descriptions
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic_experiments.commands import ROOT
from anymic_experiments.findings import Findings
from anymic_experiments.kosmider2019 import identification
from anymic_experiments.kosmider2019.settings import Settings
from anymic_experiments.page import Page

FOLDER = ROOT / "kosmider2019"
GRID = Settings.read(FOLDER)
KNOWN = GRID.device_policy.known

RECORDINGS = 12


def tried(seed: int) -> pd.DataFrame:
    """Return what an identifier said of 12 recordings by A, B, C and two unknown devices."""
    generator = np.random.default_rng(seed)
    devices = np.repeat(["A", "B", "C", "D", "E"], RECORDINGS)
    known = np.isin(devices, ["A", "B", "C"])
    scores = generator.normal(size=len(devices)) + 1.5 * known
    named = np.ones(len(devices), dtype=bool)
    named[:3] = False  # three of A's are taken for another's
    return pd.DataFrame(
        {
            "named": named & known,
            "known": known,
            "score": scores,
            "accepted": scores > 0,
            "device": devices,
            "group": np.tile([f"recording {number}" for number in range(RECORDINGS)], 5),
        }
    )


def test_the_area_is_the_mean_of_scikit_learns_over_the_parts() -> None:
    one, other = tried(0), tried(1)
    both = identification.joined([one, other])
    expected = np.mean([roc_auc_score(part["known"], part["score"]) for part in (one, other)])
    found = identification.over_parts(identification.area, both, both["known"], ~both["known"])
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high


def test_what_passes_at_95_percent_true_accepts() -> None:
    known = np.arange(100.0)  # 95 of them are at 4.95 or above
    assert identification.passing(known, np.array([4.0, 4.9, 5.0, 200.0])) == 0.5


def test_shares_and_the_tables_by_hand() -> None:
    both = identification.joined([tried(0), tried(1)])
    asked = [identification.condition(clips) for clips in GRID.identification.sizes]
    asked += [identification.condition(40, together=number) for number in ("3", "10")]
    asked.append(identification.condition(40, teachers="none"))
    rows = [row for where in asked for row in identification.measured(both, where, KNOWN)]
    curve = Findings(rows + identification.by_device(both, 40, KNOWN))

    def value(metric: str, clips: int, **where: str) -> float:
        return curve.of(metric, **identification.condition(clips, **where)).value

    assert value("identification_accuracy", 40) == pytest.approx(33 / 36)
    assert value("identification_accuracy", 40, device="A") == pytest.approx(9 / 12)
    accepted = np.concatenate([part["accepted"][part["known"]] for part in (tried(0), tried(1))])
    assert value("true_accepts", 10) == pytest.approx(accepted.mean())
    areas = [value("auroc", 40, device="D", known=known) for known in "ABC"]
    area = value("auroc", 40, device="D")
    assert area == pytest.approx(np.mean(areas))  # A, B, C as often
    text = Page(FOLDER, grid=GRID).section(identification.section(curve, GRID, ["F", "G"]))
    assert "| 40 | 91.7 [" in text
    assert "| 40, imitations only | 91.7 [" in text
    assert "| 10 | 91.7 [" in text
    last = text[text.index("| AUROC against |") :]
    assert [line[2] for line in last.splitlines()[2:5] if line] == ["D", "E"]
    assert f"| D | {area:.3f} |" in text
    assert len(identification.figure(curve, GRID).axes) == 2


def test_batches_of_every_device_are_of_the_same_recordings() -> None:
    """An identifier of two devices is given three clips at a time; a rest of two is left out."""
    generator = np.random.default_rng(0)
    devices = ["A", "B", "D"]
    values = generator.normal(size=(3 * 20, 16)) + 4 * np.repeat(np.eye(3, 16), 20, axis=0)
    clips = Descriptions(
        analysis=Analysis(8000, fft_size=512, coefficients=16),
        values=values,
        devices=tuple(np.repeat(devices, 20).tolist()),
        clip_ids=tuple(str(number) for number in range(60)),
        groups=tuple(f"recording {number}" for number in np.tile(np.arange(20), 3)),
    )
    fitted = DeviceIdentifier().fit_descriptions(clips, held_out=["D"])
    found = identification.attempt(clips, fitted, ["A", "B"], 3)
    assert found["device"].tolist() == ["A"] * 6 + ["B"] * 6 + ["D"] * 6
    assert found["group"].tolist() == 3 * found["group"].tolist()[:6]
    assert found["named"][:12].all()
    assert found["accepted"][:12].all()
    assert not found["accepted"][12:].any()
