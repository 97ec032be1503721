"""A classifier by its name: module:function, or an ONNX file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from anymic.errors import ClassifierError
from anymic.evaluation.robustness.classifiers import Classifier, FunctionClassifier
from anymic.inference.onnx_model import OnnxModel

_EXAMPLE = "module:function, or the path of an .onnx file"


def load_classifier(
    place: str, *, labels: Sequence[str] | None = None, rate_hz: int | None = None
) -> Classifier:
    """Return the classifier with a name.

    Parameters
    ----------
    place : str
        "module:function", imported from Python's path or the working directory, or a path that
        ends in .onnx. The function may be any `Classifier`.
    labels : sequence of str, optional
        In the order of its probabilities; by default its own.
    rate_hz : int, optional
        The input rate of an ONNX file, by default that of its metadata.

    Raises
    ------
    ClassifierError
        If it does not exist or cannot be called.
    DependencyError
        If it is an ONNX file, and onnxruntime is not installed.
    """
    if place.endswith(".onnx"):
        return OnnxModel(place, labels=labels, rate_hz=rate_hz)
    if rate_hz is not None:
        raise ClassifierError(
            f"the rate {rate_hz} Hz cannot be set for {place}",
            expected="a rate for an .onnx file only",
            fix="leave the rate out, because a function gets the rate of each clip",
        )
    found = _named(place)
    if isinstance(found, Classifier):
        return found
    if not callable(found):
        problem = f"the classifier {place} cannot be called"
        raise ClassifierError(problem, expected="a function or a class")
    return FunctionClassifier(found, labels=labels, name=place)


def _named(place: str) -> Any:
    module, _, names = place.partition(":")
    if not module or not names:
        kind = " (a file or folder)" if Path(place).exists() else ""
        raise ClassifierError(f"{place!r}{kind} is not a classifier", expected=_EXAMPLE)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return attrgetter(names)(importlib.import_module(module))
    except (Exception, SystemExit) as error:  # whatever the module does while it is imported
        raise ClassifierError(
            f"the classifier {place} cannot be imported: {type(error).__name__} ({error})",
            expected=_EXAMPLE,
            fix="check the name, and that Python finds the module",
        ) from error
