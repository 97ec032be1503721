"""What docs/speed.md shows of the kept runs: outputs and tables, in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Run = Mapping[str, Any]

# The peers of a training step were both called float32 in the first files.
DEFAULTS, KEPT = "PyTorch defaults", "float32, kept memory"
WAS_KEPT = ", both with kept memory"


def renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a comparison with the names of today."""
    name = str(row["name"])
    if not name.startswith("training step, ") or row.get("peer") != "float32":
        return dict(row)
    peer = KEPT if name.endswith(WAS_KEPT) else DEFAULTS
    return {**row, "name": name.removesuffix(WAS_KEPT), "peer": peer}


def told(row: Mapping[str, Any]) -> str:
    """Return the lines of one comparison, with median, lowest and highest time of both sides."""

    def show(times: Sequence[float]) -> str:
        return (
            f"{1e3 * statistics.median(times):9.1f} ms "
            f"[{1e3 * min(times):.1f}, {1e3 * max(times):.1f}]"
        )

    width = max(10, len(row["peer"]))
    return (
        f"{row['name']}\n"
        f"  {'anymic':{width}} {show(row['anymic_s'])}\n"
        f"  {row['peer']:{width}} {show(row['peer_s'])}\n"
        f"  {'ratio':{width}} {row['ratio']:9.2f} x   (medians of {len(row['anymic_s'])} rounds)\n"
    )


def machine(run: Run) -> str:
    """Return the version of a run and what it ran on, in words."""
    facts = run["machine"]
    return (
        f"{run['version']}: {facts['processor']}, torch {facts['torch']}, "
        f"python {facts['python']}, load {run['load']:.1f} at the end"
    )


def newest(runs: Sequence[Run], name: str) -> Run | None:
    """Return the newest run that has a benchmark."""
    return next((run for run in reversed(runs) if name in run["benchmarks"]), None)


def of_newest(
    name: str, written: Callable[[list[dict[str, Any]]], list[str]]
) -> Callable[..., str]:
    """Return a function of the kept runs that writes the rows of the newest with a benchmark."""

    def text(runs: Sequence[Run]) -> str:
        run = newest(runs, name)
        if run is None:
            return "No kept run has measured it."
        lines = written(run["benchmarks"][name])
        return "\n".join([*lines, "", f"- {machine(run)}"])

    return text


def _growth(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| what | how many | on the clock | of the processor | of it for each |"]
    lines.append("|---|" + "---|" * 4)
    alone = [row["clock_s"] for row in rows if (row["name"], row["size"]) == ("threads", 1)]
    for row in rows:
        each = f"{1e3 * row['processor_s'] / row['size']:.3g} ms"
        if row["name"] == "threads":  # they share the work: no part of it is of one thread
            each = f"clock {row['clock_s'] / alone[0]:.2f} of one thread"
        lines.append(
            f"| {row['name']} | {row['size']:,} | {row['clock_s']:.3g} s "
            f"| {row['processor_s']:.3g} s | {each} |"
        )
    return lines


def _output(rows: list[dict[str, Any]]) -> list[str]:
    return ["```text", "\n".join(told(renamed(row)) for row in rows).rstrip(), "```"]


def _formats(rows: list[dict[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(row["name"] for row in rows))
    times = {(row["name"], row["format"]): 1e3 * row["processor_s"] for row in rows}
    lines = ["| processor time | float32 | bfloat16 |", "|---|---|---|"]
    for name in names:
        cells = " | ".join(f"{times[name, kind]:,.1f} ms" for kind in ("float32", "bfloat16"))
        lines.append(f"| {name} | {cells} |")
    return lines


def _batches(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| for each clip | on the clock | of the processor |", "|---|---|---|"]
    for row in rows:
        clock, processor = 1e3 * row["clock_s"], 1e3 * row["processor_s"]
        lines.append(f"| {row['name']} | {clock:.2f} ms | {processor:.2f} ms |")
    return lines


growth = of_newest("scaling", _growth)
output = of_newest("run", _output)
formats = of_newest("formats", _formats)
batches = of_newest("batch_features", _batches)
