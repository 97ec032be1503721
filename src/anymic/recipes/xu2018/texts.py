"""The words and tables of the page."""

from __future__ import annotations

from collections.abc import Sequence

from anymic.recipes.cells import plain
from anymic.recipes.xu2018.grid import Line, Scale, Size
from anymic.report.rows import Row

TITLES = {
    2: "Table 2: extractors, with a dense head on one segment",
    3: "Table 3: heads, pitch shift and mixup, on all four extractors",
    4: "Table 4: how many segments the head hears at once",
}
MADE = {
    "paper": "VGGish is fine-tuned from its published weights.",
    "small": "VGGish is an eighth as wide and trained from random weights: there is nothing to "
    "fine-tune, so *original VGGish* is one with random weights, and what fine-tuning wins over it "
    "is not what the paper's does.",
}


def introduction(scale: Scale, *, command: str, seeds: int) -> str:
    """Return what stands in front of the tables."""
    return (
        "# Xu, Smit and Kurimo 2018\n\n"
        "Audio tagging with VGGish features and multi-level attention; MAP@3 with 95 % intervals "
        f"over whole recordings, {seeds} seed{'s' * (seeds > 1)}. {MADE[scale]}\n\n"
        f"```sh\n# needs the corpus\n{command}\n```\n"
    )


def table(lines: Sequence[Line], rows: Sequence[Row]) -> str:
    """Return a table of what was found beside the paper's numbers."""
    cells = [
        f"| {line.name} | {plain(row)} | {'' if line.paper is None else f'{line.paper:.3f}'} |"
        for line, row in zip(lines, rows, strict=True)
    ]
    n = rows[0].n
    return "\n".join(["| | MAP@3 | paper |", "|---|---|---|", *cells, "", f"n = {n}."])


def decisions(size: Size) -> str:
    """Return what the report does not say, and what was done."""
    return (
        f"- Optimizer and length: SGD with momentum, {size.extractor_epochs} epochs for an "
        f"extractor, Adadelta and {size.head_epochs} for a head; the epoch of the lowest "
        "validation loss is kept. A VGGish trained from scratch hears standardized bands.\n"
        "- First and last clips: 84.5 % of the recordings in an order drawn from the seed, where "
        "the paper takes the corpus's own order.\n"
        "- The nonlinearities of the attention: those of Kong 2018; see the page on tagging.\n"
        "- The geometric mean is taken of the extractors' answers for a whole clip.\n"
        "- The paper's baseline (0.704), the last line of its table 4 (all segments), and the "
        "Kaggle clips that count nothing are not here."
    )
