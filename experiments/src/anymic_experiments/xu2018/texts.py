"""The words and tables of the page."""

from __future__ import annotations

from collections.abc import Sequence

from anymic.evaluation.report.cells import counted, plain
from anymic.evaluation.report.rows import Row
from anymic_experiments.xu2018.contrasts import Contrast
from anymic_experiments.xu2018.grid import Line, Scale, Size

TITLES = {
    2: "Table 2: extractors, with a dense head on one segment",
    3: "Table 3: heads, pitch shift and mixup, on all four extractors",
    4: "Table 4: how many segments the head hears at once",
}
MADE = {
    "paper": "VGGish is fine-tuned from its published weights.",
    "small": "VGGish is an eighth as wide and trained from random weights: there is nothing to "
    "fine-tune, so *original VGGish* is one with random weights, and what fine-tuning wins over it "
    "is not what the paper's does. ESC-10's manifest is written by `anymic data prepare esc10 "
    "--root ESC-50 --out esc10.csv`; its clips are 5 s long and its classes of one size.",
}


def introduction(scale: Scale, *, command: str, folds: int, seeds: int) -> str:
    """Return what stands in front of the tables."""
    tested = (
        "the corpus's own test clips"
        if folds == 1
        else f"{counted(folds, 'fold')}, each in turn the test set while the others train"
    )
    return (
        "# Xu, Smit and Kurimo 2018\n\n"
        "Audio tagging with VGGish features and multi-level attention; MAP@3 on "
        f"{tested}, with {counted(seeds, 'seed')}, and 95 % intervals over whole recordings. "
        f"{MADE[scale]} The paper's numbers are those of FSDKaggle2018: 41 classes, clips of 0.3 "
        f"to 30 s.\n\n```sh\n# needs the corpus\n{command}\n```\n"
    )


def table(lines: Sequence[Line], rows: dict[str, Row]) -> str:
    """Return a table of what was found beside the paper's numbers."""
    cells = []
    for line in lines:
        found = plain(rows[line.name]) if line.name in rows else "not run"
        cells.append(f"| {line.name} | {found} | {_number(line.paper)} |")
    n = next(iter(rows.values())).n
    return "\n".join(["| | MAP@3 | paper |", "|---|---|---|", *cells, "", f"n = {n}."])


def agreement(found: Sequence[Contrast]) -> tuple[str, list[Row]]:
    """Return what choices change, beside the paper, and the rows that it rests on."""
    head = (
        "Changes of MAP@3, clip by clip, with their 95 % intervals. A change *agrees* where the "
        "paper's lies within our interval, and *agrees, as no change would* where zero does too: "
        "then our clips are too few to tell.\n\n"
        "| | over | table | change | paper | |\n|---|---|---|---|---|---|"
    )
    cells = [
        f"| {one.row.condition['line']} | {one.row.condition['against_line']} "
        f"| {one.row.condition['table']} | {plain(one.row, signed=True)} | {one.paper:+.3f} "
        f"| {one.verdict} |"
        for one in found
    ]
    return "\n".join([head, *cells]), [one.row for one in found]


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
        f"- *All segments*: the head hears {size.whole}, those of the longest clip, and shorter "
        "clips are repeated up to them; the paper does not say how its sequences of any length "
        "were brought together.\n"
        "- The challenge's baseline is not run: it is the challenge's own network, and its number "
        "is the paper's.\n"
        "- Every test clip counts as every other; the Kaggle clips that count nothing are not "
        "there."
    )


def _number(paper: float | None) -> str:
    return "" if paper is None else f"{paper:.3f}"
