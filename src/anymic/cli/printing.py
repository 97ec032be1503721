"""What several verbs print in the same words."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from anymic.errors import Failure

if TYPE_CHECKING:
    from anymic.bundle import Bundle
    from anymic.inference.embedding_head import VectorHead


def command_line() -> str:
    """Return the command that is running, as a shell would accept it again."""
    return shlex.join(["anymic", *sys.argv[1:]])


def note(*texts: str) -> None:
    """Print notes on stderr; empty ones are left out."""
    for text in filter(None, texts):
        print(f"note: {text}", file=sys.stderr)


def print_json(outcome: Any) -> None:
    """Print what --json asks for."""
    print(json.dumps(outcome, indent=2, allow_nan=False))


def print_outcome(outcome: Any, *lines: str, as_json: bool) -> None:
    """Print the outcome as JSON, or the lines that describe it."""
    if as_json:
        print_json(outcome)
    else:
        print(*lines, sep="\n")


def failures_as_json(failures: Iterable[Failure]) -> list[dict[str, str]]:
    """Return failures as --json prints them."""
    return [asdict(failure) for failure in failures]


def failures_of(*models: Bundle | VectorHead) -> list[Failure]:
    """Return the files that could not be used in the training of the models, each once."""
    failures = [one for model in models for one in model.training.get("failures", ())]
    return list({one["path"]: Failure(**one) for one in failures}.values())


def finish(failures: Collection[Failure], *, files: int | None = None) -> None:
    """List the files that could not be used, on stderr; exit with status 1 if there are any.

    Parameters
    ----------
    failures : collection of Failure
    files : int, optional
        Number of all files, where the share that failed is printed.
    """
    for failure in failures:
        print(f"failed: {failure.path}: {failure.reason}", file=sys.stderr)
    exit_if_failed(len(failures), files)


def exit_if_failed(failed: int, files: int | None) -> None:
    """Exit with status 1 if files failed; how many of all is printed where `files` says it."""
    if failed and files is not None:
        print(f"{failed} of {files} files failed", file=sys.stderr)
    if failed:
        raise typer.Exit(1)
