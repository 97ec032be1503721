"""Choose the thresholds of a model of several labels a clip, on the clips that validate."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import models
from anymic.calibration import best_thresholds
from anymic.data.tables import some
from anymic.errors import AnymicWarning, counted
from anymic.features import Frontend
from anymic.inference.answers import average, probabilities
from anymic.models.tagger import Standardization
from anymic.training.parts import Examples

BATCH = 32


def choose_thresholds(
    scores: NDArray[np.float64], indicators: NDArray[np.int64], labels: Sequence[str]
) -> dict[str, Any]:
    """Return the record of the thresholds of maximal F1; an AnymicWarning names labels with 0.5.

    Parameters
    ----------
    scores, indicators : array (clip, label)
        Of clips that the model was not trained on; there may be none.
    labels : sequence of str

    Returns
    -------
    dict
        `values`, a threshold for each label; `clips`, the number of clips that they were chosen on;
        `usual`, the labels with too few of them, which have 0.5.
    """
    found = best_thresholds(scores, indicators)
    usual = [label for label, chosen in zip(labels, found.chosen, strict=True) if not chosen]
    if usual:
        warnings.warn(
            f"of {counted(len(scores), 'clip')} set aside, too few have, or have not, the labels"
            f" {some(usual)}: they are named from a probability of 0.5 on",
            AnymicWarning,
            stacklevel=4,
        )
    return {"values": list(found.values), "clips": len(scores), "usual": usual}


def validation_scores(
    network: models.Network,
    frontend: Frontend | Standardization,
    data: Examples,
    temperature: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return scores and labels (clip, label) of the validation clips, as 0 and 1.

    The scores of a clip with several examples are their mean, as in prediction.
    """
    network.eval()
    rows: dict[str, list[int]] = {}
    for row, clip in enumerate(data.validation_clips):
        rows.setdefault(clip, []).append(row)
    each = np.empty((len(data.validation), len(data.labels)))
    with torch.inference_mode():
        for first in range(0, len(each), BATCH):
            place = slice(first, first + BATCH)
            read = torch.from_numpy(data.features[data.validation[place]].astype(np.float32))
            logits = network(frontend.maps(read))
            each[place] = probabilities(logits, temperature, "several")
    scores = [average(each[own]) for own in rows.values()]
    firsts = [own[0] for own in rows.values()]
    shape = (len(firsts), len(data.labels))
    return np.reshape(scores, shape), np.reshape(data.validation_targets[firsts], shape)
