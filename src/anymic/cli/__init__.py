"""The command line: one file a verb, imported when the verb is used."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from anymic.cli.options import TABLE
from anymic.cli.streams import as_line, give_up, open_streams
from anymic.cli.verbs import Verbs

# Click's ClickException; typer has come to keep click to itself.
WRONG_USE: type[Exception] = typer.BadParameter.__mro__[2]

INTERRUPTED = 130
TERMINATED = 143

app = typer.Typer(
    cls=Verbs,
    help=TABLE["about"],
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"anymic {version('anymic')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    0: done. 1: done, but some files failed (they are listed). 2: not done, because of how it was
    called or what it was given; one line on stderr says why. 130: interrupted. 143: terminated.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; by default those of the process.
    """
    open_streams()
    try:
        with warnings.catch_warnings():
            _show_notes()
            status = _run(arguments)
        sys.stdout.flush()
    except OSError as error:  # of printing
        return give_up(error)
    return status


def _show_notes() -> None:
    """Print the library's warnings as notes, each text once."""
    from anymic.cli.printing import note
    from anymic.errors import AnymicWarning

    shown, notes = warnings.showwarning, set[str]()

    def show(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
        if not issubclass(category, AnymicWarning):
            shown(message, category, *place, **options)
        elif str(message) not in notes:
            notes.add(str(message))
            note(str(message))

    warnings.showwarning = show
    warnings.simplefilter("always", AnymicWarning)


def _run(arguments: Sequence[str] | None) -> int:
    """Run a command as `main` does; an error in printing is raised."""
    from anymic.errors import AnymicError

    try:
        status = app(
            args=None if arguments is None else list(arguments),
            prog_name="anymic",
            standalone_mode=False,
        )
        if status == INTERRUPTED:  # as newer typer says it
            raise KeyboardInterrupt
    except AnymicError as error:
        return _refuse(str(error))
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):
            raise ended.__context__ from None
        if ended.code != TERMINATED:
            raise
        print("terminated", file=sys.stderr)
        return TERMINATED
    except WRONG_USE as error:
        return _refuse_use(error)
    except OSError as error:
        if error.errno and error.filename is None:
            raise
        return _refuse(as_line(error))
    return status if isinstance(status, int) else 0


def _refuse_use(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return 2
    command = getattr(getattr(error, "ctx", None), "command_path", "anymic")
    return _refuse(f"{error.format_message()} (see {command} --help)")


def _refuse(line: str) -> int:
    from anymic.errors import readable

    print("error: " + readable(line), file=sys.stderr)
    return 2
