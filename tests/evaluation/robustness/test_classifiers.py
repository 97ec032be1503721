"""Classifiers of other libraries: functions with valid answers, and with invalid ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anymic.audio import Clip
from anymic.codecs import Codec
from anymic.data.manifest import Manifest
from anymic.devices.simulation.device_set import DeviceSet
from anymic.errors import ManifestError
from anymic.evaluation.robustness import (
    Classifier,
    ClassifierError,
    FunctionClassifier,
    as_classifier,
    load_classifier,
    robustness,
)

LABELS = ["dog", "rain", "siren"]
GOOD = [0.2, 0.5, 0.3]
CLIP = Clip(np.ones(8, np.float32), 8000, path="a.wav")


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        tuple(GOOD),
        np.array(GOOD, np.float32),
        torch.tensor(GOOD),
        {"siren": 0.3, "dog": 0.2, "rain": 0.5},
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_answers_in_any_shape(answer: Any) -> None:
    classifier = FunctionClassifier(lambda samples, rate_hz: answer, labels=LABELS)
    (found,) = classifier.classify([CLIP], [None])
    np.testing.assert_allclose(np.asarray(found), np.array(GOOD), atol=1e-6)


def test_labels_of_the_function_and_of_its_first_answer() -> None:
    def function(samples: NDArray[np.float32], rate_hz: int) -> list[float]:
        return GOOD

    function.labels = LABELS  # type: ignore[attr-defined]
    assert as_classifier(function).labels == ("dog", "rain", "siren")
    mapping = FunctionClassifier(lambda samples, rate_hz: dict(zip(LABELS, GOOD, strict=True)))
    assert not mapping.labels
    mapping.classify([CLIP], [None])
    assert mapping.labels == ("dog", "rain", "siren")
    assert isinstance(mapping, Classifier)
    assert as_classifier(mapping) is mapping


def test_labels_that_are_numbers() -> None:
    classifier = FunctionClassifier(lambda samples, rate_hz: {1: 0.25, 2: 0.75})
    (found,) = classifier.classify([CLIP], [None])
    assert classifier.labels == ("1", "2")
    assert np.asarray(found).tolist() == [0.25, 0.75]


def raising(samples: NDArray[np.float32], rate_hz: int) -> None:
    raise ValueError("no\nidea")


NONSENSE: list[tuple[Callable[..., Any], str]] = [
    (lambda s, r: [0.5, 0.5], r"shape \(2,\)"),
    (lambda s, r: 1.0, r"shape \(\)"),
    (lambda s, r: [[0.2, 0.5, 0.3]], r"shape \(1, 3\)"),
    (lambda s, r: [0.2, np.nan, 0.3], "1 of 3 values of the result is not finite"),
    (lambda s, r: [-0.1, 0.6, 0.5], r"values from -0\.1 to 0\.6"),
    (lambda s, r: [3.0, -1.0, 0.1], "values from -1 to 3"),
    (lambda s, r: [0.2, 0.2, 0.2], r"sum to 0\.6"),
    (lambda s, r: {"dog": 0.5, "rain": 0.5}, "no siren"),
    (lambda s, r: {"dog": 0.2, "rain": 0.5, "siren": 0.3, "cat": 0.0}, "the unknown cat"),
    (lambda s, r: "dog", "str"),
    (lambda s, r: np.array([0.2, 0.5, 0.3 + 0.1j]), "complex"),
    (lambda s, r: None, r"returned NoneType \(nothing was returned\)"),
]
RAISING: list[tuple[Callable[..., Any], str]] = [
    (raising, r"raised ValueError \(no idea\)"),
    (lambda s: GOOD, "TypeError"),
    (lambda s, r: sys.exit(3), r"raised SystemExit \(3\)"),
]


@pytest.mark.parametrize(("function", "message"), NONSENSE)
def test_nonsense_is_one_line_that_names_the_clip(
    clips: Manifest, function: Callable[..., Any], message: str
) -> None:
    with pytest.raises(ClassifierError, match=message) as caught:
        robustness(function, clips, codecs=[Codec("mu-law")], labels=LABELS)
    assert "0.wav" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("function", "message"), RAISING)
def test_a_function_that_raises_for_every_clip_leaves_none_and_is_one_line(
    clips: Manifest, function: Callable[..., Any], message: str
) -> None:
    with pytest.raises(ManifestError, match=message) as caught:
        robustness(function, clips, codecs=[Codec("mu-law")], labels=LABELS)
    assert "0.wav" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_function_that_raises_for_one_clip_loses_only_that_clip(clips: Manifest) -> None:
    calls = iter(range(1000))

    def sometimes(samples: NDArray[np.float32], rate_hz: int) -> list[float]:
        if next(calls) == 3:  # the second clip through the codec
            raise ZeroDivisionError("division by zero")
        return GOOD

    found = robustness(sometimes, clips, codecs=[Codec("mu-law")], labels=LABELS)
    (failure,) = found.failures
    assert failure.path.endswith("1.wav")
    assert "raised ZeroDivisionError (division by zero)" in failure.reason
    assert len(found.recordings) == len(clips) - 1


def test_nonsense_in_one_condition_names_it(clips: Manifest, microphones: DeviceSet) -> None:
    def deaf(samples: NDArray[np.float32], rate_hz: int) -> list[float]:
        return GOOD if np.abs(samples).max() > 0.25 else [np.nan] * 3

    with pytest.raises(ClassifierError, match=r"0\.wav \(phone"):
        robustness(deaf, clips, devices=microphones, labels=LABELS)


def test_an_array_of_unknown_labels() -> None:
    with pytest.raises(ClassifierError, match="Pass the labels"):
        FunctionClassifier(lambda samples, rate_hz: GOOD).classify([CLIP], [None])


@pytest.mark.parametrize("answer", [None, "dog", ["dog", "rain"], 1j])
def test_what_is_no_answer_is_not_asked_for_labels(answer: Any) -> None:
    with pytest.raises(ClassifierError, match=r"Expected a mapping of label to probability, or an"):
        FunctionClassifier(lambda samples, rate_hz: answer).classify([CLIP], [None])


@pytest.mark.parametrize("labels", [["a"], ["a", "a"], ["a", ""]])
def test_labels_that_cannot_be(labels: list[str]) -> None:
    with pytest.raises(ClassifierError, match="labels of"):
        FunctionClassifier(raising, labels=labels)


def test_what_is_no_classifier() -> None:
    with pytest.raises(ClassifierError, match="type int is not a classifier"):
        as_classifier(5)


def test_loading_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "their_model.py").write_text(
        "class Model:\n"
        "    labels = ['dog', 'rain', 'siren']\n"
        "    def answer(self, samples, rate_hz):\n"
        "        return {'dog': 0.2, 'rain': 0.5, 'siren': 0.3}\n"
        "    __call__ = answer\n"
        "model = Model()\nnumber = 5\n"
    )
    monkeypatch.setattr("sys.path", __import__("sys").path[:])
    (found,) = load_classifier("their_model:model").classify([CLIP], [None])
    np.testing.assert_allclose(np.asarray(found), np.array(GOOD))
    assert load_classifier("their_model:model").labels == ("dog", "rain", "siren")
    (found,) = load_classifier("their_model:model.answer", labels=LABELS[::-1]).classify(
        [CLIP], [None]
    )
    np.testing.assert_allclose(np.asarray(found), np.array(GOOD[::-1]))
    (tmp_path / "broken_model.py").write_text("1 / 0\n")
    for place, message in {
        "their_model": "is not a classifier",
        "their_model:": "is not a classifier",
        "their_model:absent": "AttributeError",
        "their_model:number": "cannot be called",
        "no_such_module_here:model": "ModuleNotFoundError",
        "broken_model:model": "ZeroDivisionError",
    }.items():
        with pytest.raises(ClassifierError, match=message):
            load_classifier(place)
    with pytest.raises(ClassifierError, match="16000 Hz"):
        load_classifier("their_model:model", rate_hz=16000)
