"""The verbs of verbs.yaml and of other packages, each imported when it is used."""

from __future__ import annotations

import inspect
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from anymic.cli import renamed
from anymic.cli.options import TABLE, as_command
from anymic.errors import AnymicError, DependencyError

PLUGINS = "anymic.commands"  # the group of entry points under which other packages add verbs

VERBS = tuple(TABLE["verbs"])
GROUPS: dict[str, str] = TABLE["groups"]


class Verbs(TyperGroup):
    """The verbs of the program, or of one group, each imported when it is used.

    Parameters
    ----------
    group : str
        Name of the group; empty for the program as a whole.
    """

    def __init__(self, *, group: str = "", **settings: Any) -> None:
        super().__init__(**settings)
        self.group = group
        self.commands: Any = dict.fromkeys(_names(group))  # names only, for suggestions too

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of --help."""
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of that name; None where there is none.

        Raises
        ------
        DependencyError
            If a plugin's verb cannot be loaded.
        """
        if cmd_name not in self.commands:
            return None
        if not self.group and cmd_name in GROUPS:
            return Verbs(
                group=cmd_name,
                name=cmd_name,
                help=GROUPS[cmd_name],
                no_args_is_help=True,
                rich_markup_mode=None,
            )
        if not self.group and cmd_name in _plugins():
            return _plugin_command(cmd_name)
        verb = self._verb(cmd_name)
        return _typer_command(as_command(verb, _function(verb)), cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Refuse old names of verbs and options, else do as typer does."""
        if args:
            renamed.refuse_old(self._verb(args[0]), args[1:])
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each name with the first sentence of its docstring."""
        rows = [(name, _first_sentence(self._about(name))) for name in self.commands]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _about(self, name: str) -> str:
        """Return the help of a verb; its first sentence is shown."""
        if not self.group and name in GROUPS:
            return GROUPS[name]
        if not self.group and name in _plugins():
            return _about_plugin(name)
        return inspect.getdoc(_function(self._verb(name))) or ""

    def _verb(self, name: str) -> str:
        """Return the name of a verb with that of its group: "data show"."""
        return f"{self.group} {name}".strip()


def _names(group: str) -> list[str]:
    """Return the names in a group, or those at the top: verbs, groups and plugins."""
    if group:
        return [verb.split()[1] for verb in VERBS if verb.startswith(f"{group} ")]
    return list(dict.fromkeys([*(verb.split()[0] for verb in VERBS), *_plugins()]))


def _function(verb: str) -> Any:
    name = verb.replace(" ", "_").replace("-", "_")
    return getattr(import_module(f"anymic.cli.{name}"), name)


@cache
def _plugins() -> dict[str, EntryPoint]:
    """Return the verbs of other packages by name; they do not replace verbs of this package."""
    own = {verb.split()[0] for verb in VERBS}
    return {point.name: point for point in entry_points(group=PLUGINS) if point.name not in own}


def _about_plugin(name: str) -> str:
    try:
        return str(_plugin_command(name).get_short_help_str(1000))
    except AnymicError:
        return f"(cannot be loaded: run anymic {name} to see why)"


def _plugin_command(name: str) -> Any:
    """Return the command of a plugin, which is a Typer application or a function.

    Raises
    ------
    DependencyError
        If it cannot be imported, or is neither.
    """
    point = _plugins()[name]
    package = point.dist.name if point.dist else point.value
    try:
        found = point.load()
    except Exception as error:  # whatever another package raises must not end the program
        problem = f"{type(error).__name__}: {error}"
    else:
        if callable(found):
            return _typer_command(found, name)
        problem = f"{point.value} is {type(found).__name__}"
    raise DependencyError(
        f"the verb {point.name} of the package {package} cannot be loaded ({problem})",
        expected="a Typer application or a function",
        fix=f"repair or uninstall {package}",
    )


def _typer_command(found: Any, name: str) -> Any:
    application = found
    if not isinstance(found, typer.Typer):
        application = typer.Typer(add_completion=False, rich_markup_mode=None)
        application.command(name)(found)
    command = get_command(application)
    command.name = name
    return command


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split()).split(". ")[0].removesuffix(".")
