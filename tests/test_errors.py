"""Every error is one line of sentences in plain English, without options of the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from anymic.errors import AnymicError, AudioError, Failure, part_of

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "anymic"
FULL = "No file x.yaml. Expected a YAML file. Check the path."
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
OF_OTHERS = {
    "--form",
    "--raw-channels",
    "--raw-rate",
    "--raw-format",
    "--upgrade",
    "--sans",
    "--always",
    "--abbrev",
    "--exclude",
    "--dirty",
}  # programs, CSS
UNCLEAR = re.compile(r"\b(hears?|heard|listen\w*|mend|wanted|got|stranger?s?|surely|e\.g)\b")


def test_an_error_is_three_sentences_on_one_line() -> None:
    error = AudioError("no file\n x.yaml", expected="a  YAML file", fix="check the path")
    assert str(error) == FULL
    assert (error.problem, error.fix) == ("no file\n x.yaml", "check the path")
    assert Failure("x.yaml", str(error)).reason == FULL


def test_what_is_not_given_is_left_out() -> None:
    assert str(AnymicError("no file x.yaml")) == "No file x.yaml."
    assert str(AnymicError("no file", fix="check the path")) == "No file. Check the path."
    assert str(AnymicError("no file", expected="a file")) == "No file. Expected a file."


@pytest.mark.parametrize("name", ["x.wav", "a/b", "--split", "start_s", "fold=3", "'dog'", "µ-law"])
def test_a_name_at_the_beginning_keeps_its_spelling(name: str) -> None:
    assert str(AnymicError(f"{name} is wrong", fix=f"{name} is better")) == (
        f"{name} is wrong. {name} is better."
    )


def test_no_full_stop_is_doubled() -> None:
    assert str(AnymicError(FULL, fix="did you mean 'y.yaml'?")) == f"{FULL} Did you mean 'y.yaml'?"


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and text of the strings in a node, constant parts of formatted ones too."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.lineno, part.value


def test_only_the_command_line_names_its_options() -> None:
    """A library message names the argument or the setting, which Python users have as well."""
    named = [
        f"{file.relative_to(PACKAGE)}:{line}: {option}"
        for file in modules()
        if file.relative_to(PACKAGE).parts[0] != "cli"
        for line, text in texts(ast.parse(file.read_text(encoding="utf-8")))
        for option in OPTION.findall(text)
        if option not in OF_OTHERS
    ]
    assert not named, named


def test_no_message_holds_another_one() -> None:
    """Of an error of the library that another one is about, the problem is told."""
    ours = {"AnymicError", *(one.__name__ for one in subclasses(AnymicError))}
    nested = [
        f"{file.relative_to(PACKAGE)}:{value.lineno}"
        for file in modules()
        for handler in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(handler, ast.ExceptHandler) and handler.type is not None
        if {one.id for one in ast.walk(handler.type) if isinstance(one, ast.Name)} & ours
        for value in ast.walk(handler)
        if isinstance(value, ast.FormattedValue)
        if isinstance(value.value, ast.Name)
        if value.value.id == handler.name
        if file.relative_to(PACKAGE).parts[0] != "cli"  # which prints
    ]
    assert not nested, nested


def subclasses(parent: type[AnymicError]) -> Iterator[type[AnymicError]]:
    for one in parent.__subclasses__():
        yield one
        yield from subclasses(one)


def test_messages_are_plain_statements() -> None:
    """No private words; `Expected` and the full stops are added where the line is put together."""
    unclear = []
    for file in modules():
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not _is_error(call.func):
                continue
            for line, text in texts(call):
                plain = re.sub(r"`[^`]*`", "", text)  # code keeps its names
                if UNCLEAR.search(plain) or re.search(r"[^.]\.$", plain) or "xpected" in plain[:8]:
                    unclear.append(f"{file.relative_to(PACKAGE)}:{line}: {text}")
    assert not unclear, unclear


def _is_error(called: ast.expr) -> bool:
    name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
    return name.endswith("Error")


@pytest.mark.parametrize(
    ("part", "number", "text"),
    [
        (0, 1, "no clip set aside is"),
        (0, 3, "no clip set aside is"),
        (1, 1, "the only clip set aside is"),
        (1, 3, "1 of 3 clips set aside is"),
        (2, 3, "2 of 3 clips set aside are"),
        (3, 3, "all 3 clips set aside are"),
    ],
)
def test_a_part_of_a_number_is_worded(part: int, number: int, text: str) -> None:
    assert part_of(part, number, "clip", "set aside", verb=("is", "are")) == text
    assert part_of(part, number, "clip", "set aside") == text.rsplit(" ", 1)[0]


def test_no_message_words_a_part_of_a_number_itself() -> None:
    """`part_of` has the singular, and a message that counts by itself says "1 of the 1 clip"."""
    own = [
        f"{file.relative_to(PACKAGE)}: {found}"
        for file in modules()
        for found in re.findall(r"\} of (?:the )?\{counted\([^}]*\}", file.read_text("utf-8"))
    ]
    assert own == [], own
