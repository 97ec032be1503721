"""Figure 2: what fine-tuning of one segment alone gains, beside fine-tuning of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.conditions import CLEAN
from anymic.evaluation.report.rows import Row, row
from anymic_experiments.drawing import upright
from anymic_experiments.findings import Findings
from anymic_experiments.page import Section
from anymic_experiments.peters2022.settings import ALL, Settings
from anymic_experiments.peters2022.tuning import Tuned
from anymic_experiments.pooling import Pooled, pool
from anymic_experiments.runs import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHOLE, SEGMENT = "whole network", "segment "
BEFORE, CHOSEN = "before", "segment chosen on the other folds"


@dataclass(frozen=True)
class Segments(Findings):
    """What each segment gains."""

    names: tuple[str, ...]  # the whole network first, then its segments from input to output
    choices: tuple[str, ...]  # the segment that the other folds choose, by fold


def parts(grid: Settings) -> dict[str, tuple[str, ...]]:
    """Return the conditions that gains are stated for."""
    return {CLEAN: (CLEAN,), **grid.categories, grid.hardest: (grid.hardest,)}


def compare(tuned: Sequence[Tuned], grid: Settings) -> Segments:
    """Return what each segment and the whole network gain after the last epoch.

    The best of ten segments on the test clips is partly the luckiest. So a segment is also chosen
    for each fold by the gain on the test clips of the other folds, and measured on this one.
    `tuned` is the whole network and each segment, every fold and seed.
    """
    outcomes: dict[str, list[Outcome]] = {}
    for each in tuned:
        outcomes.setdefault(each[0].run.condition, []).append(each[max(each)])
    before = [each[0].named(BEFORE) for each in tuned if each[0].run.condition == WHOLE]
    choices, chosen = _choose(outcomes, before, grid.coded)
    pooled = pool([*before, *(one for own in outcomes.values() for one in own), *chosen])
    rows: list[Row] = []
    for name in pooled.conditions[1:]:
        for part, codecs in parts(grid).items():
            where = {"condition": name, "codec": part}
            gain = pooled.gain(name, BEFORE, *codecs)
            rows.append(row("accuracy_difference", gain, **where, against_condition=BEFORE))
            gained, had = _gained(pooled, name, codecs), pooled.correct(BEFORE)
            had = had * np.isin(pooled.devices, codecs)
            relative = pooled.ratio(gained, had.astype(float), n=gain.n)
            if relative is not None:
                rows.append(row("relative_improvement", relative, **where))
            if name != WHOLE and part in (ALL, grid.hardest):
                share = pooled.ratio(gained, _gained(pooled, WHOLE, codecs), n=gain.n)
                if share is not None:
                    rows.append(row("share_of_gain", share, **where, against_condition=WHOLE))
    return Segments(rows, tuple(outcomes), choices)


def _gained(pooled: Pooled, name: str, codecs: Sequence[str]) -> NDArray[np.float64]:
    """Return what each clip of a part adds to the gain: 1, 0 or -1; 0 for all other clips."""
    after, before = (pooled.correct(each).astype(float) for each in (name, BEFORE))
    gained: NDArray[np.float64] = (after - before) * np.isin(pooled.devices, codecs)
    return gained


def _choose(
    outcomes: dict[str, list[Outcome]], before: Sequence[Outcome], codecs: Sequence[str]
) -> tuple[tuple[str, ...], list[Outcome]]:
    """Choose a segment for each fold by the others; return the choices and its outcomes there."""

    def right(some: Sequence[Outcome]) -> NDArray[np.int64]:
        return np.array([one.right[np.isin(one.devices, codecs)].sum() for one in some])

    folds = [each.run.manifest for each in before]
    gains = {name: right(own) - right(before) for name, own in outcomes.items() if name != WHOLE}
    choices: dict[Path, str] = {}
    for fold in dict.fromkeys(folds):
        others = np.array([other != fold for other in folds])
        if not others.any():  # a single fold has none to choose on
            return (), []
        totals = {name: int(gain[others].sum()) for name, gain in gains.items()}
        choices[fold] = max(totals, key=lambda name: totals[name])
    chosen = [outcomes[choices[fold]][place] for place, fold in enumerate(folds)]
    return tuple(choices.values()), [one.named(CHOSEN) for one in chosen]


def section(found: Segments, grid: Settings) -> Section:
    """Return the gains of each segment and figure 2."""
    facts = {
        "found": found,
        "grid": grid,
        "parts": list(parts(grid)),
        "all": ALL,
        "before": BEFORE,
        "whole": WHOLE,
        "chosen": CHOSEN,
        "own": [name for name in found.names if name != WHOLE],
    }
    return Section("segments", facts, found.rows, "figure2", figure(found, grid))


def figure(found: Segments, grid: Settings) -> Figure:
    """Draw figure 2: relative improvement by segment; dashed, the whole network."""
    from anymic.evaluation.report.style import MUTED, bare, canvas, quiet_style, series

    names = [name for name in found.names if name != WHOLE]
    with quiet_style():
        drawing, panels = canvas(4.6, 9.0, nrows=2, ncols=2, sharex=True, sharey=True)
        for number, (axes, part) in enumerate(zip(panels.flat, (CLEAN, *grid.codecs), strict=True)):
            colour, marker = series(number)
            for place, name in enumerate(names, start=1):
                item = found.maybe("relative_improvement", condition=name, codec=part)
                if item is not None:
                    upright(axes, place, item, marker, color=colour, width=1.2, ms=6)
            whole = found.maybe("relative_improvement", condition=WHOLE, codec=part)
            axes.axhline(0, color=MUTED, lw=0.8)
            if whole is not None:
                axes.axhline(100 * whole.value, color=colour, ls=(0, (4, 3)), lw=1.2)
            axes.set_title(part)
            ticks = [name.removeprefix(SEGMENT) for name in names]
            axes.set_xticks(range(1, len(names) + 1), ticks)
            bare(axes, grid="y")
        for axes in panels[-1]:
            axes.set_xlabel("segment that is fine-tuned")
        for axes in panels[:, 0]:
            axes.set_ylabel("relative improvement (%)")
    return drawing
