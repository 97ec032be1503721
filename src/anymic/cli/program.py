"""The program: it runs a verb, and turns errors into one line and an exit status."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from anymic._internal.processors import prepare_threads
from anymic.cli import signals, wrong_use
from anymic.cli.options import TABLE, with_address
from anymic.cli.streams import as_line, give_up, open_streams
from anymic.cli.verbs import Verbs

# Click's ClickException; typer has come to keep click to itself.
WRONG_USE: type[Exception] = typer.BadParameter.__mro__[2]

COMPLETION = "_ANYMIC_COMPLETE"  # the variable by which a shell asks

app = typer.Typer(
    cls=Verbs,
    help=TABLE["about"],
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --version: print what a bug report needs.")
    ] = False,
) -> None:
    if version:
        if verbose:
            from anymic._internal.environment import show_versions

            show_versions()
        else:
            from anymic._version import version as running

            typer.echo(f"anymic {running()}")
        raise typer.Exit
    if verbose:
        raise typer.BadParameter("--verbose belongs to --version")
    if context.invoked_subcommand is None:
        raise typer.BadParameter("a command is missing")


def run(arguments: Sequence[str] | None) -> int:
    """Run a command as `anymic.cli.main` does; a signal raises an exception."""
    open_streams()
    prepare_threads()
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
    """Run a command as `run` does; an error in printing is raised."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if any("\0" in one for one in given):  # which no system call takes
            return _refuse("An argument has a null byte. Expected text. Remove the byte.")
        return _invoke(with_address(given))
    except BaseException as error:
        sent = _signal_of(error)
        if sent is not None:
            print(signals.LINES[sent], file=sys.stderr)
            return 128 + sent
        if isinstance(error, WRONG_USE):
            return _refuse_use(error, given)
        if isinstance(error.__context__, BrokenPipeError) and isinstance(error, SystemExit):
            raise error.__context__ from None  # of which rich makes status 1
        line = _line_of(error)
        if not line:
            raise
        return _refuse(line)


def _invoke(arguments: list[str]) -> int:
    program = get_command(app)
    if COMPLETION in os.environ:  # a shell asks what may follow
        program.main([], prog_name="anymic", complete_var=COMPLETION)
    try:  # the function of typer does more: every EOFError is an interruption to it
        with program.make_context("anymic", arguments) as context:
            status = context.command.invoke(context)
    except typer.Exit as ended:
        return int(ended.exit_code)
    return status if isinstance(status, int) else 0


def _signal_of(error: BaseException) -> signal.Signals | None:
    """Return the signal that an exception comes from; None if it has another cause."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return signal.SIGINT
    if isinstance(error, SystemExit) and error.code == signals.TERMINATED:
        return signal.SIGTERM
    return signals.received()


def _line_of(error: BaseException) -> str:
    """Return the line that says why a command was refused; none for an error in printing."""
    from anymic.errors import AnymicError

    if isinstance(error, AnymicError):
        return str(error)
    if isinstance(error, OSError) and not (error.errno and error.filename is None):
        return as_line(error)
    return ""


def _refuse_use(error: Any, given: Sequence[str]) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return 2
    return _refuse(wrong_use.line_of(error, given))


def _refuse(line: str) -> int:
    from anymic.errors import readable

    print("error: " + readable(line), file=sys.stderr)
    return 2
