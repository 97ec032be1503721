"""Jobs in processes: each is done once, whatever happens to the processes."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from anymic._internal.workers import Lost, WorkerError, in_workers
from anymic.errors import AnymicWarning, ConfigError


class Squares:
    """Loads once a process; a job can end its process, once or each time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> Callable[[int], tuple[int, int, int]]:
        (self.folder / f"loaded-{os.getpid()}").touch()
        return self.work

    def work(self, job: int) -> tuple[int, int, int]:
        if job == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        if job == 7 and not (self.folder / "once").exists():
            (self.folder / "once").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if job == -1:
            raise ConfigError("minus one", expected="a square", fix="leave it out")
        if job == 5:
            warnings.warn("five is odd", AnymicWarning, stacklevel=1)
        return job * job, os.getpid(), torch.get_num_threads()


class Ends(Squares):
    def __call__(self) -> Callable[[int], tuple[int, int, int]]:
        os._exit(3)


def test_jobs_are_done_once_whatever_happens_to_a_process(tmp_path: Path) -> None:
    """Seven ends its process the first time, and thirteen each time."""
    with pytest.warns(AnymicWarning) as noted:
        done = list(in_workers(Squares(tmp_path), range(20), workers=2))
    results = {number: result for number, _, result in done}
    assert [job for number, job, _ in done if number != job] == []
    assert sorted(results) == list(range(20))
    lost = {number: one for number, one in results.items() if isinstance(one, Lost)}
    assert list(lost) == [13]
    assert lost[13].reason.startswith("a worker process was ended by SIGKILL")
    squares = [one for one in results.values() if not isinstance(one, Lost)]
    assert sorted(one[0] for one in squares) == [n * n for n in range(20) if n != 13]
    assert {one[2] for one in squares} == {1}
    loaded = {int(file.name.partition("-")[2]) for file in tmp_path.glob("loaded-*")}
    assert {one[1] for one in squares} <= loaded
    assert len(loaded) <= 2 + 3, "a process loads once, and three were ended"
    texts = [str(one.message) for one in noted]
    assert any("ended by SIGKILL" in text and "done again" in text for text in texts)
    assert "five is odd" in texts
    _all_ended(loaded)


def test_what_is_raised_in_a_process_is_raised_here(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Minus one\. Expected a square\. Leave it out\."):
        list(in_workers(Squares(tmp_path), [-1, 1, 2, 3], workers=1))


def test_processes_that_do_not_begin_are_an_error(tmp_path: Path) -> None:
    with (
        pytest.warns(AnymicWarning, match="ended with status 3"),
        pytest.raises(WorkerError, match="ended with status 3 before it began"),
    ):
        list(in_workers(Ends(tmp_path), range(4), workers=1))


def test_whoever_stops_ends_the_processes(tmp_path: Path) -> None:
    results = in_workers(Squares(tmp_path), range(100), workers=1)
    next(results)
    results.close()
    _all_ended({int(file.name.partition("-")[2]) for file in tmp_path.glob("loaded-*")})


def _all_ended(processes: set[int]) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if not any(Path(f"/proc/{one}").exists() for one in processes):
            return
        time.sleep(0.05)
    raise AssertionError("a process is left")
