"""Classifiers under test: a model of this library, a function, or any other object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble
from anymic.errors import ClassifierError, Failure, concerns_every_file, part_of
from anymic.inference.onnx_model import checked_labels
from anymic.inference.predictor import Predictor, load
from anymic.metrics.scores import SUM_TOLERANCE

Answer: TypeAlias = "NDArray[np.float64] | Failure"


@runtime_checkable
class Classifier(Protocol):
    """An object with labels that classifies clips."""

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of probabilities; empty if not known before the first answer."""
        ...

    def classify(self, clips: Sequence[Clip], devices: Sequence[str | None]) -> Sequence[Answer]:
        """Return for each clip its probabilities (label,), or a Failure.

        Clips have any rate and length; their `path` is for messages. `devices` has the virtual
        device of each clip, else the device in the manifest, else None.
        """
        ...


class BundleClassifier:
    """A model or an ensemble of this library, used as its contract says.

    If the model has a profile for a device, the device's name is passed to it; else no name is:
    then the model's identifier, if it has one, and its policy for unknown devices decide.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the bundle."""
        return self.predictor.labels

    def classify(self, clips: Sequence[Clip], devices: Sequence[str | None]) -> list[Answer]:
        """See `Classifier`."""
        known = self.predictor.bundle.devices
        stated = [device if device in known else None for device in devices]
        return [
            one
            if isinstance(one, Failure)
            else np.array([one.probabilities[label] for label in self.labels])
            for one in self.predictor.predict_many(clips, devices=stated)
        ]


class FunctionClassifier:
    """A Python function of samples (sample,) float32, mono, and the rate in Hz.

    It returns a mapping of label to probability, or an array (label,) in the order of the labels.
    The devices are not passed to it.

    Parameters
    ----------
    function : callable
        ``function(samples, rate_hz)``.
    labels : sequence of str, optional
        By default the function's own attribute `labels`, else the keys of its first answer.
    name : str
        For messages.
    """

    def __init__(
        self,
        function: Callable[[NDArray[np.float32], int], Any],
        *,
        labels: Sequence[str] | None = None,
        name: str = "",
    ) -> None:
        self.function = function
        self.name = name or getattr(function, "__name__", type(function).__name__)
        own = getattr(function, "labels", ()) if labels is None else labels
        self.labels = checked_labels(own, self.name)

    def classify(self, clips: Sequence[Clip], devices: Sequence[str | None]) -> list[Answer]:
        """See `Classifier`."""
        return [self._ask(clip) for clip in clips]

    def _ask(self, clip: Clip) -> Answer:
        try:
            # the function may change its samples
            answer = self.function(clip.samples.copy(), clip.rate_hz)
        except (Exception, SystemExit) as error:  # whatever the function does
            if concerns_every_file(error):
                raise
            reason = ClassifierError(
                f"the classifier {self.name} raised {type(error).__name__} ({error}) for "
                f"{clip.path or 'a clip'}",
                expected="probabilities",
                fix="correct the function, or leave the clip out",
            )
            return Failure.of(clip.path, reason)
        if isinstance(answer, Mapping):
            return self._in_order(answer, clip)
        numbers = as_numbers(answer, self.name, clip)
        if not self.labels:
            raise ClassifierError(
                f"the classifier {self.name} returned an array, and its labels are not known",
                expected="the labels of the array",
                fix="pass the labels, set the function's attribute labels, or return a mapping",
            )
        return numbers

    def _in_order(self, answer: Mapping[Any, Any], clip: Clip) -> NDArray[np.float64]:
        answer = {str(label): share for label, share in answer.items()}
        self.labels = self.labels or checked_labels(list(answer), self.name)
        missing = [label for label in self.labels if label not in answer]
        unknown = [label for label in answer if label not in self.labels]
        if missing or unknown:
            what = [f"no {', '.join(missing)}"] if missing else []
            what += [f"the unknown {', '.join(unknown)}"] if unknown else []
            raise ClassifierError(
                f"the result of {self.name} for {clip.path or 'a clip'} has {' and '.join(what)}",
                expected=f"a probability for each of {', '.join(self.labels)}",
                fix="return the same labels for every clip",
            )
        return as_numbers([answer[label] for label in self.labels], self.name, clip)


def as_classifier(model: Any, *, labels: Sequence[str] | None = None) -> Classifier:
    """Return a classifier for what was passed.

    Parameters
    ----------
    model : Classifier, Predictor, Bundle, Ensemble, path of a bundle, or callable
        A callable becomes a `FunctionClassifier`.
    labels : sequence of str, optional
        Of a callable.

    Raises
    ------
    ClassifierError
        If it is none of these.
    BundleError
        If the path is not that of a bundle.
    """
    if isinstance(model, (str, Path)):
        model = load(model)
    if isinstance(model, (Bundle, Ensemble)):
        model = Predictor(model)
    if isinstance(model, Predictor):
        return BundleClassifier(model)
    if isinstance(model, Classifier):
        return model
    if callable(model):
        return FunctionClassifier(model, labels=labels)
    raise ClassifierError(
        f"a value of type {type(model).__name__} is not a classifier",
        expected="a model of anymic, its folder, or a function of samples and rate",
        fix="wrap it in a function",
    )


def as_numbers(answer: Any, name: str, clip: Clip) -> NDArray[np.float64]:
    """Return an answer as float64; raise ClassifierError if it has no numbers."""
    try:
        if answer is None:
            raise TypeError("nothing was returned")
        if np.iscomplexobj(answer):
            raise TypeError("complex numbers")
        numbers: NDArray[np.float64] = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ClassifierError(
            f"the classifier {name} returned {type(answer).__name__} ({error}) for "
            f"{clip.path or 'a clip'}",
            expected="a mapping of label to probability, or an array of probabilities",
            fix="convert it to one of them",
        ) from None
    return numbers


def checked_answer(
    answer: NDArray[np.float64], labels: Sequence[str], clip: Clip, *, several: bool = False
) -> NDArray[np.float64]:
    """Return probabilities (label,) between 0 and 1 that sum to 1 within 0.001.

    With several labels a clip they need not sum to 1.

    Raises
    ------
    ClassifierError
        If they do not, have another shape or are not finite; it names the clip.
    """
    numbers = np.asarray(answer, dtype=np.float64)
    if numbers.shape != (len(labels),):
        problem = f"the result has shape {numbers.shape}"
    elif not np.isfinite(numbers).all():
        bad = int((~np.isfinite(numbers)).sum())
        some = part_of(bad, numbers.size, "value", "of the result", verb=("is", "are"))
        problem = f"{some} not finite"
    elif numbers.min() < 0 or numbers.max() > 1 + SUM_TOLERANCE:
        problem = f"the result has values from {numbers.min():.3g} to {numbers.max():.3g}"
    elif not several and abs(numbers.sum() - 1) > SUM_TOLERANCE:
        problem = f"the probabilities sum to {numbers.sum():.4g}"
    else:
        return numbers.clip(0.0, 1.0)
    raise ClassifierError(
        f"{problem} for {clip.path or 'a clip'}",
        expected=f"{len(labels)} probabilities from 0 to 1 that sum to 1",
        fix="return the result of softmax, one probability for each label",
    )
