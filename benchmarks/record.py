"""Run the benchmarks and keep what they found, so that versions can be compared.

    python benchmarks/record.py                    # all: an hour on an idle machine
    python benchmarks/record.py startup scaling    # some
    python benchmarks/record.py --page             # docs/speed.md and its plot, from the kept files

Each run is one file in benchmarks/history: the machine, the version with its commit, the load while
it ran, and what each benchmark wrote. Ratios of one run can be compared with those of another;
seconds only on one machine. The figures of a checkout with changes that no commit holds belong to
no commit, and are kept with --changed only. The exit status is 1 where a benchmark ended with an
error, such as a start-up over its limit; all others have run by then, and their figures are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from kept_tables import (  # type: ignore[import-not-found]
    batches,
    formats,
    growth,
    machine,
    output,
    renamed,
)

from anymic._internal.environment import environment
from anymic._internal.files import write_text
from anymic._version import commit, version

ROOT = Path(__file__).resolve().parents[1]
HISTORY = ROOT / "benchmarks" / "history"
PAGE = ROOT / "docs" / "speed.md"
PLOT = ROOT / "docs" / "results" / "speed_history.png"
# The benchmarks that write JSON, and how their rows are read. Others only print.
RECORDED = (
    "startup",
    "run",
    "formats",
    "batch_features",
    "ensemble",
    "codecs",
    "export",
    "pretrained",
    "service",
    "scaling",
)
CHANGED = ".changed"  # at the end of the commit of a checkout that has changes
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)  # of the plot
FACTS = ("python", "system", "processor", "torch")


def record(names: Sequence[str], arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Run the benchmarks, and return what is kept of them, and those that ended with an error."""
    found: dict[str, Any] = {}
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            out = Path(folder) / f"{name}.json"
            script = ROOT / "benchmarks" / f"{name}.py"
            command = [sys.executable, str(script), "--json", str(out), *arguments]
            done = subprocess.run(command, check=False)
            if out.is_file():
                found[name] = json.loads(out.read_text(encoding="utf-8"))
            if done.returncode or name not in found:
                failed.append(name)
                wrote = "" if name in found else " and wrote nothing"
                print(f"record: {name} ended with status {done.returncode}{wrote}")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    facts = environment()
    kept = {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "version": version(),
        "commit": commit(),
        "machine": {name: facts[name] for name in FACTS},
        "load": load,
        "benchmarks": found,
    }
    return kept, failed


def figures(kept: Mapping[str, Any]) -> Iterator[tuple[str, float, str]]:
    """Give the name, value and unit of each figure of a run."""
    for rows in kept["benchmarks"].values():
        for row in map(renamed, rows):
            if "ratio" in row:
                ratio = row["ratio"]
                if isinstance(ratio, dict):
                    ratio = ratio["processor"]
                named = f"{row['name']}, beside {row['peer']}" if "peer" in row else row["name"]
                yield named, ratio, "x"
            elif "seconds" in row:
                yield row["name"], row["seconds"], "s"


def history() -> list[dict[str, Any]]:
    """Return the kept runs, the oldest first."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in HISTORY.glob("*.json")]
    return sorted(runs, key=lambda run: str(run["created"]))


def with_figures(runs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the runs that have a figure of the table: some measured other things alone."""
    return [run for run in runs if any(True for _ in figures(run))]


def table(runs: Sequence[Mapping[str, Any]], most: int = 3) -> str:
    """Return the figures of the newest runs that have some as a table, one run a column."""
    shown = with_figures(runs)[-most:]
    columns = [{name: (value, unit) for name, value, unit in figures(run)} for run in shown]
    names = list(dict.fromkeys(name for column in columns for name in column))
    heads = [f"{run['version']}<br>{run['created'][:10]}" for run in shown]
    lines = ["| figure | " + " | ".join(heads) + " |", "|---|" + "---|" * len(shown)]
    for name in names:
        cells = [
            f"{column[name][0]:.3g} {column[name][1]}" if name in column else ""
            for column in columns
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {machine(run)}" for run in shown)])


def draw(runs: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the ratios and start-up times that several runs have, relative to the first of them."""
    from matplotlib.figure import Figure

    series: dict[str, list[tuple[int, float]]] = {}
    for number, run in enumerate(runs):
        for name, value, _ in figures(run):
            series.setdefault(name, []).append((number, value))
    compared = {name: points for name, points in series.items() if len(points) > 1}
    figure = Figure(figsize=(7, 3.5 + 0.2 * len(compared)), layout="constrained")
    axes = figure.add_subplot()
    for name, points in compared.items():
        axes.plot(
            [number for number, _ in points],
            [value / points[0][1] for _, value in points],
            marker="o",
            label=name,
        )
    axes.set_xticks(range(len(runs)), [str(run["created"])[:10] for run in runs])
    axes.set_ylabel("of the first run")
    axes.set_yscale("log")
    axes.set_yticks(TICKS, [str(tick) for tick in TICKS], minor=False)
    axes.minorticks_off()
    if compared:
        figure.legend(loc="outside lower left", fontsize="small")
    figure.savefig(path, dpi=120, metadata={"Software": None})


# What stands between the marks of each name on the page.
WRITTEN = {
    "output": output,
    "formats": formats,
    "batches": batches,
    "history": table,
    "growth": growth,
}


def write_page() -> None:
    """Write the tables into the page, between their marks, and draw the plot."""
    runs, text = history(), PAGE.read_text(encoding="utf-8")
    for name, made in WRITTEN.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{made(runs)}\n{end}{rest.split(end)[1]}"
    write_text(PAGE, text)
    draw(with_figures(runs), PLOT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and keep, or write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(RECORDED)}; default all")
    parser.add_argument("--rounds", help="passed to each benchmark")
    parser.add_argument("--page", action="store_true", help="write docs/speed.md and its plot")
    parser.add_argument(
        "--changed", action="store_true", help="keep figures of changes that no commit holds too"
    )
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - set(RECORDED)):
        parser.error(f"no benchmark {', '.join(unknown)}: expected {', '.join(RECORDED)}")
    if options.page:
        write_page()
        return 0
    passed = ["--rounds", options.rounds] if options.rounds else []
    changed = commit().endswith(CHANGED) and not options.changed
    if changed:
        print("record: the checkout has changes: nothing will be kept; commit, or pass --changed")
    kept, failed = record(options.names or RECORDED, passed)
    if not changed:
        moment = kept["created"][:16].replace(":", "")
        name = f"{moment}-{kept['commit'][:12] or platform.machine()}.json"
        HISTORY.mkdir(exist_ok=True)
        write_text(HISTORY / name, json.dumps(kept, indent=1) + "\n")
        print(f"record: kept as {HISTORY / name}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
