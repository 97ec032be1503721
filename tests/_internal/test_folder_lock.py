"""Two runs never write into one folder at a time, and a killed one leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic._internal import folder_lock as locks
from anymic._internal.folder_lock import folder_lock, one_at_a_time
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.data.manifest import Manifest
from anymic.errors import ConfigError
from anymic.training import finetune, load_config
from anymic.training.heads import fit_head

RATE_HZ = 8000
HOLDER = """
import sys, time
from anymic._internal.folder_lock import folder_lock
with folder_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such locks")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE_S", 0.2)


def test_a_second_run_is_refused(impatient: None, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with folder_lock(out), pytest.raises(ConfigError, match=r"nother run.*out"), folder_lock(out):
        pass
    with folder_lock(out):
        pass


def test_other_names_of_the_folder_are_the_folder(impatient: None, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with folder_lock(tmp_path / "out"), folder_lock(tmp_path / "another"):
        for name in ("link", "another/../out"):
            with pytest.raises(ConfigError, match="nother run"), folder_lock(tmp_path / name):
                pass


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_leaves_nothing_behind(
    sent: signal.Signals, impatient: None, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    # Where the tests run in the background, SIGINT is ignored, and would be in the holder.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(out)], stdout=subprocess.PIPE)
    signal.signal(signal.SIGINT, before)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(ConfigError, match="nother run"), folder_lock(out):
        pass
    holder.send_signal(sent)
    holder.communicate()
    with folder_lock(out):
        assert not list(out.iterdir())


def test_a_folder_that_stays_empty_is_not_left_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), folder_lock(tmp_path / "a" / "b"):
        raise RuntimeError
    assert not (tmp_path / "a").exists()
    with folder_lock(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "file").touch()
    assert (tmp_path / "a" / "b" / "file").exists()


def test_a_run_may_wait_for_its_turn(impatient: None, tmp_path: Path) -> None:
    """Eight functions at once, each longer than the patience together: never two of them."""
    inside: list[int] = []

    @one_at_a_time
    def write(out: Path, *, wait: bool) -> None:
        inside.append(1)
        assert len(inside) == 1
        time.sleep(0.1)
        inside.pop()

    each = [
        threading.Thread(target=write, args=(tmp_path / "x",), kwargs={"wait": True})
        for _ in range(8)
    ]
    for one in each:
        one.start()
    for one in each:
        one.join()
    with folder_lock(tmp_path / "x"), pytest.raises(ConfigError, match="nother run"):
        write(tmp_path / "x", wait=False)


def test_the_processes_of_one_training_share_its_folder(
    impatient: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @one_at_a_time
    def train(out: Path) -> str:
        return "trained"

    with folder_lock(tmp_path):
        monkeypatch.setenv("LOCAL_RANK", "1")
        assert train(tmp_path) == "trained"
        monkeypatch.setenv("LOCAL_RANK", "0")
        with pytest.raises(ConfigError, match="nother run"):
            train(tmp_path)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    rows = []
    for number in range(8):
        name = f"{number}.wav"
        soundfile.write(tmp_path / name, generator.normal(scale=0.1, size=RATE_HZ // 2), RATE_HZ)
        rows.append((name, "ab"[number % 2], "test" if number > 5 else "train", "wav"))
    table = pd.DataFrame(rows, columns=["path", "label", "split", "codec"])
    table.to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path / "manifest.csv"


@pytest.mark.parametrize(
    "verb",
    [
        "train",
        "train --members 2",
        "train --resume",
        "data simulate --devices scenes",
        "data encode --codecs codecs",
        "data balance",
    ],
)
def test_every_verb_that_builds_a_folder_refuses_a_second_run(
    verb: str,
    manifest: Path,
    impatient: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    with folder_lock(out):
        name = [str(manifest)] if verb.startswith("data") else ["--data", str(manifest)]
        status = main([*verb.split(), *name, "--out", str(out)])
        assert not list(out.iterdir())
    lines = capsys.readouterr().err.splitlines()
    assert status == 2, lines
    assert lines[-1].startswith(f"error: Another run is writing into {out}. Expected")


def test_finetune_and_heads_refuse_a_second_run(
    small_bundle: Bundle, manifest: Path, impatient: None, tmp_path: Path
) -> None:
    clips, config, out = Manifest.read(manifest), load_config("small"), tmp_path / "out"
    with folder_lock(out):
        with pytest.raises(ConfigError, match="nother run"):
            finetune(small_bundle, clips, out, progress=False)
        with pytest.raises(ConfigError, match="nother run"):
            fit_head(clips, small_bundle, config, out)
