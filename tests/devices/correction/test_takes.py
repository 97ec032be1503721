"""Recordings of the same sounds: which have no counterpart, and which are late."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from anymic.devices.correction.new_device import _lag_notes
from anymic.devices.correction.takes import read_takes


def test_recordings_of_a_table_without_a_counterpart_are_named(tmp_path: Path) -> None:
    """Those of no take, and those of a take that no other row has."""
    rows = [("a.wav", "A", "1"), ("b.wav", "B", "1"), ("c.wav", "B", "2"), ("d.wav", "A", "")]
    table = pd.DataFrame(rows, columns=["path", "device", "take"])
    found = read_takes(table, reference="A")
    assert [Path(one).name for one in found.unmatched] == ["c.wav", "d.wav"]
    assert found.devices == ("A", "B")


@pytest.mark.parametrize(
    ("late", "named"),
    [
        (0, ()),
        (
            3,
            ("3 recordings are late, and shifted: 0.wav +1.000 s, 1.wav +1.000 s, 2.wav +1.000 s",),
        ),
        (
            5,
            (
                "5 recordings are late, and shifted: 0.wav +1.000 s, 1.wav +1.000 s,"
                " 2.wav +1.000 s, and 2 more",
            ),
        ),
    ],
)
def test_the_first_three_late_recordings_are_named(late: int, named: tuple[str, ...]) -> None:
    assert _lag_notes({f"takes/{number}.wav": 1.0 for number in range(late)}) == named
