"""Accuracy of any classifier by microphone, codec and bitrate."""

from anymic.errors import ClassifierError
from anymic.evaluation.robustness.classifiers import (
    BundleClassifier,
    Classifier,
    FunctionClassifier,
    as_classifier,
)
from anymic.evaluation.robustness.conditions import Condition, grid
from anymic.evaluation.robustness.findings import Robustness
from anymic.evaluation.robustness.floors import Floor, missed_floors
from anymic.evaluation.robustness.loading import load_classifier
from anymic.evaluation.robustness.measure import draw_clips, read_conditions, robustness

__all__ = [
    "BundleClassifier",
    "Classifier",
    "ClassifierError",
    "Condition",
    "Floor",
    "FunctionClassifier",
    "Robustness",
    "as_classifier",
    "draw_clips",
    "grid",
    "load_classifier",
    "missed_floors",
    "read_conditions",
    "robustness",
]
