"""``anymic data``: prepare and show manifests."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anymic.cli import options
from anymic.cli.data_cut import cut
from anymic.cli.data_encode import encode
from anymic.cli.data_even import even
from anymic.cli.data_simulate import simulate

if TYPE_CHECKING:
    from anymic.data.checks import Problem
    from anymic.data.manifest import Manifest

app = typer.Typer(
    no_args_is_help=True, help="Make manifests: tables of clips with their label and device."
)


@app.command()
def prepare(
    name: Annotated[
        str,
        typer.Argument(
            help="folder, csv, scenes, esc10, esc50, tau2019-mobile, tau2020-mobile, fsdkaggle2018."
        ),
    ],
    root: Annotated[
        Path, typer.Option(help="The folder that holds the corpus (for csv: the CSV file).")
    ],
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
    """Turn a corpus into a manifest, and check every file.

    The manifest gets the rows that can be used. Problems are listed, all of them, and the exit
    status is then 1.

    Example: anymic data prepare folder --root sounds --out sounds.csv
    """
    from anymic.data import corpora as datasets
    from anymic.data.checks import check as check_files
    from anymic.data.checks import usable
    from anymic.data.download import download as fetch
    from anymic.data.splits import check_splits
    from anymic.errors import ManifestError

    corpus = datasets.corpus(name)
    if download:
        fetch(name, root)
    manifest = corpus.load(root)
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


app.command("simulate")(simulate)
app.command("even")(even)
app.command("cut")(cut)
app.command("encode")(encode)


@app.command()
def show(
    manifest: Annotated[Path, typer.Argument(help="The manifest to look at.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Count the clips of a manifest by label, device and split.

    Example: anymic data show sounds.csv
    """
    from anymic.data.manifest import Manifest

    table = Manifest.read(manifest)
    counts = _counts(table)
    if as_json:
        print(json.dumps({"rows": len(table), "counts": counts}, indent=2))
    else:
        _print_counts(table, counts)


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


def _counts(manifest: Manifest) -> list[dict[str, str | int]]:
    """Count rows for each label, device and split that occurs; "" where a column is absent."""
    table = manifest.table
    empty = [""] * len(table)
    columns = [
        table[key] if key in table.columns else empty for key in ("label", "device", "split")
    ]
    counted = Counter(zip(*columns, strict=True))
    return [
        {"label": label, "device": device, "split": split, "clips": number}
        for (label, device, split), number in sorted(counted.items())
    ]


def _print_counts(manifest: Manifest, counts: list[dict[str, str | int]]) -> None:
    from rich.console import Console
    from rich.table import Table

    heads = sorted({(str(row["split"]), str(row["device"])) for row in counts})
    number = {(row["label"], row["split"], row["device"]): row["clips"] for row in counts}
    table = Table(title=f"{manifest.name}: {len(manifest)} clips", show_footer=True)
    table.add_column("label", footer="all")

    def cells(labels: list[str]) -> list[int]:
        return [
            sum(int(number.get((label, split, device), 0)) for label in labels)
            for split, device in heads
        ]

    total = cells(manifest.labels)
    for (split, device), clips in zip(heads, total, strict=True):
        head = "\n".join(part for part in (split or "no split", device) if part)
        table.add_column(
            head if split or device or len(heads) > 1 else "clips",
            footer=str(clips),
            justify="right",
        )
    if len(heads) > 1:
        table.add_column("all", footer=str(sum(total)), justify="right")
    for label in manifest.labels:
        row = cells([label])
        summed = [str(sum(row))] if len(heads) > 1 else []
        table.add_row(label, *(str(clips) if clips else "·" for clips in row), *summed)
    Console().print(table)
