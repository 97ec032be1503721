"""The steps that every training has in common."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from anymic import models
from anymic._internal import machine
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.errors import Failure
from anymic.features import Frontend
from anymic.features.feature_store import Length, open_features
from anymic.training.coded_features import coded_features
from anymic.training.config import TrainingConfig
from anymic.training.loop.preparation import Preparation
from anymic.training.loop.trainer import train
from anymic.training.loop.trainer_arguments import check_trainer
from anymic.training.parts import Examples, settle_length, split
from anymic.training.run_record import RunRecord

if TYPE_CHECKING:
    import pandas as pd


class TrainingRun:
    """One training: its clips, its settings and its folder.

    The steps, in this order: the clips are divided (here), the record of the run is written
    (`begin`), examples are computed (by `examples` or by the caller), the network is trained
    (`train`), and the caller puts the model together, with `fitted_on`. The parameters are those of
    `anymic.training.fit`.

    Attributes
    ----------
    parts : Parts
        The clips that train and the clips that validate.
    failures : list of Failure
        Clips that could not be used; `train` records them.
    """

    def __init__(
        self,
        data: Manifest | pd.DataFrame | str | Path,
        config: TrainingConfig,
        out: str | Path,
        *,
        resume: bool = False,
        progress: bool = False,
        cache: str | Path | None = None,
        trainer: Mapping[str, Any] | None = None,
    ) -> None:
        check_trainer({key: value for key, value in (trainer or {}).items() if key != "callbacks"})
        machine.keep_memory()
        self.manifest, self.config, self.out = as_manifest(data), config, Path(out)
        self.resume, self.progress = resume, progress
        self.cache = Path(cache or self.out / "features")
        self.trainer = dict(trainer or {})
        self.parts = split(self.manifest, config)
        self.failures: list[Failure] = []

    def begin(self, origin: Mapping[str, Any] | None = None) -> None:
        """Write the record of the run, and of what it starts from, into its folder.

        Raises
        ------
        ConfigError
            If the run to resume has other settings or clips, or clips differ in length.
        """
        self.config = settle_length(self.config, self.parts.training)
        record = RunRecord(self.config, self.manifest, origin)
        if self.resume:
            record.is_in(self.out)
        record.write(self.out)

    @property
    def length(self) -> Length:
        """The length of the clips, and what is done with clips of another length."""
        return Length(self.config.clip_s or 0.0, self.config.shorter, self.config.longer)

    def examples(self, frontend: Frontend, labels: Sequence[str] | None = None) -> Examples:
        """Compute the features of all clips once, and through each codec of the settings.

        The labels are the order of the classes; by default the training labels, sorted.
        """
        together, length = self.parts.together, self.length
        store = open_features(together, frontend, self.cache, length=length)
        self.failures += store.failures
        data = Examples.of(
            self.parts, store.features, store.rows, labels=labels, failures=store.failures
        )
        codecs = self.config.codecs
        if codecs is None:
            return data
        coded = coded_features(
            together, store, codecs, frontend, self.cache, length=length, progress=self.progress
        )
        return replace(data, coded=coded)

    def train(
        self,
        network: models.Network,
        frontend: Preparation,
        data: Examples,
        *,
        frozen: Sequence[models.Segment] = (),
        callbacks: Sequence[Any] = (),
        seed: bool = True,
    ) -> dict[str, Any]:
        """Train the network in place and return the record of the training.

        Dropout draws from torch's global generator. It is restored afterwards.

        Parameters
        ----------
        network : Network
        frontend : Frontend or EmbeddingMaps
            With its standardization fitted.
        data : Examples
        frozen : sequence of Segment
            Parts of the network that do not change.
        callbacks : sequence of pytorch_lightning.Callback
        seed : bool
            Seed the generator with `config.seed` first. False is for a caller that has seeded it.
        """
        arguments = {**self.trainer, "callbacks": [*self.trainer.get("callbacks", ()), *callbacks]}
        with torch.random.fork_rng(devices=[]):
            if seed:
                torch.manual_seed(self.config.seed)
            result = train(
                network,
                frontend,
                data,
                self.config,
                self.out,
                self.resume,
                self.progress,
                arguments,
                frozen=frozen,
            )
        record = RunRecord(self.config, self.manifest)
        return record.outcome(result, examples=len(data.training), failures=self.failures)

    def fitted_on(
        self, before: Mapping[str, tuple[str, ...]] | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Return the ids of the clips that train and validate, by use, as a `Bundle` holds them.

        Parameters
        ----------
        before : mapping, optional
            Those of the model that the training starts from, to which these are added. Its
            calibration is left out, because it belongs to other weights.
        """
        uses = {use: clips for use, clips in (before or {}).items() if use != "calibration"}
        for use, part in (("weights", self.parts.training), ("validation", self.parts.validation)):
            ids = part.clip_ids() if part is not None else ()
            if together := dict.fromkeys((*uses.pop(use, ()), *ids)):
                uses[use] = tuple(together)
        return uses

    def save(self, model: Bundle) -> None:
        """Write the model into the folder of the run, in the first of several processes.

        A model whose network cannot be built again by name is not written; a warning says so.
        """
        if not model.network_name:
            warnings.warn(
                f"The model is not written to {self.out}: its network cannot be built again by"
                " name. Register its class with anymic.register_network to save it.",
                stacklevel=3,
            )
        elif int(model.training["rank"]) == 0:
            model.save(self.out)


def fresh_network(
    name: str, *, classes: int, seed: int, arguments: Mapping[str, Any]
) -> models.Network:
    """Build a network with weights drawn from the seed; the global generator is restored."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return models.build(name, classes=classes, **arguments)
