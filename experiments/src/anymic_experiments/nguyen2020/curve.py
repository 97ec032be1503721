"""Table 3 and figure 3: accuracy over the temperature of training, for three corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anymic.evaluation.report.cells import percent, points
from anymic.evaluation.report.rows import Row, row
from anymic_experiments.findings import Findings
from anymic_experiments.members import Member
from anymic_experiments.nguyen2020.grid import CORRECTIONS, Setting
from anymic_experiments.pooling import pool

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAIR = "B and C"
PLAIN, UNCORRECTED = "T = 1", "NoCorrection"  # what gains are over
DEVICES = {"A": ("A",), "B": ("B",), "C": ("C",), PAIR: ("B", "C")}
BEHIND = 0.10  # training accuracy that a temperature may lack against T = 1 and still be compared
# Table 3 of the paper, in per cent: accuracy on A, B, C and the mean of B and C. The line of T = 1
# with Ref.ABC and Ref.BC is that of table 2 (focal loss), which has no columns for B and C.
PAPER: dict[tuple[str, float], tuple[float | None, ...]] = {
    ("Ref.ABC", 1): (72.3, None, None, 67.6),
    ("Ref.ABC", 10): (73.4, 66.5, 73.7, 70.1),
    ("Ref.ABC", 15): (72.3, 66.9, 72.6, 69.7),
    ("Ref.BC", 1): (70.27, None, None, 65.9),
    ("Ref.BC", 30): (72.2, 65.9, 72.8, 69.4),
    ("NoCorrection", 1): (71.6, 58.0, 59.3, 58.6),
    ("NoCorrection", 20): (72.8, 60.9, 63.0, 62.0),
}
BASELINE = (61.9, 39.6, 43.1, 41.4)


@dataclass(frozen=True)
class Curve(Findings):
    """Accuracy over temperature.

    Attributes
    ----------
    temperatures : tuple of float
        Of training, rising, the first is 1.
    reached : dict of (str, float) to float
        The training accuracy at the end, by correction and temperature, averaged over folds and
        seeds.
    chosen : dict of str to float
        The temperature that each correction's validation clips choose.
    """

    temperatures: tuple[float, ...]
    reached: Mapping[tuple[str, float], float]
    chosen: Mapping[str, float]

    def accuracy(self, correction: str, temperature: float, device: str) -> Row:
        """Return the accuracy of one place."""
        where = {"correction": correction, "temperature": f"{temperature:g}", "device": device}
        return self.of("accuracy", **where)

    def gain(self, correction: str, temperature: float, device: str, *, over: str) -> Row:
        """Return the accuracy gained over T = 1, or over no correction."""
        where = {"correction": correction, "temperature": f"{temperature:g}", "device": device}
        return self.of("accuracy_difference", **where, against_condition=over)

    def converged(self, correction: str, temperature: float) -> bool:
        """Whether training came about as far as at T = 1, so that accuracies may be compared."""
        return self.reached[correction, temperature] >= self.reached[correction, 1] - BEHIND


def compare(
    members: Sequence[Member], reached: Sequence[float], *, temperatures: Sequence[float]
) -> Curve:
    """Return accuracy by correction, temperature and device, and what heating changes.

    Parameters
    ----------
    members : sequence of Member
        The trained runs of `grid.curve`, every fold and seed.
    reached : sequence of float
        The training accuracy at the end of each.
    temperatures : sequence of float
    """
    pooled = pool(member.outcome for member in members)
    rows: list[Row] = []
    for correction in CORRECTIONS:
        plain = Setting(correction).name
        for temperature in temperatures:
            name = Setting(correction, temperature).name
            where = {"correction": correction, "temperature": f"{temperature:g}"}
            for device, heard in DEVICES.items():
                place = {**where, "device": device}
                rows.append(row("accuracy", pooled.accuracy(name, *heard), **place))
                if temperature != 1:
                    change = pooled.gain(name, plain, *heard)
                    rows.append(
                        row("accuracy_difference", change, **place, against_condition=PLAIN)
                    )
                if CORRECTIONS[correction] is not None:
                    change = pooled.gain(name, Setting(UNCORRECTED, temperature).name, *heard)
                    over = {**place, "against_condition": UNCORRECTED}
                    rows.append(row("accuracy_difference", change, **over))
    settings = [(name, t) for name in CORRECTIONS for t in temperatures]
    return Curve(
        rows,
        temperatures=tuple(temperatures),
        reached={key: float(np.mean(_of(key, members, reached))) for key in settings},
        chosen={name: _chosen(name, members, temperatures) for name in CORRECTIONS},
    )


def _of(key: tuple[str, float], members: Sequence[Member], values: Sequence[float]) -> list[float]:
    name = Setting(*key).name
    return [
        value
        for member, value in zip(members, values, strict=True)
        if member.outcome.run.condition == name
    ]


def _chosen(correction: str, members: Sequence[Member], temperatures: Sequence[float]) -> float:
    """Return the temperature with the most validation clips right, the smallest of equals."""
    right = {
        temperature: sum(
            int((member.validation.argmax(axis=1) == member.targets).sum())
            for member in members
            if member.outcome.run.condition == Setting(correction, temperature).name
        )
        for temperature in temperatures
    }
    return max(right, key=lambda temperature: right[temperature])


def markdown(curve: Curve, lengths: Mapping[float, tuple[int, float]]) -> str:
    """Return table 3, every temperature of every correction, the paper's figures in brackets.

    Parameters
    ----------
    curve : Curve
    lengths : dict of float to (int, float)
        The epochs and the learning rate of each temperature.
    """
    lines = [
        f"| correction | T | epochs, rate | reached | {' | '.join(DEVICES)} |",
        "|---" * (4 + len(DEVICES)) + "|",
    ]
    for correction in CORRECTIONS:
        printed = {t for name, t in PAPER if name == correction}
        for temperature in sorted({*curve.temperatures, *printed}):
            paper = PAPER.get((correction, temperature), (None,) * len(DEVICES))
            if temperature not in curve.temperatures:
                cells = [f"({figure:.1f})" if figure else "" for figure in paper]
                lines.append(_line(correction, temperature, "", "", *cells))
                continue
            epochs, rate = lengths[temperature]
            behind = "" if curve.converged(correction, temperature) else " (behind)"
            cells = []
            for device, figure in zip(DEVICES, paper, strict=True):
                found = curve.accuracy(correction, temperature, device)
                beside = f" ({figure:.1f})" if figure else ""
                cells.append(percent(found, interval_digits=0) + beside)
            reached = f"{100 * curve.reached[correction, temperature]:.0f}{behind}"
            lines.append(_line(correction, temperature, f"{epochs}, {rate:g}", reached, *cells))
    return "\n".join(lines) + "\n"


def _line(correction: str, temperature: float, *cells: str) -> str:
    return "| " + " | ".join([correction, f"{temperature:g}", *cells]) + " |"


def gains_markdown(curve: Curve) -> str:
    """Return what heating changes against T = 1, and what the validation clips choose."""
    lines = [
        "| correction | T | A, over T = 1 | B and C, over T = 1 | B and C, over no correction |",
        "|---" * 5 + "|",
    ]
    for correction in CORRECTIONS:
        for temperature in curve.temperatures:
            heated = [
                points(curve.gain(correction, temperature, device, over=PLAIN))
                if temperature != 1
                else ""
                for device in ("A", PAIR)
            ]
            corrected = ""
            if CORRECTIONS[correction] is not None:
                corrected = points(curve.gain(correction, temperature, PAIR, over=UNCORRECTED))
            mark = " (chosen)" if curve.chosen[correction] == temperature else ""
            lines.append(
                _line(correction, temperature, *heated, corrected).replace(
                    f"| {temperature:g} |", f"| {temperature:g}{mark} |", 1
                )
            )
    return "\n".join(lines) + "\n"


def figure(curve: Curve) -> Figure:
    """Draw figure 3: accuracy over temperature, on A, and on B and C; hollow: not converged."""
    from anymic.evaluation.report.style import PAPER as WHITE
    from anymic.evaluation.report.style import bare, canvas, quiet_style, series

    with quiet_style():
        drawing, panels = canvas(3.4, 9.0, ncols=2, sharey=True, sharex=True)
        for axes, device in zip(panels, ("A", PAIR), strict=True):
            for number, correction in enumerate(CORRECTIONS):
                colour, marker = series(number)
                found = [curve.accuracy(correction, t, device) for t in curve.temperatures]
                # Beside each other, so that no interval hides another.
                places = [t * 1.05 ** (number - 1) for t in curve.temperatures]
                axes.plot(places, [100 * item.value for item in found], color=colour, lw=1.4)
                for place, t, item in zip(places, curve.temperatures, found, strict=True):
                    if item.low is not None and item.high is not None:
                        axes.vlines(place, 100 * item.low, 100 * item.high, color=colour, lw=1.0)
                    full = curve.converged(correction, t)
                    axes.plot(
                        place,
                        100 * item.value,
                        marker,
                        ms=6.5,
                        mfc=colour if full else WHITE,
                        mec=colour,
                        label=correction if t == curve.temperatures[0] else None,
                    )
            axes.set_xscale("log")
            axes.set_xticks(curve.temperatures, [f"{t:g}" for t in curve.temperatures])
            axes.minorticks_off()
            axes.set_title(device)
            axes.set_xlabel("temperature of training")
            bare(axes, grid="y")
        panels[0].set_ylabel("accuracy (%) with 95 % interval")
        panels[0].legend(loc="lower left")
    return drawing


def reading(curve: Curve) -> str:
    """Say what agrees with the paper and what does not, in sentences that follow the numbers."""
    sentences = []
    behind = [
        f"{name} at T = {t:g}"
        for name in CORRECTIONS
        for t in curve.temperatures
        if not curve.converged(name, t)
    ]
    if behind:
        sentences.append(f"Not converged, and so not compared: {', '.join(behind)}.")
    for correction, (temperature, paper) in _paper_gains(curve.temperatures).items():
        if not curve.converged(correction, temperature):
            continue
        found = curve.gain(correction, temperature, PAIR, over=PLAIN)
        sentences.append(
            f"{correction}: T = {temperature:g} changes B and C by {points(found)} points; in the "
            f"paper heating brings {paper:+.1f}{_verdict(found, paper / 100)}."
        )
    chosen = [
        f"{name} T = {t:g} ({points(curve.gain(name, t, PAIR, over=PLAIN))} points on B and C)"
        for name, t in curve.chosen.items()
        if t != 1
    ]
    if chosen:
        sentences.append(f"Validation clips choose {', '.join(chosen)} over T = 1.")
    gains = {
        (name, t): curve.gain(name, t, PAIR, over=UNCORRECTED)
        for name, reference in CORRECTIONS.items()
        if reference is not None
        for t in curve.temperatures
        if curve.converged(name, t) and curve.converged("NoCorrection", t)
    }
    values = [100 * item.value for item in gains.values()]
    clear = sum(1 for item in gains.values() if item.low is not None and item.low > 0)
    if values:
        sentences.append(
            f"Correction gains {min(values):+.1f} to {max(values):+.1f} points on B and C at the "
            f"same temperature ({clear} of {len(values)} intervals above 0; in the paper +9.0 at "
            "T = 1 with Ref.ABC)."
        )
    return " ".join(sentences)


def _paper_gains(temperatures: Sequence[float]) -> dict[str, tuple[float, float]]:
    """Return the temperature nearest to the paper's best, and what heating brings there."""
    gains = {}
    for correction in CORRECTIONS:
        heated = {t: v[3] for (name, t), v in PAPER.items() if name == correction and t != 1}
        best, value = max(heated.items(), key=lambda item: item[1] or 0)
        plain = PAPER[correction, 1][3]
        assert value is not None
        assert plain is not None
        nearest = min(temperatures, key=lambda t: abs(np.log(t / best)))
        gains[correction] = (nearest, value - plain)
    return gains


def _verdict(found: Row, paper: float) -> str:
    """Return whether the paper's gain lies within our interval."""
    if found.low is None or found.high is None:
        return ""
    if found.low <= paper <= found.high:
        zero = "and so does no change at all" if found.low <= 0 <= found.high else "and zero not"
        return f", which lies within our interval, {zero}"
    return ", which lies outside our interval"
