"""Every error is one line of sentences."""

from __future__ import annotations

import pytest

from anymic.errors import AnymicError, AudioError, Failure

FULL = "No file x.yaml. Expected a YAML file. Check the path."


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
