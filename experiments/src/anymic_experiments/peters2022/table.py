"""Table 2: accuracy by codec while all of the network is fine-tuned, and what that wins back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.conditions import CLEAN
from anymic.evaluation.report.cells import percent, points
from anymic.evaluation.report.rows import Row, row
from anymic.metrics.intervals import Interval
from anymic.training.finetuning import REPORT_EPOCHS as EPOCHS
from anymic_experiments.findings import Findings
from anymic_experiments.peters2022.corpus import CODED, HEARD, OTHER_BITRATE, OTHER_CODEC
from anymic_experiments.peters2022.tuning import Tuned
from anymic_experiments.pooling import Pooled, pool

# By what fine-tuning hears of them: the paper's categories 1 to 3, and all of them.
CATEGORIES: dict[str, tuple[str, ...]] = {
    "heard": HEARD,
    "other bitrate": OTHER_BITRATE,
    "other codec": OTHER_CODEC,
    "all coded": CODED,
}
HARDEST = "mp3 32"  # the codec that costs most in the paper
# Table 2 of the paper, in per cent, at the epochs 0, 1, 10, 20 and 40.
PAPER = {
    CLEAN: (76.92, 75.20, 73.79, 73.82, 72.04),
    "aac 32": (57.88, 69.58, 69.44, 69.51, 68.06),
    "mp3 64": (67.45, 70.69, 71.23, 70.18, 69.51),
    "mp3 32": (25.64, 63.98, 63.24, 62.77, 58.36),
    "aac 48": (64.12, 70.01, 70.69, 69.88, 68.73),
    "aac 64": (68.60, 71.83, 71.46, 70.25, 69.61),
    "opus 64": (67.96, 64.96, 67.15, 66.91, 65.57),
    "sbc 64": (53.30, 64.29, 59.16, 57.45, 54.04),
}


@dataclass(frozen=True)
class Table(Findings):
    """What fine-tuning of the whole network does.

    Attributes
    ----------
    epochs : tuple of int
        When it was measured, from 0 on.
    """

    epochs: tuple[int, ...]

    def accuracy(self, codec: str, epoch: int) -> Row:
        """Return the accuracy through a codec after an epoch."""
        return self.of("accuracy", codec=codec, epoch=str(epoch))

    def change(self, codec: str, epoch: int) -> Row:
        """Return the accuracy gained since epoch 0."""
        return self.of("accuracy_difference", codec=codec, epoch=str(epoch), against_epoch="0")

    def cost(self, codec: str, epoch: int) -> Row:
        """Return the accuracy gained over clean audio at the same epoch: below 0, a loss."""
        where = {"codec": codec, "epoch": str(epoch), "against_codec": CLEAN}
        return self.of("accuracy_difference", **where)

    def share(self, codec: str, epoch: int) -> Row | None:
        """Return how much of what a codec took is back; None where it had not surely taken any."""
        return self.maybe("recovered_share", codec=codec, epoch=str(epoch))


def compare(tuned: Sequence[Tuned]) -> Table:
    """Return accuracies by codec and epoch, changes in pairs, and shares won back.

    Parameters
    ----------
    tuned : sequence of Tuned
        The whole network, every fold and seed.
    """
    epochs = tuple(tuned[0].probabilities)
    pooled = pool(each.after(epoch, str(epoch)) for epoch in epochs for each in tuned)
    rows: list[Row] = []
    for codec, heard in {**{name: (name,) for name in (CLEAN, *CODED)}, **CATEGORIES}.items():
        for epoch in epochs:
            where = {"codec": codec, "epoch": str(epoch)}
            rows.append(row("accuracy", pooled.accuracy(str(epoch), *heard), **where))
            if codec != CLEAN:
                lost = cost(pooled, str(epoch), heard)
                rows.append(row("accuracy_difference", lost, **where, against_codec=CLEAN))
            if epoch == 0:
                continue
            change = pooled.gain(str(epoch), "0", *heard)
            rows.append(row("accuracy_difference", change, **where, against_epoch="0"))
            share = _recovered(pooled, epoch, heard) if codec != CLEAN else None
            if share is not None:
                rows.append(row("recovered_share", share, **where))
    return Table(rows, epochs)


def cost(pooled: Pooled, condition: str, heard: Sequence[str]) -> Interval:
    """Return the accuracy through codecs minus that on the same clips as they are."""
    right, coded, clean = pooled.correct(condition), *_where(pooled, heard)
    found = pooled.ratio(
        right * coded / len(heard) - right * clean, clean.astype(float), n=int(coded.sum())
    )
    assert found is not None  # there always are clean clips
    return found


def _recovered(pooled: Pooled, epoch: int, heard: Sequence[str]) -> Interval | None:
    """Return (accuracy after - before) / (accuracy on clean clips before - through codecs before).

    A recording has as many clips through each codec as clean ones, so sums stand for means.
    """
    coded, clean = _where(pooled, heard)
    before, after = (pooled.correct(name).astype(float) for name in ("0", str(epoch)))
    lost = len(heard) * before * clean - before * coded
    return pooled.ratio((after - before) * coded, lost, n=int(coded.sum()))


def _where(pooled: Pooled, heard: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return np.isin(pooled.devices, heard), pooled.devices == CLEAN


def markdown(table: Table) -> str:
    """Return table 2, the paper's figures in brackets."""
    heads = " | ".join(f"epoch {epoch}" for epoch in table.epochs)
    lines = [f"| through | {heads} |", "|---" * (1 + len(table.epochs)) + "|"]
    for name, codecs in {"clean": (CLEAN,), **CATEGORIES}.items():
        if name != "clean":
            cells = [percent(table.accuracy(name, epoch)) for epoch in table.epochs]
            lines.append(f"| *{name}* | " + " | ".join(cells) + " |")
        for codec in codecs if name != "all coded" else ():
            printed = dict(zip(EPOCHS, PAPER.get(codec, ()), strict=False))
            cells = [
                percent(table.accuracy(codec, epoch), interval_digits=0)
                + (f" ({printed[epoch]:.1f})" if epoch in printed else "")
                for epoch in table.epochs
            ]
            lines.append(f"| {codec} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def changes_markdown(table: Table) -> str:
    """Return what codecs cost before, and what fine-tuning changes, in points and as a share."""
    later = table.epochs[1:]
    heads = " | ".join(f"change, epoch {epoch}" for epoch in later)
    last = later[-1]
    lines = [
        f"| through | cost, epoch 0 | {heads} | cost, epoch {last} | won back, epoch {last} |",
        "|---" * (4 + len(later)) + "|",
    ]
    for codec in (CLEAN, *CODED, *CATEGORIES):
        changes = [points(table.change(codec, epoch)) for epoch in later]
        coded = codec != CLEAN
        costs = [points(table.cost(codec, epoch)) if coded else "" for epoch in (0, last)]
        share = table.share(codec, last)
        won = "" if share is None else f"{percent(share, digits=0)} %"
        cells = [costs[0], *changes, costs[1], won if share else ("-" if coded else "")]
        lines.append(f"| {codec} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def reading(table: Table) -> str:
    """Say what was found of what the paper says, in sentences that follow the numbers."""
    last = table.epochs[-1]
    costs = {codec: table.cost(codec, 0) for codec in CODED}
    clear = [codec for codec, cost in costs.items() if cost.high is not None and cost.high < 0]
    worst = min(costs, key=lambda codec: costs[codec].value)
    sentences = [
        f"Before fine-tuning {len(clear)} of {len(CODED)} conditions cost surely something; "
        f"{worst} costs most, {points(costs[worst])} points (in the paper {HARDEST}, "
        f"{PAPER[HARDEST][0] - PAPER[CLEAN][0]:+.1f})."
    ]
    for epoch in table.epochs[1:]:
        share, clean = table.share(HARDEST, epoch), table.change(CLEAN, epoch)
        back = (
            f"{percent(share, digits=0)} % of what {HARDEST} takes is back"
            if share is not None
            else f"what {HARDEST} takes is not surely above 0, so no share of it is stated"
        )
        sentences.append(
            f"After epoch {epoch}, {back}, and clean audio has {points(clean)} points."
        )
    before, after = (table.cost("all coded", epoch) for epoch in (0, last))
    sentences.append(
        f"All coded conditions together lie {points(before)} points from clean audio before, "
        f"{points(after)} after epoch {last}."
    )
    return " ".join(sentences)
