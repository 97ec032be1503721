"""The program as a whole: what it says, how it ends, how fast it starts."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from packaging.version import Version

from anymic._internal.garbage import FULL
from anymic.cli import app, main
from anymic.cli.verbs import VERBS
from anymic.training.config import presets

AT_THE_TOP = ("train", "evaluate", "predict", "calibrate", "correct", "demo", "data", "reproduce")


def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "anymic", *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in AT_THE_TOP:
        assert f"\n  {verb} " in text


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_shows_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*verb.split(), "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"Example: anymic {verb}" in text


def test_help_names_every_preset(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    named = text.split("Settings by name: ")[1].split(".")[0].split(", ")
    assert sorted(named) == presets()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("anymic ")


@pytest.mark.parametrize(
    ("arguments", "new"),
    [
        ("calibrate-probabilities run --data clips.csv", "anymic calibrate"),
        ("calibrate takes.csv --reference A --out profile.json", "anymic devices profile"),
        ("calibrate takes.csv --split train", "anymic devices profile"),
        ("calibrate takes --out=profile.json", "anymic devices profile"),
        ("data even clips.csv --out balanced", "anymic data balance"),
        ("devices route run --unknown blind", "anymic devices policy"),
        ("train --data clips --out run --devices 2", "--trainer devices=2"),
        ("train --data clips --out run --num-nodes=3", "--trainer num_nodes=3"),
        ("finetune run --data clips --out tuned --accelerator gpu", "--trainer accelerator=gpu"),
    ],
)
def test_an_old_name_gives_the_new_one(
    arguments: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"`{new}`" in err
    assert err.count("\n") == 1


def test_verbs_of_other_packages(tmp_path: Path) -> None:
    """A function is a verb; what cannot be loaded is one line, and ends no other verb."""
    (tmp_path / "hello_verb.py").write_text(
        "def hello(name: str = 'you') -> None:\n"
        '    """Greet someone."""\n'
        "    print(f'hello {name}')\n"
    )
    entry = tmp_path / "hello-1.0.dist-info"
    entry.mkdir()
    (entry / "METADATA").write_text("Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
    (entry / "entry_points.txt").write_text(
        "[anymic.commands]\nhello = hello_verb:hello\nbroken = no_such_module:app\n"
        "number = sys:maxsize\ntrain = hello_verb:hello\n"
    )
    ran = partial(
        run, env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(tmp_path)])}
    )
    assert ran("hello", "--name", "all").stdout == "hello all\n"
    shown = ran("--help")
    assert shown.returncode == 0
    assert "Greet someone" in shown.stdout
    assert "cannot be loaded" in shown.stdout
    for name, why in (("broken", "No module named 'no_such_module'"), ("number", "is int")):
        done = ran(name, "--anything")
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert why in done.stderr
        assert "of the package hello" in done.stderr
    assert "--preset" in ran("train", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["predikt"], "error: No such command 'predikt'"),
        (["predict", "--modle", "x"], "error: No such option: --modle"),
        (["predict"], "error: Missing argument"),
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


@pytest.mark.skipif(
    Version(metadata.version("typer")) < Version("0.29"), reason="older versions of typer say it"
)
@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--top", "none", "a whole number"),
        ("--top", "1.5", "a whole number"),
        ("--workers", "0", "1 or more"),
        ("--hop", "", "a number"),
    ],
)
def test_an_impossible_value_is_named(
    option: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "a.wav", "--model", "m", option, value]) == 2
    assert capsys.readouterr().err == (
        f"error: {option} is {value or 'empty'}. Expected {expected}. Correct the value"
        " (see anymic predict --help)\n"
    )


def test_a_program_searches_all_objects_for_cycles_seldom_and_none_when_it_ends() -> None:
    """Nearly all of some hundred thousand objects belong to modules, which stay."""
    code = "import gc, sys; from anymic.cli import main; main()"
    code += "; print(len(gc.get_objects()), gc.isenabled(), *gc.get_threshold())"
    command = [sys.executable, "-c", code, "codec", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    left, enabled, *thresholds = done.stdout.splitlines()[-1].split()
    assert int(left) < 1000
    assert enabled == "True"
    assert int(thresholds[-1]) == FULL


def test_a_call_from_python_leaves_the_search_for_cycles_as_it_is() -> None:
    before = gc.get_threshold()
    gc.set_threshold(701, 11, 12)
    try:
        assert main(["codec", "list"]) == 0
        assert gc.get_threshold() == (701, 11, 12)
    finally:
        gc.set_threshold(*before)


def test_a_file_whose_name_begins_with_a_dash(
    bundle_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("-dog.wav", np.full(8000, 0.1), 8000)
    assert main(["predict", "-dog.wav", "--model", str(bundle_folder)]) == 2
    assert "a file whose name begins with a dash is ./-dog.wav)" in capsys.readouterr().err
    assert main(["predict", "./-dog.wav", "--model", str(bundle_folder)]) == 0


def test_without_arguments_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().out


def test_interruption_and_disk_errors(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "m.csv").touch()
    monkeypatch.setattr("anymic.data.manifest.Manifest.read", stop)
    assert main(["data", "show", str(tmp_path / "m.csv")]) == 130
    assert capsys.readouterr().err == "interrupted\n"

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "run/x")

    monkeypatch.setattr("anymic.data.manifest.Manifest.read", full)
    assert main(["data", "show", str(tmp_path / "m.csv")]) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: run/x cannot be written, because the disk /")
    assert line.endswith("another disk.\n")
    assert line.count("\n") == 1


@pytest.mark.alone
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
    assert done.stderr in ("", "all 200 files failed\n")


def test_module_and_program_are_the_same() -> None:
    done = run("predict", "x.wav", "--model", "nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("error: No folder nowhere")
    assert done.stdout == ""
    assert app.info.no_args_is_help
