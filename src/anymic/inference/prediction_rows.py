"""The result of a prediction as plain values, as the command line and the service state it."""

from __future__ import annotations

from dataclasses import asdict
from heapq import nlargest
from operator import itemgetter
from typing import Any

from anymic.errors import Failure
from anymic.inference.prediction import Prediction, named_labels


def as_mapping(
    result: Prediction | Failure, *, windows: bool = False, top: int = 1
) -> dict[str, Any]:
    """Return a result as plain values for JSON; a failure is `{"path": ..., "failed": ...}`.

    Parameters
    ----------
    result : Prediction or Failure
    windows : bool
        With `each_window`: the answer and the probabilities of each window.
    top : int
        From 2 on, with `top`: this number of most probable labels, in order.
    """
    if isinstance(result, Failure):
        return {"path": result.path, "failed": result.reason}
    values = {**asdict(result), "answer": result.answer}
    several = values.pop("thresholds") if result.thresholds is None else result.thresholds
    if several:  # there is no single answer
        for name in ("label", "probability", "answer"):
            del values[name]
        values["labels"] = list(result.labels)
    starts_s = values.pop("window_starts_s")
    each = values.pop("window_probabilities").tolist()
    labels, least = list(result.probabilities), result.min_confidence
    if top > 1:
        best = nlargest(top, result.probabilities.items(), key=itemgetter(1))
        values["top"] = [{"label": label, "probability": share} for label, share in best]
    if windows:
        values["each_window"] = []
        for start_s, row in zip(starts_s, each, strict=True):
            own = dict(zip(labels, row, strict=True))
            answer: dict[str, Any] = {
                "answer": labels[row.index(max(row))] if max(row) >= least else None
            }
            if several:
                answer = {"labels": [name for name, _ in named_labels(own, several, least)]}
            values["each_window"].append({"start_s": start_s, **answer, "probabilities": own})
    return values
