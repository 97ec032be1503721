"""Accuracy of any classifier by microphone, codec and bitrate."""

from anymic.evaluation.robustness.classifiers import (
    BundleClassifier,
    Classifier,
    ClassifierError,
    FunctionClassifier,
    as_classifier,
)
from anymic.evaluation.robustness.conditions import Condition, grid
from anymic.evaluation.robustness.findings import Findings
from anymic.evaluation.robustness.floors import Floor, missed_floors
from anymic.evaluation.robustness.loading import load_classifier
from anymic.evaluation.robustness.measure import (
    Robustness,
    draw_clips,
    read_conditions,
    robustness,
)
from anymic.evaluation.robustness.onnx_model import OnnxClassifier
from anymic.evaluation.robustness.write import condition_table, sentence, write_findings

__all__ = [
    "BundleClassifier",
    "Classifier",
    "ClassifierError",
    "Condition",
    "Findings",
    "Floor",
    "FunctionClassifier",
    "OnnxClassifier",
    "Robustness",
    "as_classifier",
    "condition_table",
    "draw_clips",
    "grid",
    "load_classifier",
    "missed_floors",
    "read_conditions",
    "robustness",
    "sentence",
    "write_findings",
]
