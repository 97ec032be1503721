"""``anymic data prepare``: make a manifest of a corpus and check its files."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anymic.cli import options

if TYPE_CHECKING:
    from anymic.data.checks import Problem
    from anymic.data.manifest import Manifest


def data_prepare(
    name: Annotated[
        str | None, typer.Argument(help="The corpus; without a name, all of them are listed.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="The folder of the corpus (for csv: the CSV file).")
    ] = None,
    out: Annotated[Path, typer.Option(help="The manifest to write.")] = Path("manifest.csv"),
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the corpus into --root first.")
    ] = False,
    rate: Annotated[
        int | None,
        typer.Option(
            help="The rate in Hz that every file should have (default: as published, else any)."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Read every file and list all problems.")
    ] = True,
    workers: Annotated[int, typer.Option(help="Threads that read files.", min=1)] = 2,
    as_json: options.Outcome = False,
) -> None:
    """Make a manifest of a corpus, and check every file.

    The manifest gets the rows that can be used. Problems are listed, all of them, and the exit
    status is then 1.

    Example: anymic data prepare folder --root sounds --out sounds.csv
    """
    from anymic.data.checks import check as check_files
    from anymic.data.checks import usable
    from anymic.data.corpora import CORPORA
    from anymic.data.corpora import download as fetch
    from anymic.data.splits import check_splits
    from anymic.errors import ConfigError, ManifestError

    if name is None:
        _list(as_json=as_json)
        return
    corpus = CORPORA.get(name)
    if root is None:
        raise ConfigError(
            "no folder of the corpus is given", expected="--root", fix="add --root FOLDER"
        )
    if download:
        fetch(name, root)
    manifest = corpus.read(root)
    wanted_hz = rate if rate is not None else corpus.rate_hz
    problems = check_files(manifest, rate_hz=wanted_hz, workers=workers) if check else []
    kept = usable(manifest, problems)
    split_problem = ""
    if "split" in kept.table.columns:
        try:
            check_splits(kept)
        except ManifestError as error:
            split_problem = str(error)
    written = kept.write(out) if len(kept) else None
    outcome = _outcome(manifest, kept, problems, split_problem, written)
    if as_json:
        print(json.dumps(outcome, indent=2))
    else:
        _print_outcome(outcome, checked=check)
    if problems or split_problem:
        raise typer.Exit(1)


def _list(*, as_json: bool) -> None:
    """Print every corpus that is registered."""
    from anymic.data.corpora import CORPORA

    found = [
        {"name": corpus.name, "about": corpus.about, "download": bool(corpus.archives)}
        for corpus in CORPORA.specs()
    ]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    width = max(len(str(corpus["name"])) for corpus in found)
    for corpus in found:
        print(f"{corpus['name']:<{width}}  {corpus['about']}")
    print("--download fetches " + ", ".join(str(one["name"]) for one in found if one["download"]))


def _outcome(
    manifest: Manifest,
    kept: Manifest,
    problems: list[Problem],
    split_problem: str,
    written: Path | None,
) -> dict[str, Any]:
    listed: list[dict[str, str]] = [
        {"kind": problem.kind, "path": problem.path, "reason": problem.reason}
        for problem in problems
    ]
    if split_problem:
        listed.append({"kind": "split", "path": "", "reason": split_problem})
    return {
        "manifest": str(written) if written else None,
        "rows": len(kept),
        "left_out": len(manifest) - len(kept),
        "problems": listed,
    }


def _print_outcome(outcome: dict[str, Any], *, checked: bool) -> None:
    problems = outcome["problems"]
    for problem in problems:
        print(f"{problem['kind']:<10} {problem['path']}: {problem['reason']}")
    if problems:
        kinds = Counter(problem["kind"] for problem in problems)
        counted = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        print(f"{len(problems)} problems: {counted}")
    if outcome["manifest"] is None:
        print("no clip can be used: no manifest was written")
    else:
        left_out = f", {outcome['left_out']} left out" if outcome["left_out"] else ""
        print(f"{outcome['manifest']}: {outcome['rows']} clips{left_out}")
    if not checked:
        print("note: the files were not read (--no-check)", file=sys.stderr)
