"""Memory and time of very many recordings."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.known_sounds import RATE_HZ, tone_model

from anymic.errors import AudioError, Failure, kept_error
from anymic.inference.event_run import predict_events
from anymic.inference.files import load_model, predict_files

pytestmark = pytest.mark.usefixtures("one_thread")

FILES, PER_FILE = 2000, 4000  # bytes that a failed file may add: its path and its reason
SAMPLES = RATE_HZ // 2  # of a file; as float32 they are several times PER_FILE


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of recordings without any signal, which are read and then refused."""
    folder = tmp_path_factory.mktemp("silent")
    soundfile.write(folder / "0000.wav", np.zeros(SAMPLES, np.int16), RATE_HZ)
    for number in range(1, FILES):
        (folder / f"{number:04d}.wav").hardlink_to(folder / "0000.wav")
    return folder


def events(model: Path, folder: Path, out: Path, done: Callable[[int], None]) -> int:
    found = predict_events(model, [folder], out, progress=lambda number, _: done(number))
    return len(found.failures)


def answers(model: Path, folder: Path, out: Path, done: Callable[[int], None]) -> int:
    _, results = predict_files(load_model(model), [folder])
    failed = 0
    for number, one in enumerate(results, start=1):
        failed += isinstance(one, Failure)
        done(number)
    return failed


@pytest.mark.parametrize("way", [events, answers])
def test_failed_recordings_do_not_stay_in_memory(
    silent: Path, tmp_path: Path, way: Callable[..., int]
) -> None:
    model, used = tone_model().save(tmp_path / "model"), {}

    def done(number: int) -> None:
        if number in (FILES // 4, FILES):
            used[number] = tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        assert way(model, silent, tmp_path / "out.csv", done) == FILES
    finally:
        tracemalloc.stop()
    assert used[FILES] - used[FILES // 4] < PER_FILE * FILES * 3 / 4


def test_a_kept_error_and_its_causes_have_no_traceback() -> None:
    def fail() -> None:
        try:
            int("x")
        except ValueError as error:
            raise AudioError("no number") from error

    with pytest.raises(AudioError) as caught:
        fail()
    kept = kept_error(caught.value)
    assert kept is caught.value
    assert isinstance(kept.__cause__, ValueError)
    assert kept.__traceback__ is kept.__cause__.__traceback__ is None
