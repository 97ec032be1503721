"""A simple classifier to compare with a model, on the same clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic.errors import counted
from anymic.evaluation.report.cells import full, interval, points
from anymic.evaluation.report.evaluation import compare
from anymic.evaluation.report.rows import Row, row
from anymic.evaluation.report.tables import Table
from anymic.metrics import ACCURACY, accuracy

MODEL = "model"
KEY = "classifier"


@dataclass(frozen=True)
class Baseline:
    """The accuracy of a simple classifier, of the model on the same clips, and their difference.

    Attributes
    ----------
    name : str
    about : str
        How it was made.
    rows : tuple of Row
        accuracy of the condition {"classifier": name} and of {"classifier": "model"};
        accuracy_difference of {"classifier": "model", "against_classifier": name}, in pairs. All
        are over the clips that both could use.
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

        Rows of `probabilities` that are NaN are clips that the baseline could not use.
        """
        both = np.isfinite(probabilities).all(axis=1)
        if not both.any():
            return None
        recordings = None if groups is None else np.asarray(groups)[both]
        right = {
            one: found[both].argmax(axis=1) == targets[both]
            for one, found in ((MODEL, model), (name, probabilities))
        }
        rows = [
            row(ACCURACY.name, accuracy(hits, recordings), **{KEY: one})
            for one, hits in right.items()
        ]
        rows += compare(right, against=name, key=KEY, groups=recordings, seed=seed)
        return cls(name, about, tuple(rows))

    @property
    def difference(self) -> Row | None:
        """The model minus the baseline; None for clips of a single recording."""
        return next((one for one in self.rows if one.metric == ACCURACY.difference), None)

    def table(self) -> Table:
        """Return a line for the model and one for the baseline."""
        lines = []
        for one in self.rows:
            if one.metric == ACCURACY.name:
                name, change = one.condition[KEY], self.difference
                shown = points(change) if change and name == MODEL else ""
                lines.append((name, full(one), shown, str(one.n)))
        columns = (KEY, ACCURACY.title, f"against {self.name},\npoints", "n")
        return Table(columns, tuple(lines), "The model and a baseline, on the same clips")

    def __str__(self) -> str:
        """Return a sentence that compares the two."""
        change = self.difference
        if change is None or change.low is None or change.high is None:
            return ""
        if change.low <= 0 <= change.high:
            return f"It does not differ clearly from the {self.name} ({points(change)} points)."
        kind = "better" if change.value > 0 else "worse"
        size = f"{abs(100 * change.value):.1f} points {interval(change)}"
        return f"It is {kind} than the {self.name} by {size}, over {counted(change.n, 'clip')}."
