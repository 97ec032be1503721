"""``anymic data prepare``: make a manifest of a corpus and check its files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from anymic.cli import options
from anymic.cli.printing import note, print_outcome
from anymic.errors import ConfigError, ManifestError


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
    found = [{"kind": one.kind, "path": one.path, "reason": one.reason} for one in problems]
    if "split" in kept.table:
        try:
            check_splits(kept)
        except ManifestError as error:
            found.append({"kind": "split", "path": "", "reason": str(error)})
    outcome = {
        "manifest": str(kept.write(out)) if len(kept) else None,
        "rows": len(kept),
        "left_out": len(manifest) - len(kept),
        "problems": found,
    }
    print_outcome(outcome, *_lines(outcome), as_json=as_json)
    if not (check or as_json):
        note("the files were not read (--no-check)")
    if found:
        raise typer.Exit(1)


def _list(*, as_json: bool) -> None:
    """Print every corpus that is registered."""
    from anymic.data.corpora import CORPORA

    found = [
        {"name": corpus.name, "about": corpus.about, "download": bool(corpus.archives)}
        for corpus in CORPORA.specs()
    ]
    width = max(len(str(corpus["name"])) for corpus in found)
    print_outcome(
        found,
        *(f"{corpus['name']:<{width}}  {corpus['about']}" for corpus in found),
        "--download fetches " + ", ".join(str(one["name"]) for one in found if one["download"]),
        as_json=as_json,
    )


def _lines(outcome: dict[str, Any]) -> list[str]:
    """Return the problems, their number by kind, and how many clips are left."""
    problems = outcome["problems"]
    lines = [f"{one['kind']:<10} {one['path']}: {one['reason']}" for one in problems]
    if problems:
        kinds = Counter(one["kind"] for one in problems)
        counted = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        lines.append(f"{len(problems)} problems: {counted}")
    if outcome["manifest"] is None:
        return [*lines, "no clip can be used: no manifest was written"]
    left_out = f", {outcome['left_out']} left out" if outcome["left_out"] else ""
    return [*lines, f"{outcome['manifest']}: {outcome['rows']} clips{left_out}"]
