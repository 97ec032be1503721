"""Figure 2: what fine-tuning of one segment alone gains, beside fine-tuning of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
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
    """What each segment gains.

    Attributes
    ----------
    names : tuple of str
        The whole network first, then its segments from input to output.
    choices : tuple of str
        The segment that the other folds choose, by fold.
    """

    names: tuple[str, ...]
    choices: tuple[str, ...]

    def gain(self, name: str, part: str) -> Row:
        """Return the accuracy gained since before, in one part of the conditions."""
        return self.of("accuracy_difference", condition=name, codec=part, against_condition=BEFORE)

    def relative(self, name: str, part: str) -> Row | None:
        """Return that gain over the accuracy before, the paper's relative improvement.

        None where the interval of that accuracy reaches 0.
        """
        return self.maybe("relative_improvement", condition=name, codec=part)

    def share(self, name: str, part: str) -> Row | None:
        """Return its gain over the whole network's; None where that one's interval reaches 0."""
        return self.maybe("share_of_gain", condition=name, codec=part, against_condition=WHOLE)


def parts(grid: Settings) -> dict[str, tuple[str, ...]]:
    """Return the conditions that gains are stated for."""
    return {CLEAN: (CLEAN,), **grid.categories, grid.hardest: (grid.hardest,)}


def compare(tuned: Sequence[Tuned], grid: Settings) -> Segments:
    """Return what each segment and the whole network gain after the last epoch.

    The best of ten segments on the test clips is partly the luckiest. So a segment is also chosen
    for each fold by the gain on the test clips of the other folds, and measured on this one.

    Parameters
    ----------
    tuned : sequence of Tuned
        The whole network and each segment, every fold and seed.
    grid : Settings
    """
    names = tuple(dict.fromkeys(each.tuning.condition for each in tuned))
    outcomes = {
        name: [
            each.after(max(each.probabilities), name)
            for each in tuned
            if each.tuning.condition == name
        ]
        for name in names
    }
    before = [each.after(0, BEFORE) for each in tuned if each.tuning.condition == WHOLE]
    choices, chosen = _choose(outcomes, before, grid.coded)
    pooled = pool([*before, *(one for name in names for one in outcomes[name]), *chosen])
    rows: list[Row] = []
    for name in (*names, *([CHOSEN] if chosen else [])):
        for part, codecs in parts(grid).items():
            where = {"condition": name, "codec": part}
            gain = pooled.gain(name, BEFORE, *codecs)
            rows.append(row("accuracy_difference", gain, **where, against_condition=BEFORE))
            gained = _gained(pooled, name, codecs)
            had = pooled.correct(BEFORE) * np.isin(pooled.devices, codecs).astype(float)
            relative = pooled.ratio(gained, had, n=gain.n)
            if relative is not None:
                rows.append(row("relative_improvement", relative, **where))
            if name == WHOLE or part not in (ALL, grid.hardest):
                continue
            share = pooled.ratio(gained, _gained(pooled, WHOLE, codecs), n=gain.n)
            if share is not None:
                rows.append(row("share_of_gain", share, **where, against_condition=WHOLE))
    return Segments(rows, names, choices)


def _gained(pooled: Pooled, name: str, codecs: Sequence[str]) -> NDArray[np.float64]:
    """Return what each clip of a part adds to the gain: 1, 0 or -1; 0 for all other clips."""
    after, before = (pooled.correct(each).astype(float) for each in (name, BEFORE))
    gained: NDArray[np.float64] = (after - before) * np.isin(pooled.devices, codecs)
    return gained


def _choose(
    outcomes: dict[str, list[Outcome]], before: Sequence[Outcome], codecs: Sequence[str]
) -> tuple[tuple[str, ...], list[Outcome]]:
    """Choose a segment for each fold by the others; return the choices and its outcomes there."""

    def right(outcome: Outcome) -> int:
        coded = np.isin(outcome.devices, codecs)
        return int((outcome.probabilities.argmax(axis=1) == outcome.targets)[coded].sum())

    folds = [each.run.manifest for each in before]
    gains = {
        name: np.array(
            [right(one) - right(other) for one, other in zip(found, before, strict=True)]
        )
        for name, found in outcomes.items()
        if name != WHOLE
    }
    choices: dict[Path, str] = {}
    for fold in dict.fromkeys(folds):
        others = np.array([other != fold for other in folds])
        if not others.any():  # a single fold has none to choose on
            return (), []
        totals = {name: int(gain[others].sum()) for name, gain in gains.items()}
        choices[fold] = max(totals, key=lambda name: totals[name])
    chosen = [outcomes[choices[fold]][place] for place, fold in enumerate(folds)]
    renamed = [replace(one, run=replace(one.run, condition=CHOSEN)) for one in chosen]
    return tuple(choices.values()), renamed


def section(found: Segments, grid: Settings) -> Section:
    """Return the gains of each segment and figure 2."""
    names = [name for name in found.names if name != WHOLE]
    half = len(names) // 2
    shared = (ALL, grid.hardest)

    def gain(part: str, name: str) -> float:
        return found.gain(name, part).value

    facts = {
        "found": found,
        "epochs": grid.segment_epochs,
        "parts": tuple(parts(grid)),
        "shared": shared,
        "whole": WHOLE,
        "chosen": CHOSEN,
        "best": {part: max(names, key=partial(gain, part)) for part in shared},
        "choices": [name.removeprefix(SEGMENT) for name in found.choices],
        "half": half,
        "count": len(names),
        "means": [
            float(np.mean([100 * gain(ALL, name) for name in some]))
            for some in (names[:half], names[half:])
            if half
        ],
    }
    return Section("segments", facts, found.rows, "figure2", figure(found, grid))


def figure(found: Segments, grid: Settings) -> Figure:
    """Draw figure 2: relative improvement by segment; dashed, the whole network."""
    from anymic.evaluation.report.style import MUTED, bare, canvas, quiet_style, series

    names = [name for name in found.names if name != WHOLE]
    places = range(1, len(names) + 1)
    with quiet_style():
        drawing, panels = canvas(4.6, 9.0, nrows=2, ncols=2, sharex=True, sharey=True)
        for number, (axes, part) in enumerate(zip(panels.flat, (CLEAN, *grid.codecs), strict=True)):
            colour, marker = series(number)
            for place, name in zip(places, names, strict=True):
                item = found.relative(name, part)
                if item is not None:
                    upright(axes, place, item, marker, color=colour, width=1.2, ms=6)
            whole = found.relative(WHOLE, part)
            axes.axhline(0, color=MUTED, lw=0.8)
            if whole is not None:
                axes.axhline(100 * whole.value, color=colour, ls=(0, (4, 3)), lw=1.2)
            axes.set_title(part)
            axes.set_xticks(places, [name.removeprefix(SEGMENT) for name in names])
            bare(axes, grid="y")
        for axes in panels[-1]:
            axes.set_xlabel("segment that is fine-tuned")
        for axes in panels[:, 0]:
            axes.set_ylabel("relative improvement (%)")
    return drawing
