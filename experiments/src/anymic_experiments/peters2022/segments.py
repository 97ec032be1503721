"""Figure 2: what fine-tuning of one segment alone wins, beside fine-tuning of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.conditions import CLEAN
from anymic.evaluation.report.cells import percent, points
from anymic.evaluation.report.rows import Row, row
from anymic_experiments.findings import Findings
from anymic_experiments.peters2022.grid import WHOLE
from anymic_experiments.peters2022.table import CATEGORIES, HARDEST
from anymic_experiments.peters2022.tuning import Tuned
from anymic_experiments.pooling import Pooled, pool
from anymic_experiments.runs import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEFORE, CHOSEN = "before", "segment chosen on the other folds"
ALL = "all coded"
DRAWN = {"clean": (CLEAN,), **{name: heard for name, heard in CATEGORIES.items() if name != ALL}}
PARTS = {**DRAWN, ALL: CATEGORIES[ALL], HARDEST: (HARDEST,)}
SHARED = (ALL, HARDEST)  # where a segment's gain is compared with that of the whole network


@dataclass(frozen=True)
class Segments(Findings):
    """What each segment wins.

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

        None where that accuracy was not surely above 0.
        """
        return self.maybe("relative_improvement", condition=name, codec=part)

    def share(self, name: str, part: str) -> Row | None:
        """Return its gain over the whole network's; None where that is not surely above 0."""
        return self.maybe("share_of_gain", condition=name, codec=part, against_condition=WHOLE)


def compare(tuned: Sequence[Tuned]) -> Segments:
    """Return what each segment and the whole network win after the last epoch.

    The best of ten segments on the test clips is partly the luckiest. So a segment is also chosen
    for each fold by the gain on the test clips of the other folds, and measured on this one.

    Parameters
    ----------
    tuned : sequence of Tuned
        The whole network and each segment, every fold and seed.
    """
    names = tuple(dict.fromkeys(each.tuning.condition for each in tuned))
    outcomes = {
        name: [_last(each) for each in tuned if each.tuning.condition == name] for name in names
    }
    before = [each.after(0, BEFORE) for each in tuned if each.tuning.condition == WHOLE]
    choices, chosen = _choose(outcomes, before)
    pooled = pool([*before, *(one for name in names for one in outcomes[name]), *chosen])
    rows: list[Row] = []
    for name in (*names, *([CHOSEN] if chosen else [])):
        for part, heard in PARTS.items():
            where = {"condition": name, "codec": part}
            gain = pooled.gain(name, BEFORE, *heard)
            rows.append(row("accuracy_difference", gain, **where, against_condition=BEFORE))
            had = pooled.correct(BEFORE) * np.isin(pooled.devices, heard).astype(float)
            relative = pooled.ratio(_gained(pooled, name, part), had, n=gain.n)
            if relative is not None:
                rows.append(row("relative_improvement", relative, **where))
            if name == WHOLE or part not in SHARED:
                continue
            parts = _gained(pooled, name, part), _gained(pooled, WHOLE, part)
            share = pooled.ratio(*parts, n=gain.n)
            if share is not None:
                rows.append(row("share_of_gain", share, **where, against_condition=WHOLE))
    return Segments(rows, names, choices)


def _last(tuned: Tuned) -> Outcome:
    return tuned.after(max(tuned.probabilities), tuned.tuning.condition)


def _gained(pooled: Pooled, name: str, part: str) -> NDArray[np.float64]:
    """Return what each clip of a part adds to the gain: 1, 0 or -1; 0 for all other clips."""
    kept = np.isin(pooled.devices, PARTS[part])
    after, before = (pooled.correct(each).astype(float) for each in (name, BEFORE))
    gained: NDArray[np.float64] = (after - before) * kept
    return gained


