"""Table 2: accuracy by codec while all of the network is fine-tuned, and how much is recovered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.conditions import CLEAN
from anymic.evaluation.report.rows import Row, row
from anymic.metrics.intervals import Interval
from anymic_experiments.findings import Findings
from anymic_experiments.page import Section
from anymic_experiments.peters2022.settings import ALL, Settings
from anymic_experiments.peters2022.tuning import Tuned
from anymic_experiments.pooling import Pooled, pool


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
        return self.of("accuracy", codec=codec, epoch=epoch)

    def change(self, codec: str, epoch: int) -> Row:
        """Return the accuracy gained since epoch 0."""
        return self.of("accuracy_difference", codec=codec, epoch=epoch, against_epoch=0)

    def over_clean(self, codec: str, epoch: int) -> Row:
        """Return the accuracy gained over clean audio at the same epoch: below 0, a loss."""
        return self.of("accuracy_difference", codec=codec, epoch=epoch, against_codec=CLEAN)

    def share(self, codec: str, epoch: int) -> Row | None:
        """Return the recovered share of a loss; None where its interval reaches 0."""
        return self.maybe("recovered_share", codec=codec, epoch=epoch)


def compare(tuned: Sequence[Tuned], grid: Settings) -> Table:
    """Return accuracies by codec and epoch, changes in pairs, and recovered shares.

    Parameters
    ----------
    tuned : sequence of Tuned
        The whole network, every fold and seed.
    grid : Settings
    """
    epochs = tuple(tuned[0].probabilities)
    pooled = pool(each.after(epoch, str(epoch)) for epoch in epochs for each in tuned)
    rows: list[Row] = []
    for codec, members in grid.conditions_tested.items():
        for epoch in epochs:
            where = {"codec": codec, "epoch": str(epoch)}
            rows.append(row("accuracy", pooled.accuracy(str(epoch), *members), **where))
            if codec != CLEAN:
                lost = over_clean(pooled, str(epoch), members)
                rows.append(row("accuracy_difference", lost, **where, against_codec=CLEAN))
            if epoch == 0:
                continue
            change = pooled.gain(str(epoch), "0", *members)
            rows.append(row("accuracy_difference", change, **where, against_epoch="0"))
            share = _recovered(pooled, epoch, members) if codec != CLEAN else None
            if share is not None:
                rows.append(row("recovered_share", share, **where))
    return Table(rows, epochs)


def over_clean(pooled: Pooled, condition: str, codecs: Sequence[str]) -> Interval:
    """Return the accuracy through codecs minus that on the same clips as they are."""
    right, coded, clean = pooled.correct(condition), *_where(pooled, codecs)
    found = pooled.ratio(
        right * coded / len(codecs) - right * clean, clean.astype(float), n=int(coded.sum())
    )
    assert found is not None  # there always are clean clips
    return found


def _recovered(pooled: Pooled, epoch: int, codecs: Sequence[str]) -> Interval | None:
    """Return (accuracy after - before) / (accuracy on clean clips before - through codecs before).

    A recording has as many clips through each codec as clean ones, so sums stand for means.
    """
    coded, clean = _where(pooled, codecs)
    before, after = (pooled.correct(name).astype(float) for name in ("0", str(epoch)))
    lost = len(codecs) * before * clean - before * coded
    return pooled.ratio((after - before) * coded, lost, n=int(coded.sum()))


def _where(pooled: Pooled, codecs: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return np.isin(pooled.devices, codecs), pooled.devices == CLEAN


def section(found: Table, grid: Settings) -> Section:
    """Return table 2 and what it says."""
    losses = {codec: found.over_clean(codec, 0) for codec in grid.coded}
    facts = {
        "found": found,
        "grid": grid,
        "clean": CLEAN,
        "all": ALL,
        "losses": losses,
        "lower": [name for name, loss in losses.items() if loss.high is not None and loss.high < 0],
        "worst": min(losses, key=lambda codec: losses[codec].value),
    }
    return Section("table", facts, found.rows)
