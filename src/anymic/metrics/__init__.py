"""Scores of classifiers, and the 95 % intervals that stand beside them.

Examples
--------
>>> import numpy as np
>>> from anymic import metrics
>>> right = np.array([1, 1, 1, 0, 1, 1, 0, 1])  # of eight clips
>>> recordings = ["a", "a", "b", "b", "c", "c", "d", "d"]
>>> found = metrics.accuracy(right, recordings)
>>> found.value, found.n, found.low < found.value < found.high
(0.75, 8, True)
"""

from anymic.metrics.intervals import (
    Interval,
    MetricError,
    accuracy,
    bootstrap,
    bounded_mean,
    design_effect,
    paired_difference,
)
from anymic.metrics.registry import (
    ACCURACY,
    METRICS,
    RANKING,
    Metric,
    metric_named,
    register_metric,
    score_all,
)
from anymic.metrics.scores import (
    BINS,
    EPS,
    brier_score,
    brier_scores,
    calibration_bins,
    check_probabilities,
    confusion_matrix,
    device_contrasts,
    expected_calibration_error,
    log_loss,
    log_losses,
    mean_average_precision_at,
    probability_scores,
    reciprocal_ranks_at,
)
from anymic.metrics.several import (
    average_precisions,
    check_scores,
    f1_intervals,
    mean_average_precision,
    precision_intervals,
)

__all__ = [
    "ACCURACY",
    "BINS",
    "EPS",
    "METRICS",
    "RANKING",
    "Interval",
    "Metric",
    "MetricError",
    "accuracy",
    "average_precisions",
    "bootstrap",
    "bounded_mean",
    "brier_score",
    "brier_scores",
    "calibration_bins",
    "check_probabilities",
    "check_scores",
    "confusion_matrix",
    "design_effect",
    "device_contrasts",
    "expected_calibration_error",
    "f1_intervals",
    "log_loss",
    "log_losses",
    "mean_average_precision",
    "mean_average_precision_at",
    "metric_named",
    "paired_difference",
    "precision_intervals",
    "probability_scores",
    "reciprocal_ranks_at",
    "register_metric",
    "score_all",
]