def _choose(
    outcomes: dict[str, list[Outcome]], before: Sequence[Outcome]
) -> tuple[tuple[str, ...], list[Outcome]]:
    """Choose a segment for each fold by the others; return the choices and its answers there."""
    folds = [each.run.manifest for each in before]
    gains = {
        name: np.array(
            [_right(one) - _right(other) for one, other in zip(found, before, strict=True)]
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


def _right(outcome: Outcome) -> int:
    coded = np.isin(outcome.devices, CATEGORIES[ALL])
    return int((outcome.probabilities.argmax(axis=1) == outcome.targets)[coded].sum())


def markdown(found: Segments) -> str:
    """Return the gains of each segment in points, and as shares of the whole network's."""
    shares = [f"of the whole network's, {part}" for part in SHARED]
    lines = [
        f"| fine-tuned | {' | '.join([*PARTS, *shares])} |",
        "|---" * (1 + len(PARTS) + len(SHARED)) + "|",
    ]
    shown = (*found.names, CHOSEN) if found.choices else found.names
    for name in shown:
        cells = [points(found.gain(name, part)) for part in PARTS]
        for part in SHARED:
            share = found.share(name, part)
            cells.append(f"{percent(share, digits=0)} %" if share is not None else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def figure(found: Segments) -> Figure:
    """Draw figure 2: relative improvement by segment; dashed, the whole network."""
    from anymic.evaluation.report.style import MUTED, bare, canvas, quiet_style, series

    names = [name for name in found.names if name != WHOLE]
    places = np.arange(1, len(names) + 1)
    with quiet_style():
        drawing, panels = canvas(4.6, 9.0, nrows=2, ncols=2, sharex=True, sharey=True)
        for number, (axes, part) in enumerate(zip(panels.flat, DRAWN, strict=True)):
            colour, marker = series(number)
            for place, name in zip(places, names, strict=True):
                item = found.relative(name, part)
                if item is None:
                    continue
                if item.low is not None and item.high is not None:
                    axes.vlines(place, 100 * item.low, 100 * item.high, color=colour, lw=1.2)
                axes.plot(place, 100 * item.value, marker, color=colour, ms=6)
            whole = found.relative(WHOLE, part)
            axes.axhline(0, color=MUTED, lw=0.8)
            if whole is not None:
                axes.axhline(100 * whole.value, color=colour, ls=(0, (4, 3)), lw=1.2)
            axes.set_title(part)
            axes.set_xticks(places, [name.removeprefix("segment ") for name in names])
            bare(axes, grid="y")
        for axes in panels[-1]:
            axes.set_xlabel("segment that is fine-tuned")
        for axes in panels[:, 0]:
            axes.set_ylabel("relative improvement (%)")
    return drawing


def reading(found: Segments) -> str:
    """Say what was found of what the paper says, in sentences that follow the numbers."""
    names = [name for name in found.names if name != WHOLE]
    sentences = []
    for part, what in ((ALL, "all coded conditions"), (HARDEST, HARDEST)):
        best = max(names, key=lambda name: found.gain(name, part).value)
        sentences.append(
            f"Over {what} all of the network gains {points(found.gain(WHOLE, part))} points, "
            f"{best}, the best on these test clips, {points(found.gain(best, part))}"
            f"{_of_whole(found, best, part)}."
        )
    if found.choices:
        chosen = ", ".join(name.removeprefix("segment ") for name in found.choices)
        gains = [
            f"{points(found.gain(CHOSEN, part))} over {part}{_of_whole(found, CHOSEN, part)}"
            for part in SHARED
        ]
        sentences.append(
            f"Chosen for each fold by all coded conditions of the other folds ({chosen}), one "
            f"segment gains {' and '.join(gains)}."
        )
    half = len(names) // 2
    early, late = (
        float(np.mean([100 * found.gain(name, ALL).value for name in part]))
        for part in (names[:half], names[half:])
    )
    sentences.append(
        f"Segments 1 to {half} gain {early:+.1f} points on average over all coded conditions, "
        f"{half + 1} to {len(names)} {late:+.1f}; in the paper late ones do as well as all."
    )
    return " ".join(sentences)


def _of_whole(found: Segments, name: str, part: str) -> str:
    share = found.share(name, part)
    return "" if share is None else f", {percent(share, digits=0)} % of that"
