"""How functions become commands, and that verbs.yaml fits them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from anymic.cli import main, options
from anymic.cli.printing import Outcome
from anymic.cli.verbs import VERBS, Verbs
from anymic.errors import Failure


def parameters() -> Iterator[tuple[str, str, bool]]:
    """Return the parameters of every verb: verb, name, and whether it is an argument."""
    for verb in VERBS:
        group, _, name = verb.rpartition(" ")
        for parameter in Verbs(group=group).get_command(None, name).params:
            yield verb, parameter.name, parameter.param_type_name == "argument"


def test_every_parameter_has_a_help_text() -> None:
    found = list(parameters())
    assert len(found) > 150
    for verb, name, argument in found:
        text = options.entry(verb, name, argument=argument)["help"]
        assert text
        assert text == " ".join(text.split()), (verb, name)


def test_every_entry_is_used() -> None:
    """In its verb, or in two verbs at least where it is shared."""
    found = list(parameters())
    own = {(verb, name) for verb, each in options.TABLE["verbs"].items() for name in each}
    assert own <= {(verb, name) for verb, name, _ in found}
    for section, argument in (("arguments", True), ("options", False)):
        for shared in options.TABLE[section]:
            users = [
                verb
                for verb, name, kind in found
                if (name, kind) == (shared, argument) and (verb, name) not in own
            ]
            assert len(users) > 1, shared


def test_groups_are_those_of_the_verbs() -> None:
    assert set(options.TABLE["groups"]) == {verb.split()[0] for verb in VERBS if " " in verb}


def count(
    place: str, more: str = "", *, number: int, quiet: bool = False, check: bool = True
) -> Outcome:
    """Count."""
    plain = {"place": place, "more": more, "number": number, "quiet": quiet, "check": check}
    failures = [Failure("x.wav", "No file")] if number == 3 else []
    return Outcome(plain, [f"{number} of {place}"], failures, files=9, notes=["a note"])


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    texts = {"place": "A place.", "more": "More.", "quiet": "No output.", "check": "Check."}
    number = {"flag": "n", "min": 1, "metavar": "N", "help": "A number."}
    table = {**options.TABLE, "verbs": {"count": {**texts, "number": number}}}
    monkeypatch.setattr(options, "TABLE", table)
    app = typer.Typer(rich_markup_mode=None)
    app.command()(options.as_command("count", count))
    return app


def test_positional_parameters_are_arguments_and_others_options(counting: typer.Typer) -> None:
    command: Any = get_command(counting)
    kinds = {each.name: (each.param_type_name, each.required) for each in command.params}
    assert kinds["place"] == ("argument", True)
    assert kinds["more"] == ("argument", False)
    assert kinds["number"] == ("option", True)
    assert kinds["quiet"] == ("option", False)
    text = CliRunner().invoke(counting, ["--help"]).stdout
    assert "--n N" in text
    assert "--check / --no-check" in text
    assert "--no-quiet" not in text
    assert "Print the outcome as JSON." in text


def test_an_outcome_is_printed_as_text_or_as_json(counting: typer.Typer) -> None:
    shown = CliRunner().invoke(counting, ["here", "--n", "2"])
    assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "2 of here\n", "note: a note\n")
    shown = CliRunner().invoke(counting, ["here", "--n", "3", "--no-check", "--json"])
    assert shown.exit_code == 1
    assert '"check": false' in shown.stdout
    assert shown.stderr == "failed: x.wav: No file\n1 of 9 files failed\n"
    assert CliRunner().invoke(counting, ["here", "--n", "0"]).exit_code == 2


def test_a_function_stays_as_it_is() -> None:
    """It can be called from Python, and has no trace of typer."""
    before = inspect.signature(count)
    assert count("here", number=2).plain["number"] == 2
    assert inspect.signature(count) == before
    with pytest.raises(KeyError, match="unknown"):
        options.entry("train", "unknown", argument=False)


def test_the_help_of_a_verb_without_options_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["data", "encode", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Clips worked on at once. By default one a processor. [x>=1]" in text
