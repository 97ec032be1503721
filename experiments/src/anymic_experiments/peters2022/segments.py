"""Figure 2: what fine-tuning of one segment alone gains, beside fine-tuning of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.conditions import CLEAN
from anymic.evaluation.report.rows import Row, row
from anymic_experiments.drawing import dot, panels
from anymic_experiments.findings import Findings
from anymic_experiments.page import Section
from anymic_experiments.peters2022.settings import ALL, Settings
from anymic_experiments.peters2022.tuning import Tuned
from anymic_experiments.pooling import pool
from anymic_experiments.runs import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHOLE, SEGMENT = "whole network", "segment "
BEFORE, CHOSEN = "before", "segment chosen on the other folds"


def section(tuned: Sequence[Tuned], grid: Settings) -> Section:
    """Return what each segment and the whole network gain after the last epoch.

    The best of ten segments on the test clips is partly the luckiest. So a segment is also chosen
    for each fold by the gain on the test clips of the other folds, and measured on this one.
    `tuned` is the whole network and each segment, every fold and seed.
    """
    outcomes: dict[str, list[Outcome]] = {}
    for each in tuned:
        outcomes.setdefault(each[0].run.condition, []).append(each[max(each)])
    before = [each[0].named(BEFORE) for each in tuned if each[0].run.condition == WHOLE]
    choices, chosen = _choose(outcomes, before, grid.tested)
    pooled = pool([*before, *(one for own in outcomes.values() for one in own), *chosen])
    parts = {
        part: pooled.on(*grid.conditions_tested[part])
        for part in (CLEAN, *grid.categories, grid.hardest)
    }
    rows: list[Row] = []
    for name in pooled.conditions[1:]:
        for part, through in parts.items():
            where = {"condition": name, "codec": part}
            gain = through.gain(name, BEFORE)
            rows.append(row("accuracy_difference", gain, **where, against_condition=BEFORE))
            before_it = through.hits(BEFORE)
            gained = through.hits(name) - before_it
            relative = through.ratio(gained, before_it, n=gain.n)
            if relative is not None:
                rows.append(row("relative_improvement", relative, **where))
            if name != WHOLE and part in (ALL, grid.hardest):
                share = through.ratio(gained, through.hits(WHOLE) - before_it, n=gain.n)
                if share is not None:
                    rows.append(row("share_of_gain", share, **where, against_condition=WHOLE))
    found, own = Findings(rows), [name for name in outcomes if name != WHOLE]
    facts = {"own": own, "choices": choices}
    return Section("segments", found, facts, "figure2", figure(found, own, grid))


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


def figure(found: Findings, names: Sequence[str], grid: Settings) -> Figure:
    """Draw figure 2: relative improvement by segment; dashed, the whole network."""
    from anymic.evaluation.report.style import MUTED, series

    parts = (CLEAN, *grid.codecs)
    ticks = [name.removeprefix(SEGMENT) for name in names]
    with panels(parts, 4.6, 9.0, rows=2, grid="y", sharex=True, sharey=True) as (drawing, each):
        for number, (axes, part) in enumerate(zip(each, parts, strict=True)):
            colour, marker = series(number)
            for place, name in enumerate(names, start=1):
                item = found.maybe("relative_improvement", condition=name, codec=part)
                if item is not None:
                    dot(axes, place, item, marker, color=colour, width=1.2, ms=6)
            whole = found.maybe("relative_improvement", condition=WHOLE, codec=part)
            axes.axhline(0, color=MUTED, lw=0.8)
            if whole is not None:
                axes.axhline(100 * whole.value, color=colour, ls=(0, (4, 3)), lw=1.2)
            axes.set_xticks(range(1, len(names) + 1), ticks)
        for axes in each[-2:]:
            axes.set_xlabel("segment that is fine-tuned")
        for axes in each[::2]:
            axes.set_ylabel("relative improvement (%)")
    return drawing
