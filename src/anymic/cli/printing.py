"""What verbs print: their outcome, notes, and the files that failed."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

from anymic._internal.terminal import print_line
from anymic.errors import Failure, part_of, readable, visible

if TYPE_CHECKING:
    from anymic.bundle import Bundle
    from anymic.inference.embedding_head import VectorHead

PIPE_COLUMNS = 10_000


@dataclass(frozen=True)
class Outcome:
    """What a verb returns: it is printed as text or, with --json, as JSON.

    Attributes
    ----------
    plain : object
        Mappings, lists, texts and numbers for JSON.
    lines : iterable
        What is printed without --json: texts, and tables of rich.
    failures : collection of Failure
        The files that could not be used. They are listed on stderr, and the exit status is 1.
    files : int, optional
        Number of all files, where the share that failed is printed.
    notes : sequence of str
        Printed on stderr without --json; `plain` holds them.
    status : int
        The exit status where no file failed.
    """

    plain: Any
    lines: Iterable[Any]
    failures: Collection[Failure] = ()
    files: int | None = None
    notes: Sequence[str] = ()
    status: int = 0

    def show(self, *, as_json: bool) -> None:
        """Print the outcome; raise `typer.Exit` where the exit status is not 0."""
        if as_json:
            print_json(self.plain)
        else:
            note(*self.notes)
            print_lines(*self.lines)
        for failure in self.failures:
            print_line(f"failed: {visible(failure.path)}: {failure.reason}", file=sys.stderr)
        exit_if_failed(len(self.failures), self.files)
        if self.status:
            raise typer.Exit(self.status)


def print_lines(*lines: Any) -> None:
    """Print texts as they are, and tables of rich as wide as the terminal.

    Into a pipe or a file, each row is one line, however wide, unless COLUMNS is set.
    """
    for line in lines:
        if isinstance(line, str):
            print_line(line)
        else:
            from rich.console import Console

            # Labels and file names stand in tables as they are.
            fits = sys.stdout.isatty() or "COLUMNS" in os.environ
            Console(markup=False, emoji=False, width=None if fits else PIPE_COLUMNS).print(line)


def command_line() -> str:
    """Return the command that is running, as a shell would accept it again."""
    return shlex.join(["anymic", *sys.argv[1:]])


def note(*texts: str) -> None:
    """Print notes on stderr; empty ones are left out."""
    for text in filter(None, texts):
        print_line(f"note: {readable(text)}", file=sys.stderr)


def print_json(outcome: Any) -> None:
    """Print what --json asks for."""
    print(json.dumps(outcome, indent=2, allow_nan=False))


def failures_as_json(failures: Iterable[Failure]) -> list[dict[str, str]]:
    """Return failures as --json prints them."""
    return [asdict(failure) for failure in failures]


def failures_of(*models: Bundle | VectorHead) -> list[Failure]:
    """Return the files that could not be used in the training of the models, each once."""
    failures = [one for model in models for one in model.training.get("failures", ())]
    return list({one["path"]: Failure(**one) for one in failures}.values())


def exit_if_failed(failed: int, files: int | None) -> None:
    """Exit with status 1 if files failed; how many of all is printed where `files` says it."""
    if failed and files is not None:
        print(f"{part_of(failed, files, 'file')} failed", file=sys.stderr)
    if failed:
        raise typer.Exit(1)
