"""The program as a whole: what it says, how it ends, how fast it starts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from anymic.cli import app, main
from anymic.training.config import presets

VERBS = ("train", "evaluate", "predict", "calibrate", "correct", "demo", "data", "reproduce")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "anymic", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in VERBS:
        assert f"\n  {verb} " in text


def verbs(app: typer.Typer, *path: str) -> list[tuple[str, ...]]:
    """List the words of every verb, those of groups included: ("data", "show")."""
    found = []
    for command in app.registered_commands:
        assert command.callback is not None
        found.append((*path, command.name or command.callback.__name__))
    for group in app.registered_groups:
        assert group.typer_instance is not None
        assert group.name is not None
        found += verbs(group.typer_instance, *path, group.name)
    return found


@pytest.mark.parametrize("verb", verbs(app), ids=" ".join)
def test_help_of_a_verb_shows_an_example(
    verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*verb, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"Example: anymic {' '.join(verb)}" in text


def test_help_names_every_preset(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    named = text.split("Settings by name: ")[1].split(".")[0].split(", ")
    assert sorted(named) == presets()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("anymic ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["predikt"], "error: No such command 'predikt'"),
        (["predict", "--modle", "x"], "error: No such option: --modle"),
        (["predict"], "error: Missing argument"),
        (["predict", "a.wav", "--model", "m", "--top", "none"], "error: Invalid value"),
    ],
)
def test_wrong_use_is_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert "--help)" in err
    assert err.count("\n") == 1


def test_without_arguments_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().out


def test_interruption_and_disk_errors(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("anymic.data.manifest.Manifest.read", stop)
    assert main(["data", "show", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "interrupted\n"

    def full(_: object) -> None:
        raise OSError(28, "No space left on device", "run/x")

    monkeypatch.setattr("anymic.data.manifest.Manifest.read", full)
    assert main(["data", "show", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: No space left on device: run/x\n"


def test_help_comes_at_once_and_loads_nothing_heavy() -> None:
    script = (
        "import sys; from anymic.cli import main; main(['--help']);"
        "heavy = {'torch', 'numpy', 'pandas', 'librosa', 'sklearn', 'av', 'pytorch_lightning'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    begin = time.process_time(), os.times().children_user
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
    assert os.times().children_user - begin[1] < 0.5  # of processor time: other work may go on


def test_a_reader_that_leaves_is_no_error(bundle_folder: Path) -> None:
    """`anymic predict ... | head -0`: quiet, and nothing at exit either."""
    places = " ".join(f"missing{number}.wav" for number in range(200))
    command = f"{sys.executable} -m anymic predict {places} --model {bundle_folder} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr in ("", "200 of 200 files failed\n")


def test_module_and_program_are_the_same() -> None:
    done = run("predict", "x.wav", "--model", "nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("error: got no folder nowhere")
    assert done.stdout == ""
    assert app.info.no_args_is_help
