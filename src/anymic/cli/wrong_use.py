"""The line that says how a command was used wrongly: unknown options, impossible values."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

# What a value must be, by the kind of the parser's error, with the limits that the error states.
EXPECTED = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
}


def line_of(error: Any, given: Sequence[str]) -> str:
    """Return what is wrong, and where the help stands; `given` are the arguments."""
    command = getattr(getattr(error, "ctx", None), "command_path", "anymic")
    files = [one for one in given if one.startswith("-") and os.path.isfile(one)]
    hint = f"; a file whose name begins with a dash is ./{files[0]}" if files else ""
    return f"{_of_value(error) or error.format_message()} (see {command} --help{hint})"


def _of_value(error: Any) -> str:
    """Return the problem of a value that is no number or beyond a limit; "" where it is another.

    Older versions of typer say so in words of their own, and give no errors to read.
    """
    parameter, cause = getattr(error, "param", None), error.__cause__
    if parameter is None or not hasattr(cause, "errors"):
        return ""
    first = cause.errors()[0]
    if first["type"] not in EXPECTED:
        return ""
    expected = EXPECTED[first["type"]].format(**first.get("ctx", {}))
    option = getattr(parameter, "param_type_name", "") == "option"
    name = max(parameter.opts, key=len) if option else parameter.human_readable_name
    value = str(first["input"])[:100]
    return f"{name} is {value or 'empty'}. Expected {expected}. Correct the value"
