"""Whatever one file raises, the answers for the others arrive."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from anymic import load
from anymic._internal.threads import read_ahead
from anymic.bundle import Bundle
from anymic.data.checks import check
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, Failure, attempt, of_one_file
from anymic.inference.prediction import Prediction
from anymic.inference.predictor import Predictor

RATE_HZ = 8000
UNEXPECTED = [
    AttributeError("'NoneType' object has no attribute 'name'"),
    UnicodeEncodeError("utf-8", "caf\udce9.wav", 3, 4, "surrogates not allowed"),
    IndexError("index 0 is out of bounds"),
    ZeroDivisionError("division by zero"),
    RuntimeError("the decoder stopped"),
    PermissionError(errno.EACCES, "Permission denied"),
    OSError(errno.EIO, "Input/output error"),
    AssertionError(),
    RecursionError("maximum recursion depth exceeded"),
]
OF_EVERY_FILE = [
    MemoryError("cannot allocate"),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    torch.OutOfMemoryError("CUDA out of memory"),
    KeyboardInterrupt(),
]


def raiser(error: BaseException) -> Callable[[], int]:
    def function() -> int:
        raise error

    return function


def name(value: object) -> str:
    return f"{type(value).__name__}-{value}"[:30]


@pytest.mark.parametrize("error", UNEXPECTED, ids=name)
def test_whatever_is_raised_becomes_the_failure_of_the_file(error: Exception) -> None:
    found = attempt("a.wav", raiser(error))
    assert isinstance(found, Failure)
    assert found.path == "a.wav"
    assert type(error).__name__ in found.reason
    assert "\n" not in found.reason


@pytest.mark.parametrize("error", UNEXPECTED, ids=name)
def test_whatever_the_only_file_raises_is_one_line(error: Exception) -> None:
    with pytest.raises(AnymicError, match=type(error).__name__), of_one_file():
        raise error


@pytest.mark.parametrize("error", OF_EVERY_FILE, ids=name)
def test_what_concerns_every_file_is_raised(error: BaseException) -> None:
    with pytest.raises(type(error)):
        attempt("a.wav", raiser(error))


@pytest.mark.parametrize("error", UNEXPECTED, ids=name)
def test_the_other_jobs_continue(error: Exception) -> None:
    def items(job: int) -> Iterator[int]:
        yield job
        if job == 5:
            raise error
        yield -job

    found: dict[int, list[Any]] = {}
    for job, item in read_ahead(range(20), items):
        found.setdefault(job, []).append(item)
    assert isinstance(found.pop(5)[-1], AnymicError)
    assert found == {job: [job, -job] for job in range(20) if job != 5}


@pytest.mark.parametrize("error", OF_EVERY_FILE, ids=name)
def test_the_run_ends_where_memory_or_disk_ran_out(error: BaseException) -> None:
    def items(job: int) -> Iterator[int]:
        yield job
        if job == 5:
            raise error

    with pytest.raises(type(error)):
        list(read_ahead(range(20), items))


class Refusing(nn.Module):
    """A network that raises for the windows of loud clips."""

    def __init__(self, classes: int, embeds: int = 0) -> None:
        super().__init__()
        self.linear = nn.Linear(32, classes)
        self.channels = 1

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if bool((features.amax(dim=(1, 2, 3)) > -4.0).any()):
            raise ZeroDivisionError("a loud clip")
        scores: torch.Tensor = self.linear(features.mean(dim=(1, 3)))
        return scores


def test_a_clip_that_the_network_cannot_classify_loses_no_other(
    small_bundle: Bundle, tmp_path: Path
) -> None:
    """Windows of several clips share a batch: each is then computed alone."""
    small_bundle.network = Refusing(3)
    small_bundle.frontend.mean.fill_(0.0)
    small_bundle.frontend.scale.fill_(1.0)
    predictor = Predictor(small_bundle, precision="float32", accelerator="cpu", batch_size=8)
    generator = np.random.default_rng(1)
    paths = []
    for number in range(12):
        level = 0.9 if number == 5 else 0.001
        samples = generator.uniform(-level, level, (1 + number % 3) * RATE_HZ)
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], samples, RATE_HZ, subtype="FLOAT")
    found = list(predictor.predict_many(paths))
    failed = found.pop(5)
    assert isinstance(failed, Failure)
    assert "ZeroDivisionError: a loud clip" in failed.reason
    alone = [predictor.predict(path) for path in paths if path != paths[5]]
    for one, other in zip(found, alone, strict=True):
        assert isinstance(one, Prediction)
        np.testing.assert_allclose(
            list(one.probabilities.values()), list(other.probabilities.values()), atol=1e-6
        )
    (kept,) = predictor.predict_manifest(manifest_of(paths)).failures
    assert kept.path == str(paths[5])


def manifest_of(paths: list[Path]) -> Manifest:
    import pandas as pd

    table = pd.DataFrame({"path": [str(path) for path in paths], "label": "dog"})
    return Manifest.from_table(table, paths[0].parent)


def test_a_clip_of_which_no_sample_is_left_is_a_failure(
    bundle_folder: Path, tmp_path: Path
) -> None:
    """One sample at 48 kHz is less than half a sample at the model's rate."""
    soundfile.write(tmp_path / "one.wav", np.array([0.5]), 48000)
    soundfile.write(tmp_path / "good.wav", np.full(RATE_HZ, 0.1), RATE_HZ)
    model = load(bundle_folder)
    bad, good = model.predict_many([tmp_path / "one.wav", tmp_path / "good.wav"])
    assert isinstance(bad, Failure)
    assert isinstance(good, Prediction)
    assert not check(manifest_of([tmp_path / "good.wav"]))
