"""What is written down about a training: at its start in its folder, at its end in the model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from anymic._internal.files import write_text
from anymic._internal.settings import from_mapping, to_mapping
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, ConfigError, Failure
from anymic.training.config import TrainingConfig

FILE = "training.json"


@dataclass(frozen=True)
class RunRecord:
    """What determines a training: its settings, its clips and what it starts from.

    Attributes
    ----------
    config : TrainingConfig
    manifest : Manifest
        All clips, whatever their split.
    origin : mapping, optional
        For a training that does not start from a new network: the model, the trained segments.
    """

    config: TrainingConfig
    manifest: Manifest
    origin: Mapping[str, Any] | None = None

    def as_mapping(self) -> dict[str, Any]:
        """Return the content of the file: settings, digest of the clips, and the origin."""
        found = {"settings": to_mapping(self.config), "manifest": self.manifest.digest()}
        return found if self.origin is None else {**found, "origin": dict(self.origin)}

    def is_in(self, folder: Path) -> bool:
        """Return whether the folder holds this training; False where it holds none.

        A setting that did not exist when the file was written had its default value.

        Raises
        ------
        ConfigError
            If the folder holds another training.
        """
        path = folder / FILE
        if not path.is_file():
            return False
        found = json.loads(path.read_text(encoding="utf-8"))
        try:
            settings = to_mapping(from_mapping(TrainingConfig, found["settings"]))
        except (AnymicError, KeyError, TypeError):
            settings = None
        if {**found, "settings": settings} != self.as_mapping():
            raise ConfigError(
                f"the training in {folder} has other settings or clips",
                expected="the same settings and manifest to resume it",
                fix="use them, or choose another output folder",
            )
        return True

    def write(self, folder: Path) -> None:
        """Write the record into the folder, which is made where it is missing."""
        write_text(folder / FILE, json.dumps(self.as_mapping(), indent=1) + "\n")

    def outcome(
        self, result: Mapping[str, Any], *, examples: int, failures: Iterable[Failure]
    ) -> dict[str, Any]:
        """Return the training record of a model: settings, versions, clips and the result.

        Parameters
        ----------
        result : mapping
            What `anymic.training.loop.trainer.train` returns.
        examples : int
            Number of examples that the network was trained on.
        failures : iterable of Failure
            Clips that could not be used.
        """
        return {
            "settings": to_mapping(self.config),
            "anymic": version("anymic"),
            "torch": torch.__version__,
            "clips": examples,
            "failures": [vars(failure) for failure in failures],
            **result,
        }
