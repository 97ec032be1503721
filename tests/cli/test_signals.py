"""SIGINT and SIGTERM end every command with one line and its status, whenever they come."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from anymic.cli import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

# Sends a signal to its own process when a module is imported, or after the interpreter's start.
SENDER = """
import os, sys
class Sender:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["AT"]:
            os.kill(os.getpid(), int(os.environ["SENT"]))
sys.meta_path.insert(0, Sender())
"""
ENDINGS = {signal.SIGINT: ("interrupted\n", 130), signal.SIGTERM: ("terminated\n", 143)}


def start(
    folder: Path, *arguments: str, program: str = "", **environment: str
) -> subprocess.Popen[str]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    try:
        return subprocess.Popen(
            [sys.executable, *(("-c", program) if program else ("-m", "anymic")), *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("sent", ENDINGS, ids=lambda sent: sent.name)
@pytest.mark.parametrize("module", ["typer", "anymic.cli.verbs", "numpy", "torch"])
def test_while_modules_are_imported(module: str, sent: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SENDER)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = ("predict", "no.wav", "--model", "no")
    with start(tmp_path, *command, PYTHONPATH=path, AT=module, SENT=str(int(sent))) as run:
        out, err = run.communicate(timeout=60)
    assert (out, err, run.returncode) == ("", *ENDINGS[sent])


# A verb that cleans up, at the end of the interpreter too, or that waits for ever.
CLEANS_UP = """
import atexit, os, sys, threading, time
from anymic.cli import main, signals
from anymic.data.manifest import Manifest
signals.PATIENCE_S = 3
def read(_, **options):
    atexit.register(time.sleep, min({cleans_up_s}, 2))
    try:
        os.kill(os.getpid(), {sent})
    finally:
        time.sleep({cleans_up_s})
class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(min({cleans_up_s}, 2))
slow = Slow()
Manifest.read = read
sys.argv[1:] = ["data", "show", "clips.csv"]
sys.exit(main())
"""


@pytest.mark.alone
@pytest.mark.parametrize("sent", ENDINGS, ids=lambda sent: sent.name)
def test_while_a_verb_works(sent: signal.Signals, tmp_path: Path) -> None:
    """All at the same time, because they mostly wait."""
    (tmp_path / "clips.csv").touch()
    with ExitStack() as running:
        runs = [
            running.enter_context(
                start(tmp_path, program=CLEANS_UP.format(cleans_up_s=cleans_up_s, sent=int(sent)))
            )
            for cleans_up_s in (0, 2, 60)
        ]
        for run in runs:
            out, err = run.communicate(timeout=50)
            assert (out, err, run.returncode) == ("", *ENDINGS[sent])


def test_what_a_parent_lets_ignore_is_ignored(tmp_path: Path) -> None:
    """As of a shell's background jobs."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "anymic", "--help"], stdout=subprocess.PIPE
        ) as run:
            for _ in range(10):
                run.send_signal(signal.SIGINT)
                time.sleep(0.05)
            assert run.communicate(timeout=60)[0]
            assert run.returncode == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_end_of_a_file_is_no_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def cut(_: object, **options: object) -> None:
        raise EOFError("the stream ended after 7 of 9 bytes")

    (tmp_path / "m.csv").touch()
    monkeypatch.setattr("anymic.data.manifest.Manifest.read", cut)
    with pytest.raises(EOFError, match="after 7 of 9"):
        main(["data", "show", str(tmp_path / "m.csv")])
    assert capsys.readouterr().err == ""


def test_handlers_of_a_program_that_calls_main_are_left(tmp_path: Path) -> None:
    before = [signal.getsignal(one) for one in ENDINGS]
    assert main(["data", "show", str(tmp_path / "none.csv")]) == 2
    assert [signal.getsignal(one) for one in ENDINGS] == before
