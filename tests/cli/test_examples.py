"""The examples of `--help` are commands that the program accepts; those of one moment run."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import workspace

from anymic.cli import main
from anymic.cli.verbs import VERBS

CONSOLE = re.compile(r"^```console\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
RUN = {"data show", "codec apply", "predict", "embed", "correct", "devices fit", "card"}


PAGES = runpy.run_path(str(Path(__file__).parents[2] / "docs/_extensions/verbs.py"))
command_of: Callable[[str], Any] = PAGES["command_of"]


def examples_of(verb: str) -> list[str]:
    """Return the commands in the help of a verb, which its page shows as blocks."""
    blocks = CONSOLE.findall(PAGES["paragraphs"](command_of(verb).help or ""))
    return [line for block in blocks for line in block.splitlines()]


EXAMPLES = [(verb, line) for verb in VERBS for line in examples_of(verb)]


def test_every_verb_has_an_example() -> None:
    assert {verb for verb, _ in EXAMPLES} == set(VERBS)


@pytest.mark.parametrize(("verb", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_the_program_accepts_the_example(verb: str, line: str) -> None:
    """Arguments and options are parsed, with their types; nothing is done."""
    program, *arguments = shlex.split(line)
    names = verb.split()
    assert [program, *arguments[: len(names)]] == ["anymic", *names]
    command_of(verb).make_context(verb, arguments[len(names) :])


@pytest.mark.usefixtures("one_thread")
def test_examples_for_the_folder_of_the_pages_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the verbs, in one folder."""
    place = workspace.make(tmp_path / "place")
    shutil.copy(workspace.GOLDEN / "profile.json", place)
    shutil.copy(place / "x.wav", place / "street.wav")
    monkeypatch.chdir(place)
    lines = [line for verb, line in EXAMPLES if verb in RUN]
    assert len(lines) >= len(RUN)
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, line
