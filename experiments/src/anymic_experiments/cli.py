"""`anymic reproduce`: an experiment of the documentation, from recordings to its page."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from anymic.cli.settings import read_changes
from anymic.errors import ConfigError
from anymic_experiments.commands import Command, Option, papers, read_settings

if TYPE_CHECKING:
    from anymic_experiments.commands import Scale
    from anymic_experiments.conditions import Grid
    from anymic_experiments.experiment import Paper


class Papers(TyperGroup):
    """One command for each paper, made when it is asked for: `anymic --help` needs none of them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = dict.fromkeys(papers())  # names only, for suggestions too

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the papers."""
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a paper; None where there is none."""
        folder = papers().get(cmd_name)
        return None if folder is None else _command(cmd_name, folder)


app = typer.Typer(
    cls=Papers,
    help="Run an experiment of docs/results again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
TYPES: dict[str, Any] = {
    "path": Path | None,
    "paths": list[Path] | None,
    "number": int,
    "text": str,
    "texts": list[str] | None,
    "flag": bool,
}


@app.callback()
def reproduce() -> None:
    """Run an experiment of docs/results again."""


def _parameter(name: str, option: Option) -> inspect.Parameter:
    """Return an option as typer reads it from a signature."""
    least = 1 if option.kind == "number" else None
    described = typer.Option(f"--{name.replace('_', '-')}", help=option.help, min=least)
    default = False if option.kind == "flag" else option.default
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if option.required else default,
        annotation=Annotated[Path if option.required else TYPES[option.kind], described],
    )


def _command(name: str, folder: Path) -> Any:
    """Return the command of a paper, with the options of its grid file."""
    command = read_settings(Command, folder, key="command")

    def call(**given: Any) -> None:
        _run(folder.name, command, given)

    parameters = [_parameter(key, option) for key, option in command.all_options().items()]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    call.__doc__ = command.about
    application = typer.Typer(add_completion=False, rich_markup_mode=None)
    application.command(name)(call)
    made = get_command(application)
    made.name = name
    return made


def _run(name: str, command: Command, given: Mapping[str, Any]) -> None:
    scale, asked = command.scale(given), command.chosen(given)
    if command.corpus == "devices":
        _one_corpus(given, name)
    from anymic_experiments.experiment import Experiment, Paper

    paper, data = Paper.read(name), given.get("data") or ()
    experiment = Experiment(
        _changed(paper, scale, given["set"]),
        out=given["out"],
        data=(data,) if isinstance(data, Path) else tuple(data),
        scale=scale,
        workers=given["workers"],
        asked=asked,
        options=given,
    )
    line = shlex.join(["anymic", *sys.argv[1:]])
    written, text = paper.run(experiment, page_folder=given["page"], command=line)
    typer.echo(text)
    for path in written:
        typer.echo(path)


def _changed(paper: Paper, scale: Scale, pairs: Sequence[str] | None) -> Grid:
    """Return the grid of a paper with the settings that --set gives; a ConfigError names it."""
    changes = read_changes(pairs)
    try:
        return paper.changed(scale, changes)
    except ConfigError as error:
        given = "" if not changes else f"--set {' '.join(pairs or ())}: "
        raise ConfigError(
            f"{given}{error.problem}", expected=error.expected, fix=error.fix
        ) from error


def _one_corpus(given: Mapping[str, Any], name: str) -> None:
    """Refuse to reproduce a paper on no data, or on two kinds at once."""
    data, esc50, responses = (given[key] for key in ("data", "esc50", "responses"))
    if bool(data) == (esc50 is not None) or (esc50 is None) != (responses is None):
        raise ConfigError(
            "there is no data" if not data and esc50 is None else "the choice of data is unclear",
            expected="either --data, once a fold, or --esc50 with --responses",
            fix=f"see anymic reproduce {name} --help",
        )
