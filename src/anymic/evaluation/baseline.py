"""A simple classifier to compare with a model, on the same clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic.errors import counted
from anymic.evaluation.report.cells import full, interval, plain, points
from anymic.evaluation.report.evaluation import compare
from anymic.evaluation.report.rows import Row, row
from anymic.evaluation.report.tables import Table
from anymic.metrics import ACCURACY, accuracy, metric_named, precision_intervals
from anymic.metrics.several import MEAN_PRECISION, PRECISION_DIFFERENCE, precision_difference

MODEL = "model"
KEY = "classifier"


@dataclass(frozen=True)
class Baseline:
    """The score of a simple classifier, of the model on the same clips, and their difference.

    Attributes
    ----------
    name : str
    about : str
        How it was made.
    rows : tuple of Row
        accuracy, or with several labels a clip mean_average_precision, of the condition
        {"classifier": "model"} and of {"classifier": name}; its difference of
        {"classifier": "model", "against_classifier": name}, in pairs. All are over the clips that
        both could use.
    """

    name: str
    about: str
    rows: tuple[Row, ...]

    @classmethod
    def of(
        cls,
        name: str,
        about: str,
        probabilities: NDArray[np.float64],
        model: NDArray[np.float64],
        targets: NDArray[np.int64],
        *,
        groups: Sequence[Any] | None,
        seed: int,
    ) -> Baseline | None:
        """Compare probabilities (clip, class) of both; None where they have no clip in common.

        Rows of `probabilities` that are NaN are clips that the baseline could not use. Targets are
        (clip,), or with several labels a clip 0 and 1, (clip, class).
        """
        both = np.isfinite(probabilities).all(axis=1)
        several = targets.ndim == 2
        if not both.any() or (several and not targets[both].any()):
            return None
        recordings = None if groups is None else np.asarray(groups)[both]
        found, true = {MODEL: model[both], name: probabilities[both]}, targets[both]
        rows: list[Row] = []
        if not several:
            right = {one: p.argmax(axis=1) == true for one, p in found.items()}
            for one, hits in right.items():
                rows.append(row(ACCURACY.name, accuracy(hits, recordings), **{KEY: one}))
            rows += compare(right, against=name, key=KEY, groups=recordings, seed=seed)
            return cls(name, about, tuple(rows))
        for one, p in found.items():
            mean, _ = precision_intervals(p, true, recordings, seed=seed)
            assert mean is not None  # some clip has a label
            rows.append(row(MEAN_PRECISION, mean, **{KEY: one}))
        if len(true if recordings is None else set(recordings.tolist())) > 1:
            change = precision_difference(found[MODEL], found[name], true, recordings, seed=seed)
            condition = {KEY: MODEL, f"against_{KEY}": name}
            rows.append(row(PRECISION_DIFFERENCE, change, **condition))
        return cls(name, about, tuple(rows))

    @property
    def difference(self) -> Row | None:
        """The model minus the baseline; None for clips of a single recording."""
        return next((one for one in self.rows if f"against_{KEY}" in one.condition), None)

    def table(self) -> Table:
        """Return a line for the model and one for the baseline."""
        change, measured = self.difference, [one for one in self.rows if len(one.condition) == 1]
        lines = [
            (
                one.condition[KEY],
                full(one),
                _signed(change) if change and one.condition[KEY] == MODEL else "",
                str(one.n),
            )
            for one in measured
        ]
        against = f"against {self.name}" + (",\npoints" if self._in_points else "")
        columns = (KEY, metric_named(self.rows[0].metric).title, against, "n")
        return Table(columns, tuple(lines), "The model and a baseline, on the same clips")

    def __str__(self) -> str:
        """Return a sentence that compares the two."""
        change = self.difference
        if change is None or change.low is None or change.high is None:
            return ""
        unit = " points" if self._in_points else " in mean average precision"
        if change.low <= 0 <= change.high:
            return f"It does not differ clearly from the {self.name} ({_signed(change)}{unit})."
        kind = "better" if change.value > 0 else "worse"
        size = f"{abs(change.value):.3f}{unit} {interval(change)}"
        if self._in_points:
            size = f"{abs(100 * change.value):.1f}{unit} {interval(change)}"
        return f"It is {kind} than the {self.name} by {size}, over {counted(change.n, 'clip')}."

    @property
    def _in_points(self) -> bool:
        return self.rows[0].metric == ACCURACY.name


def _signed(change: Row) -> str:
    return points(change) if change.metric == ACCURACY.difference else plain(change, signed=True)
