"""The library leaves the process as it found it, and does not depend on what others have set."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymic import Predictor
from anymic._internal.process_state import left_as_found
from anymic.bundle import Bundle
from anymic.inference.prediction import Prediction

PROGRAM = Path(__file__).with_name("citizen.py")


def run(folder: Path, *odd: str) -> dict[str, Any]:
    """Call every function of the front door in a new process; see `citizen.py`."""
    folder.mkdir()
    command = [sys.executable, str(PROGRAM), str(folder), *odd]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("plain") / "work")


@pytest.mark.slow
def test_every_function_leaves_the_process_as_it_found_it(plain: dict[str, Any]) -> None:
    assert len(plain) > 20
    assert {name: one["changed"] for name, one in plain.items() if one["changed"]} == {}
    assert [one["result"] for one in plain.values() if "Error" in one["result"]] == []


@pytest.mark.slow
def test_results_do_not_depend_on_defaults_of_torch(plain: dict[str, Any], tmp_path: Path) -> None:
    """Number format, device, gradients (inference mode has none), algorithms and autocast."""
    odd = ("float64", "meta", "inference", "deterministic", "autocast")
    found = run(tmp_path / "work", *odd)
    results = {name: one["result"] for name, one in found.items()}
    assert results == {name: one["result"] for name, one in plain.items()}
    assert {name: one["changed"] for name, one in found.items() if one["changed"]} == {}


@left_as_found()
def draw_and_stop() -> None:
    torch.rand(3)
    assert torch.get_default_dtype() == torch.float32
    raise KeyboardInterrupt


def test_the_process_is_left_as_found_after_an_error() -> None:
    before = torch.random.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(KeyboardInterrupt):
            draw_and_stop()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system"
)
@pytest.mark.parametrize("many", [False, True], ids=["predict", "predict_many"])
def test_a_forked_process_predicts(small_bundle: Bundle, four_threads: None, many: bool) -> None:
    """Without the guard it waits for threads that only its parent has."""
    predictor = Predictor(small_bundle, precision="float32")
    generator = np.random.default_rng(0)
    clips = [generator.normal(0, 0.1, 8000 * 20).astype(np.float32) for _ in range(3)]
    fork = multiprocessing.get_context("fork")
    answers: Any = fork.SimpleQueue()

    def predict() -> list[dict[str, float]]:
        if not many:
            return [predictor.predict(clip, rate_hz=8000).probabilities for clip in clips]
        found = predictor.predict_many(clips, rate_hz=8000)
        return [one.probabilities for one in found if isinstance(one, Prediction)]

    def work() -> None:
        answers.put((torch.get_num_threads(), predict()))

    expected = predict()
    torch.randn(1500, 1500) @ torch.randn(1500, 1500)  # so that the threads exist
    child = fork.Process(target=work)
    child.start()
    child.join(60)
    hangs = child.is_alive()
    child.kill()
    assert not hangs
    threads, found = answers.get()
    assert threads == 1
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    assert torch.get_num_threads() == 4
