"""`anymic reproduce`: an experiment of the documentation, from recordings to its page."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from anymic.errors import ConfigError
from anymic_experiments.commands import KINDS, Command, Scale, papers, read_command

app = typer.Typer(
    help="Run an experiment of docs/results again.", no_args_is_help=True, rich_markup_mode=None
)
DATA: dict[str, dict[str, tuple[Any, str]]] = {
    "devices": {
        "data": (
            list[Path] | None,
            "A manifest with devices A, B, C and the splits train and test; repeated, one a fold.",
        ),
        "esc50": (Path | None, "In place of --data: ESC-50, to make multi-microphone ESC-10 from."),
        "responses": (Path | None, "With --esc50: folder of the MicIRP impulse responses."),
    },
    "clips": {"data": (Path, "A manifest of clips with a column split (train, test) or fold.")},
    "simulated": {
        "esc50": (Path, "Folder of ESC-50, as published (or its ESC-10)."),
        "responses": (Path, "Folder of the MicIRP impulse responses."),
    },
}


@app.callback()
def reproduce() -> None:
    """Run an experiment of docs/results again."""


def _parameters(command: Command) -> dict[str, tuple[Any, Any, Any]]:
    """Return the options of a paper by name: type, default and typer's description."""

    def option(kind: Any, text: str, default: Any = None, **more: Any) -> tuple[Any, Any, Any]:
        required = kind is Path
        return (
            kind,
            inspect.Parameter.empty if required else default,
            typer.Option(help=text, **more),
        )

    found = {name: option(kind, text) for name, (kind, text) in DATA[command.corpus].items()}
    found["out"] = option(Path, "Folder for all that is made and for the report.")
    if command.scales:
        text = " ".join(f"{name}: {about}" for name, about in command.scales.items())
        found["scale"] = option(str, text, "small")
    for kind in KINDS:
        known = [str(number) for part in command.parts if (number := getattr(part, kind))]
        if known:
            text = f"Only this {kind}: {' or '.join(known)}; may be repeated."
            found[kind] = option(list[str] | None, text)
    for part in command.parts:
        if part.flag:
            text = typer.Option(f"--{part.flag}", help=part.help)
            found[part.flag] = (bool, False, text)
    for name, own in command.options.items():
        number = own.kind == "number"
        least = {"min": 1} if number else {}
        found[name] = option(int if number else Path | None, own.help, own.default, **least)
    found["seeds"] = option(int, "Number of seeds: 0, 1, ...", command.seeds, min=1)
    found["workers"] = option(int, "Processes at a time.", 2, min=1)
    found["page"] = option(Path | None, "Also write the page and its figures into this folder.")
    return found


def _add(name: str, folder: Path) -> None:
    command = read_command(folder)

    def call(**given: Any) -> None:
        _run(folder.name, command, given)

    parameters = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for key, (annotation, default, described) in _parameters(command).items()
        for kind in (Annotated[annotation, described],)
    ]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    call.__doc__ = command.about
    app.command(name)(call)


def _run(name: str, command: Command, given: Mapping[str, Any]) -> None:
    scale = given.get("scale", "small")
    if scale not in get_args(Scale):
        raise ConfigError(f"--scale is {scale}", expected=" or ".join(get_args(Scale)))
    asked = command.chosen(given)
    if command.corpus == "devices":
        _one_corpus(given, name)
    from anymic_experiments.experiment import Experiment, Paper

    paper = Paper.read(name)
    own = {key: given[key] for key in (*command.options, "esc50", "responses") if key in given}
    data = given.get("data") or ()
    experiment = Experiment(
        paper.grid,
        out=given["out"],
        data=(data,) if isinstance(data, Path) else tuple(data),
        scale=scale,
        seeds=tuple(range(given["seeds"])),
        workers=given["workers"],
        asked=asked,
        options=own,
    )
    line = shlex.join(["anymic", *sys.argv[1:]])
    written, text = paper.run(experiment, page_folder=given["page"], command=line)
    typer.echo(text)
    for path in written:
        typer.echo(path)


def _one_corpus(given: Mapping[str, Any], name: str) -> None:
    """Refuse to reproduce a paper on no data, or on two kinds at once."""
    data, esc50, responses = (given[key] for key in ("data", "esc50", "responses"))
    if bool(data) == (esc50 is not None) or (esc50 is None) != (responses is None):
        raise ConfigError(
            "there is no data" if not data and esc50 is None else "the choice of data is unclear",
            expected="either --data, once a fold, or --esc50 with --responses",
            fix=f"see anymic reproduce {name} --help",
        )


for _name, _folder in papers().items():
    _add(_name, _folder)
