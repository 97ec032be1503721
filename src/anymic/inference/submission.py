"""Predictions in the format of Kaggle's Freesound General-Purpose Audio Tagging Challenge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anymic._internal.files import csv_text, write_text
from anymic._internal.frames import frame
from anymic.errors import AnymicError, ConfigError, counted
from anymic.inference.prediction import Prediction

LABELS_OF_A_FILE = 3
HEADER = ["fname", "label"]


class Submission:
    """Rows of a file name and its three most probable labels, for the CSV `path`.

    ConfigError if the model has fewer than three labels, or one of them contains a space, which
    separates labels in the file.
    """

    def __init__(self, path: str | Path, labels: Sequence[str]) -> None:
        blank = [label for label in labels if len(label.split()) != 1]
        if len(labels) < LABELS_OF_A_FILE or blank:
            raise ConfigError(
                f"the label {blank[0]!r} has a space"
                if blank
                else f"the model has {counted(len(labels), 'label')}",
                expected=f"at least {LABELS_OF_A_FILE} labels without spaces, for a submission",
                fix="train with labels such as Acoustic_guitar, or write no submission",
            )
        self.path = Path(path)
        self._rows: dict[str, tuple[str, str]] = {}  # file name: its path and labels

    def add(self, prediction: Prediction) -> None:
        """Add a file's prediction; equal probabilities keep the order of the labels.

        AnymicError if another file has the same name: the format has no folders.
        """
        name = Path(prediction.path).name
        if name in self._rows:
            raise AnymicError(
                f"two files have the name {name} ({self._rows[name][0]}, {prediction.path})",
                expected="different names, as a submission has no folders",
                fix="predict each folder separately",
            )
        ordered = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        best = " ".join(label for label, _ in ordered[:LABELS_OF_A_FILE])
        self._rows[name] = (prediction.path, best)

    def write(self) -> Path:
        """Write the file in the order of the predictions, whole or not at all."""
        rows = [(name, labels) for name, (_, labels) in self._rows.items()]
        write_text(self.path, csv_text(frame(rows, columns=HEADER)))
        return self.path
