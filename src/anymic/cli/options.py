"""Functions as commands: what their parameters are called and what --help says about them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import typer

from anymic._internal.settings import read_yaml
from anymic.cli.inputs import require_place
from anymic.cli.printing import Outcome

TABLE = read_yaml(Path(__file__).with_name("verbs.yaml"))

ADDRESS = re.compile(r"auto|local|\S+:\d+")  # of a Ray cluster

_JSON = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool)


def with_address(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with an empty address for a --ray that no address follows."""
    given = list(arguments)
    for number, one in enumerate(given):
        if one == "--":  # files follow
            break
        if one == "--ray" and not ADDRESS.fullmatch("".join(given[number + 1 : number + 2])):
            given[number] = "--ray="
    return given


def as_command(verb: str, function: Callable[..., Outcome | None]) -> Callable[..., None]:
    """Return the function of a verb as typer registers it.

    Positional parameters are arguments and keyword-only ones options, described by verbs.yaml. A
    verb that returns an `Outcome`, which is printed, has the option --json too.

    Parameters
    ----------
    verb : str
        Its name in verbs.yaml, such as "data show".
    function : callable
    """
    hints = get_type_hints(function)
    parameters = dict(inspect.signature(function).parameters)
    takes_json = "as_json" in parameters
    if hints["return"] is not type(None):
        parameters.setdefault("as_json", _JSON)

    def command(**given: Any) -> None:
        _check_places(verb, given)
        as_json = given["as_json"] if takes_json else given.pop("as_json", False)
        outcome = function(**given)
        if outcome is not None:
            outcome.show(as_json=as_json)

    described = [
        parameter.replace(annotation=hints.get(name, bool), default=_described(verb, parameter))
        for name, parameter in parameters.items()
    ]
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in described]
    )
    command.__doc__ = function.__doc__
    return command


def _check_places(verb: str, given: Mapping[str, Any]) -> None:
    """Refuse places that cannot be written to; `writes` in verbs.yaml names the options."""
    writes = TABLE["writes"]
    of_out = next((kind for kind in ("file", "any") if verb in writes[f"out_{kind}"]), "folder")
    kinds = dict.fromkeys(writes["folders"], "folder") | dict.fromkeys(writes["files"], "file")
    for name, kind in {**kinds, "out": of_out}.items():
        if isinstance(place := given.get(name), Path):
            require_place(place, kind=kind)


def entry(verb: str, name: str, *, argument: bool) -> Mapping[str, Any]:
    """Return what verbs.yaml says of a parameter: its own text in this verb, else the shared one.

    Raises
    ------
    KeyError
        If there is none.
    """
    own = TABLE["verbs"][verb]
    found = own[name] if name in own else TABLE["arguments" if argument else "options"][name]
    return {"help": found} if isinstance(found, str) else found


def _described(verb: str, parameter: inspect.Parameter) -> Any:
    """Return typer's description of a parameter, which holds its default."""
    argument = parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    settings = dict(entry(verb, parameter.name, argument=argument))
    default = ... if parameter.default is inspect.Parameter.empty else parameter.default
    if argument:
        return typer.Argument(default, **settings)
    flag = settings.pop("flag", parameter.name.replace("_", "-"))
    both = f"/--no-{flag}" if default is True else ""
    return typer.Option(default, f"--{flag}{both}", **settings)
