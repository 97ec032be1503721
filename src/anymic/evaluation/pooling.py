"""One evaluation of the parts of a cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from anymic.data.manifest import concatenate
from anymic.errors import Failure
from anymic.evaluation.evaluate import measured_rows
from anymic.evaluation.result import Evaluation


def pool(parts: Sequence[Evaluation], *, seed: int = 0) -> Evaluation:
    """Return the evaluation of all clips of several, each with the probabilities of its own model.

    Parameters
    ----------
    parts : sequence of Evaluation
        Of models with the same labels, on different clips. Title and facts are those of the first.
    seed : int
        Of the resamples behind the intervals.
    """
    first, *others = parts
    if not others:
        return first
    clips = concatenate([part.clips for part in parts])
    probabilities = np.concatenate([part.probabilities for part in parts])
    limits = [
        np.broadcast_to(one.thresholds, one.targets.shape)
        for one in parts
        if one.thresholds is not None
    ]
    thresholds = np.concatenate(limits) if limits else None
    failures: dict[str, Failure] = {one.path: one for part in parts for one in part.failures}
    return replace(
        first,
        rows=tuple(
            measured_rows(
                probabilities, clips, labels=first.labels, thresholds=thresholds, seed=seed
            )
        ),
        thresholds=thresholds,
        clips=clips,
        probabilities=probabilities,
        targets=np.concatenate([part.targets for part in parts]),
        failures=tuple(failures.values()),
        warning=" ".join(dict.fromkeys(filter(None, (part.warning for part in parts)))),
        seed=seed,
        profile=None,
    )
