"""A short run of the fuzzer (`make fuzz` is the long one), and that it finds what it should."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from tests.fuzz import run
from tests.fuzz.mutations import BYTE_CHANGES, change_bytes, change_text
from tests.fuzz.worker import Outcome


@pytest.mark.slow
def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    counts = {"audio": range(54), "text": range(46)}
    found = run.fuzz(counts, seed=0, out=tmp_path / "findings", workers=1)
    assert [one.problem for one in found if one.problem] == []
    assert len(found) == 100
    assert {"accepted", "refused"} == {one.answer for one in found}
    assert not (tmp_path / "findings").exists()
    assert "findings" in run.table(found)


def test_equal_seeds_make_equal_changes() -> None:
    data, others = bytes(range(256)) * 8, [b"OggS" * 300]
    for change in (change_bytes, change_text):
        first, again, other = (
            [change(data, np.random.default_rng([seed, n]), others) for n in range(50)]
            for seed in (1, 1, 2)
        )
        assert first == again != other
        assert len(set(first)) > 40
    assert all(change(data, np.random.default_rng(3), others) != data for change in BYTE_CHANGES)


def _raise(folder: Path) -> None:
    raise ZeroDivisionError("a fault")


def _raising(folder: Path) -> list[object]:
    return [_Raising()]


class _Raising:
    """A word of a command that raises."""

    def __str__(self) -> str:
        raise ZeroDivisionError("a fault")


def test_what_should_not_be_is_found(tmp_path: Path) -> None:
    from tests.fuzz.kinds import commanded, refused

    with pytest.raises(ZeroDivisionError):
        refused(_raise, tmp_path)
    with pytest.raises(ZeroDivisionError):
        commanded(_raising, tmp_path)


def _faulty(pipe: Connection, folder: Path, seed: int, only: str | None) -> None:
    """Answer as a worker whose cases have faults of several kinds."""
    pipe.send("ready")
    while True:
        outcome = Outcome(pipe.recv(), "kind", "accepted", data=b"data")
        pipe.send(outcome)
        match outcome.case.number:
            case 0:
                time.sleep(1000)
            case 1:
                os._exit(7)
            case 2:
                outcome.peak_bytes = 2 << 30
            case 3:
                outcome.problem = "ZeroDivisionError (a.py:1): a fault"
        pipe.send(outcome)


def test_hangs_crashes_and_memory_are_found_and_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LONGEST_S", 0.5)
    found = run.fuzz({"text": range(6)}, seed=4, out=tmp_path / "out", workers=2, target=_faulty)
    begins = [one.problem.split(" ")[0] for one in found]
    assert begins == ["hangs:", "the", "takes", "ZeroDivisionError", "", ""]
    assert (tmp_path / "out" / "text-4-1-kind").read_bytes() == b"data"
    assert len(list((tmp_path / "out").glob("*.txt"))) == 4
    assert "status 7" in run.table(found)
