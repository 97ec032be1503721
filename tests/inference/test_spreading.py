"""Recordings that are computed in several processes: the bytes are those of one process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anymic.cli import main
from anymic.errors import AnymicWarning, ConfigError, Failure
from anymic.inference import resuming
from anymic.inference.embedding_run import embed_recordings
from anymic.inference.event_run import predict_events
from anymic.inference.events import EventRules
from anymic.inference.files import load_model, predict_files
from anymic.inference.prediction import Prediction
from anymic.inference.recordings import EventSettings
from anymic.inference.spreading import Spreading

pytestmark = pytest.mark.usefixtures("one_thread")

TWO = Spreading(workers=2)
EVERY = EventSettings(EventRules(threshold=0.0))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Return a folder of eight recordings of 1 to 5 seconds, and one that is none."""
    folder = tmp_path / "in"
    folder.mkdir()
    generator = np.random.default_rng(1)
    for number in range(8):
        samples = generator.uniform(-0.5, 0.5, 8000 + 4000 * number)
        soundfile.write(folder / f"{number}.wav", samples, 8000)
    (folder / "3b.wav").write_text("no sound")
    return folder


@pytest.fixture(autouse=True)
def _groups_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "GROUP_FILES", 2)


def _killing(at: int) -> Callable[[int, int], None]:
    """Return a progress that ends a worker after so many recordings, once."""
    killed: list[int] = []

    def progress(done: int, total: int) -> None:
        if done >= at and not killed:
            (first, *_) = multiprocessing.active_children()
            killed.append(first.pid or 0)
            os.kill(killed[0], signal.SIGKILL)

    return progress


def test_events_have_the_same_bytes_and_a_worker_that_is_killed_loses_none(
    bundle_folder: Path, recordings: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    single = predict_events(bundle_folder, [recordings], one, settings=EVERY)
    with pytest.warns(AnymicWarning, match="ended by SIGKILL.*its files are done again"):
        double = predict_events(
            *(bundle_folder, [recordings], two),
            settings=EVERY,
            spreading=TWO,
            progress=_killing(1),
        )
    assert single.events > 0
    assert one.read_bytes() == two.read_bytes()
    assert single.failures == double.failures
    assert [Path(each.path).name for each in double.failures] == ["3b.wav"]


class Stopped(Exception):
    pass


def _stop(done: int, total: int) -> None:
    if done >= 3:
        raise Stopped


def test_embeddings_that_are_stopped_and_go_on_have_the_same_bytes(
    bundle_folder: Path, recordings: Path, tmp_path: Path
) -> None:
    (recordings / "3b.wav").unlink()
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    embed_recordings(bundle_folder, [recordings], one)
    with pytest.raises(Stopped):
        embed_recordings(bundle_folder, [recordings], two, spreading=TWO, progress=_stop)
    with pytest.warns(AnymicWarning, match="done already"):
        embed_recordings(bundle_folder, [recordings], two, spreading=TWO)
    assert one.read_bytes() == two.read_bytes()


def test_predictions_come_in_order(bundle_folder: Path, recordings: Path) -> None:
    model = load_model(bundle_folder)
    _, alone = predict_files(model, [recordings])
    count, spread = predict_files(model, [recordings], spreading=TWO, folder=bundle_folder)
    assert count == 9
    for wanted, found in zip(alone, spread, strict=True):
        assert wanted.path == found.path
        if isinstance(wanted, Failure):
            assert wanted == found
            continue
        assert isinstance(found, Prediction)
        assert found.probabilities == pytest.approx(wanted.probabilities, abs=1e-6)
        assert found.notes == wanted.notes


def test_an_interruption_is_one_line_and_leaves_no_process(
    bundle_folder: Path, recordings: Path, tmp_path: Path
) -> None:
    """Ctrl-C reaches all processes of a terminal; the same command then ends as any other."""
    out = tmp_path / "out.csv"
    noise = np.random.default_rng(0).normal(scale=0.1, size=1200 * 8000)  # takes a second or more
    soundfile.write(recordings / "long.wav", noise, 8000)
    arguments = ["predict", str(recordings), "--model", str(bundle_folder), "--out", str(out)]
    command = [sys.executable, "-m", "anymic", *arguments, "--workers", "2"]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not out.with_name("out.csv.journal").exists() and running.poll() is None:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    printed, said = running.communicate(timeout=60)
    assert (running.returncode, printed, said) == (130, "", "interrupted\n")
    _wait_for_the_end_of(running.pid)
    assert main([*arguments, "--workers", "2"]) == 1, "3b.wav alone"
    assert out.is_file()


def _wait_for_the_end_of(group: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("a process is left")


def test_wrong_use_is_one_line(bundle_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="Workers is 0"):
        Spreading(workers=0)
    assert main(["predict", "in", "--model", str(bundle_folder), "--workers", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--workers" in line
