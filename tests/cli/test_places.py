"""What cannot be written is refused in one line, before any work, in every verb."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from anymic.cli import main, options
from anymic.cli.verbs import VERBS, _function

WRITES = options.TABLE["writes"]
NAMES = {*WRITES["folders"], *WRITES["files"]}


def outputs() -> list[tuple[str, str]]:
    """Return every verb and option that names what is written."""
    return [
        (verb, name)
        for verb in VERBS
        for name, one in inspect.signature(_function(verb)).parameters.items()
        if name in NAMES and "Path" in str(one.annotation)
    ]


def refusal(verb: str, name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line with which a verb refuses a place; its other arguments are made up."""
    command = verb.split()
    for parameter in inspect.signature(_function(verb)).parameters.values():
        required = parameter.default is inspect.Parameter.empty and parameter.name != name
        value = "1" if "int" in str(parameter.annotation) else "missing"
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and required:
            command.append(value)
        elif required:
            command += [f"--{flag(verb, parameter.name)}", value]
    command += ["esc50", "--root", "."] if verb == "data prepare" else []
    capsys.readouterr()
    assert main([*command, f"--{flag(verb, name)}", str(place)]) == 2, command
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def flag(verb: str, name: str) -> str:
    found: Any = options.entry(verb, name, argument=False)
    return str(found.get("flag", name.replace("_", "-")))


def test_every_verb_that_writes_is_known() -> None:
    assert len(outputs()) > 30
    assert {verb for verb, name in outputs() if name == "out"} >= {*WRITES["out_file"], "demo"}


@pytest.mark.parametrize(("verb", "name"), outputs(), ids="-".join)
def test_a_place_that_cannot_be_is_refused(
    verb: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    suffix = ".png" if "plot" in (verb.split()[0], name) else ".wav"
    err = refusal(verb, name, taken / f"x{suffix}", capsys)
    assert f"The path {taken} is a file. Expected a folder." in err
    is_file = name in WRITES["files"] or (name == "out" and verb in WRITES["out_file"])
    if is_file:
        folder = tmp_path / f"folder{suffix}"
        folder.mkdir()
        assert f"The path {folder} is a folder. Expected a file." in refusal(
            verb, name, folder, capsys
        )
    elif verb not in WRITES["out_any"]:
        assert f"The path {taken} is a file" in refusal(verb, name, taken, capsys)
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["taken"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root becomes another")
def test_a_place_without_permission_is_refused(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; import anymic._internal.files\n"
        "from anymic.cli.inputs import require_place\n"
        "os.chdir(sys.argv[1]); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "require_place(Path('new') / 'run')"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"Nothing can be written to {tmp_path}" in done.stderr or "Permission" in done.stderr


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder that nobody can write to")
def test_a_place_that_nobody_can_write_to_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("train", "data encode", "demo"):
        err = refusal(verb, "out", Path("/proc/anymic"), capsys)
        assert err.startswith("error: Nothing can be written to /proc. Expected")


def test_a_missing_folder_of_a_recording_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "none" / "x.wav"
    apply = ["codec", "apply", "x.wav", "--codec", "mu-law", "--kbps", "64", "--out", str(place)]
    assert main(apply) == 2
    err = capsys.readouterr().err
    assert f"The folder {place.parent} is missing" in err
    assert f"The folder {place.parent} is missing" in refusal("correct", "out", place, capsys)


@pytest.mark.parametrize(
    "command",
    [
        "train --data {clips} --set frontend.rate_hz=8000 --set epochs=1 --out {disk}/run",
        "data encode {clips} --codecs {codecs} --out {disk}/coded",
        "evaluate {model} --data {clips} --out {disk}/report",
        "embed {sounds} --model {model} --out {disk}/features.npz",
        "predict {sounds} --model {model} --submission {disk}/answers.csv",
        "correct {sounds}/b1.wav --profile {model}/profile.json --device B --out {disk}/x.wav",
        "data prepare folder --root {folder} --out {disk}/clips.csv",
    ],
    ids=lambda command: " ".join(command.split()[:2]),
)
def test_a_full_disk_is_one_line_with_the_file_and_the_disk(
    command: str,
    small_disk: Path,
    bundle_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "sounds"
    for number, label in enumerate(("dog", "rain", "siren")):
        (folder / label).mkdir(parents=True)
        for each in range(2):
            noise = np.random.default_rng(number).normal(0, 0.1, 8000)
            soundfile.write(folder / label / f"b{each}.wav", noise, 8000)
    clips, codecs = folder, tmp_path / "codecs.yaml"
    codecs.write_text("codecs: {mu-law: [64]}\n")
    with suppress(OSError), (small_disk / "other").open("wb", buffering=0) as other:
        while True:
            other.write(bytes(4096))
    places = {"clips": clips, "codecs": codecs, "model": bundle_folder, "folder": folder}
    told = command.format(**places, disk=small_disk, sounds=folder / "dog").split()
    assert main(told) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert f" cannot be written, because the disk {small_disk} is full. Expected free space" in err
    assert err.startswith(f"error: {small_disk}")
    assert not [each for each in small_disk.rglob("*") if each.name.endswith(".part")]
