"""How `anymic predict` prints its results: rows, a table, or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from heapq import nlargest
from operator import itemgetter
from typing import TYPE_CHECKING

from anymic._internal.terminal import cell, print_line
from anymic.cli.printing import print_json, print_lines
from anymic.errors import Failure

if TYPE_CHECKING:
    from rich.table import Table

    from anymic.inference.prediction import Prediction
    from anymic.inference.submission import Submission

NOT_SURE, NONE_NAMED = "not sure", "none of the labels"
KNOWN = {
    "stated": "device stated",
    "manifest": "device in the manifest",
    "identified": "device identified",
    "assumed": "device unknown",
}
DONE = {
    "profile": "corrected",
    "blind": "corrected with estimated gains",
    "identity": "not corrected",
}
HEADS = ("file", "label", "probability", "device", "correction", "notes")


def print_results(
    results: Iterable[Prediction | Failure], *, windows: bool, top: int, as_json: bool
) -> int:
    """Print JSON, or a table in a terminal, or each row at once into a pipe; count the failures."""
    from anymic.inference.prediction_rows import as_mapping

    table = _table(windows, top) if sys.stdout.isatty() else None
    failed, mappings = 0, []
    for result in results:
        failed += isinstance(result, Failure)
        if as_json:
            mappings.append(as_mapping(result, windows=windows, top=top))
            continue
        for cells in _rows(result, windows, top):
            if table is None:
                print_line("\t".join(" ".join(cell.split()) for cell in cells))
            else:
                style = "red" if "failed" in cells[-2:-1] else None
                table.add_row(*map(cell, cells), style=style)
    if as_json:
        print_json(mappings)
    elif table is not None:
        print_lines(table)
    return failed


def recorded(
    results: Iterable[Prediction | Failure], answers: Submission | None
) -> Iterator[Prediction | Failure]:
    """Yield the results, and write the answers among them where they are wanted."""
    for result in results:
        if answers is not None and not isinstance(result, Failure):
            answers.add(result)
        yield result
    if answers is not None:
        answers.write()


def _table(windows: bool, top: int) -> Table:
    from rich import box
    from rich.table import Table

    more = [name for place in range(2, top + 1) for name in (f"label {place}", "probability")]
    start = ["start (s)"] if windows else []
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in (HEADS[0], *start, *HEADS[1:3], *more, *HEADS[3:]):
        number = name in ("probability", "start (s)")
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    return table


def _rows(result: Prediction | Failure, windows: bool, top: int) -> Iterator[tuple[str, ...]]:
    """Return the cells of a result's rows."""
    from anymic.inference.prediction import named_labels

    if isinstance(result, Failure):
        blank = [""] * (2 * top + 1 + windows)
        yield (result.path, *blank, "failed", result.reason)
        return
    parts: list[tuple[list[str], dict[str, float]]] = [([], result.probabilities)]
    if windows:
        each = zip(result.window_starts_s, result.window_probabilities.tolist(), strict=True)
        parts = [
            ([f"{start_s:.3f}"], dict(zip(result.probabilities, row, strict=True)))
            for start_s, row in each
        ]
    correction = _correction(result)
    for start, probabilities in parts:
        if result.thresholds is None:
            best, notes = _best(probabilities, top, result.min_confidence)
        else:
            named = named_labels(probabilities, result.thresholds, result.min_confidence)
            best, notes = _best_of_several(probabilities, named, top)
        known = (result.device or "", correction, "; ".join((*notes, *result.notes)))
        yield (result.path, *start, *best, *known)


def _correction(result: Prediction) -> str:
    """Return how the device is known and what was done: "device stated: corrected"."""
    known = KNOWN[result.device_from]
    if result.device_probability is not None:
        known = known if result.device else "device not recognized"
        known += f" ({result.device_probability:.2f})"
    return f"{known}: {DONE[result.device_policy]}"


def _best(
    probabilities: dict[str, float], top: int, least: float
) -> tuple[list[str], tuple[str, ...]]:
    """Return the cells of the most probable labels, blank where there are none; and a note.

    Below the least confidence the first cell is "not sure", and the note names the label.
    """
    ordered = nlargest(top, probabilities.items(), key=itemgetter(1))
    cells = [cell for label, share in ordered for cell in (label, f"{share:.4f}")]
    notes: tuple[str, ...] = ()
    if ordered[0][1] < least:
        notes = (f"below {least:g}: {cells[0]}",)
        cells[0] = NOT_SURE
    return cells + [""] * (2 * top - len(cells)), notes


def _best_of_several(
    probabilities: dict[str, float], named: list[tuple[str, float]], top: int
) -> tuple[list[str], tuple[str, ...]]:
    """Return the cells of the labels that are named, or of the `top` most probable ones; a note.

    The labels of a cell are separated by semicolons, and so are their probabilities.
    """
    labels = "; ".join(label for label, _ in named)
    if top > 1:
        cells, _ = _best(probabilities, top, 0.0)
        return cells, (f"labels: {labels}" if named else NONE_NAMED,)
    shares = "; ".join(f"{share:.4f}" for _, share in named)
    if named:
        return [labels, shares], ()
    ((label, share),) = nlargest(1, probabilities.items(), key=itemgetter(1))
    return ["", ""], (f"{NONE_NAMED} (highest: {label} {share:.4f})",)
