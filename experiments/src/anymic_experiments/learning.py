"""How far a training came: what its log says of the last epochs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from anymic.errors import AnymicError

LAST = 3  # epochs; one alone is noisy


def reached(run: str | Path, metric: str = "training_accuracy") -> float:
    """Return the mean of a metric over the last three epochs of a run.

    Parameters
    ----------
    run : path
        The folder of the run; `logs` in it is read.
    metric : str
        As training logs it. The training accuracy is that of the clips as they were trained on,
        mixed up and masked, so that it stays below 1 however well they are known.

    Raises
    ------
    AnymicError
        If the log is not there, or does not hold the metric.
    """
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    log = EventAccumulator(str(Path(run) / "logs"))
    log.Reload()
    if metric not in log.Tags().get("scalars", ()):
        raise AnymicError(
            f"{run} without a log of {metric}",
            expected="the logs of its training",
            fix="delete the folder and run again",
        )
    return float(np.mean([event.value for event in log.Scalars(metric)[-LAST:]]))
