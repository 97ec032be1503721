"""The steps that every training has in common."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from anymic import models
from anymic._internal import machine
from anymic._internal.files import write_text
from anymic._internal.reading import MOST_JSON_BYTES, parse_json, parsing, read_text
from anymic._internal.settings import from_mapping, to_mapping
from anymic._version import version
from anymic.bundle import Bundle
from anymic.bundle.leakage import file_hashes
from anymic.data.checks import require_all_usable
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.errors import AnymicError, AnymicWarning, ConfigError, Failure
from anymic.features import Frontend
from anymic.features.feature_store import open_features
from anymic.models.tagger import Standardization
from anymic.training.choosing_thresholds import choose_thresholds, validation_scores
from anymic.training.coded import coded_versions
from anymic.training.config import TrainingConfig
from anymic.training.from_data import divides, in_windows, settle
from anymic.training.loop.trainer import CHECKPOINTS, check_trainer, train
from anymic.training.mean_spectrum import with_spectrum
from anymic.training.parts import Examples, Parts, split

if TYPE_CHECKING:
    import pandas as pd

RECORD = "training.json"  # in the folder of a run: what determines it


class TrainingRun:
    """One training: its clips, its settings and its folder.

    The steps, in this order: the clips are divided (here), the record of the run is written
    (`begin`), examples are computed (by `examples` or by the caller), the network is trained
    (`train`), and the caller puts the model together, with `fitted_on`. The parameters are those of
    `anymic.training.fit`. `train` records `failures`, the clips that could not be used.
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
        ray: str | None = None,
    ) -> None:
        check_trainer({key: value for key, value in (trainer or {}).items() if key != "callbacks"})
        machine.keep_memory()
        self.manifest = as_manifest(data, several=config.several)
        self.config, self.out = config, Path(out)
        self.resume, self.progress = resume, progress
        self.cache = Path(cache or self.out / "features")
        self.trainer, self.ray = dict(trainer or {}), ray
        self.parts = split(self.manifest, config)
        self.failures: list[Failure] = []
        self.notes: list[str] = []  # on what was taken from the data

    def begin(self, origin: Mapping[str, Any] | None = None) -> None:
        """Write what determines the run into its folder: settings, clips and origin.

        `origin` is what the training starts from where that is not a new network: the model, the
        trained segments.

        Raises
        ------
        ConfigError
            If the run to resume has other settings or clips, its record cannot be read, or clips
            differ in length.
        """
        divided = divides(self.config)
        self.config, self.notes = settle(self.config, self.parts.training)
        if divided:
            clip_s = self.config.length.clip_s
            self.parts = Parts(
                in_windows(self.parts.training, clip_s),
                self.parts.validation and in_windows(self.parts.validation, clip_s),
            )
        self.resume = self.resume and self.has_begun(origin)
        if not self.resume:  # else an interruption would leave those of another run to resume
            shutil.rmtree(self.out / CHECKPOINTS, ignore_errors=True)
        write_text(self.out / RECORD, json.dumps(self._determinants(origin), indent=1) + "\n")

    def has_begun(self, origin: Mapping[str, Any] | None = None) -> bool:
        """Return whether the folder holds this run; False where it holds none.

        A setting that did not exist when the record was written had its default value.

        Raises
        ------
        ConfigError
            If the folder holds another run, or its record cannot be read.
        """
        path = self.out / RECORD
        if not path.exists():
            return False
        fix = (
            f"delete it and {self.out / CHECKPOINTS} to train from the start, or choose"
            " another output folder"
        )
        wanted = "the record as the training to resume wrote it"
        with parsing(f"the record {path}", ConfigError, expected=wanted, fix=fix):
            found = parse_json(read_text(path, most=MOST_JSON_BYTES))
            written, _ = dict(found["settings"]), str(found["manifest"])
        try:
            settings = to_mapping(from_mapping(TrainingConfig, written))
        except AnymicError:
            settings = None
        if {**found, "settings": settings} != self._determinants(origin):
            raise ConfigError(
                f"the training in {self.out} has other settings or clips",
                expected="the same settings and manifest to resume it",
                fix="use them, or choose another output folder",
            )
        return True

    def _determinants(self, origin: Mapping[str, Any] | None) -> dict[str, Any]:
        found = {"settings": to_mapping(self.config), "manifest": self.manifest.digest()}
        return found if origin is None else {**found, "origin": dict(origin)}

    def examples(self, frontend: Frontend, labels: Sequence[str] | None = None) -> Examples:
        """Compute the features of all clips once, and of their versions through codecs.

        The labels are the order of the classes; by default the training labels, sorted. Coded clips
        are written to `cache`/coded (see `anymic.training.coded`). An epoch only chooses among the
        stored features.

        Raises
        ------
        DependencyError
            If a codec is not available here.
        ManifestError
            If a clip that is usable without a codec cannot be encoded, or a label has no usable
            training clip.
        """
        together, length, codecs = self.parts.together, self.config.length, self.config.codecs
        store = open_features(together, frontend, self.cache, length=length, ray=self.ray)
        self.failures += store.failures
        data = Examples.of(
            self.parts, store.features, store.rows, labels=labels, failures=store.failures
        )
        if codecs is None:
            return data
        found = coded_versions(
            together.rows(store.rows),
            codecs,
            self.cache / "coded",  # shared with other trainings, members perhaps
            training=self.parts.training.clip_ids(),
            seed=self.config.seed,
            progress=self.progress,
        )
        self.notes += found.notes
        stores = [
            open_features(one, frontend, self.cache, length=length, ray=self.ray)
            for one in found.manifests
        ]
        failures = [one for each in stores for one in each.failures]
        require_all_usable(failures, which=" to pass through codecs")
        return replace(data, coded=tuple(each.features for each in stores))

    def train(
        self,
        network: models.Network,
        frontend: Frontend | Standardization,
        data: Examples,
        *,
        frozen: Sequence[models.Segment] = (),
        callbacks: Sequence[Any] = (),
        seed: bool = True,
    ) -> dict[str, Any]:
        """Train the network in place and return the record of the training.

        The standardization of `frontend` is fitted beforehand; `frozen` are parts of the network
        that do not change. Dropout draws from torch's global generator, which is restored
        afterwards. It is seeded with `config.seed`, unless the caller has seeded it (`seed=False`).
        """
        # Random devices have recorded the audio of embeddings; they act on features of a Frontend.
        embedded = not isinstance(frontend, Frontend)
        config = replace(self.config, random_devices=None) if embedded else self.config
        arguments = {**self.trainer, "callbacks": [*self.trainer.get("callbacks", ()), *callbacks]}
        with torch.random.fork_rng(devices=[]):
            if seed:
                torch.manual_seed(self.config.seed)
            result = train(
                network,
                frontend,
                data,
                config,
                self.out,
                self.resume,
                self.progress,
                arguments,
                frozen=frozen,
            )
        self.notes = [*self.notes, result.pop("number_format")]
        return self.record(data, {**result, **self.thresholds(network, frontend, data)})

    def thresholds(
        self, network: models.Network, frontend: Frontend | Standardization, data: Examples
    ) -> dict[str, Any]:
        """Return the record of the thresholds, which several labels a clip have; else nothing."""
        if not self.config.several:
            return {}
        found = validation_scores(network, frontend, data, self.config.temperature)
        return {"thresholds": choose_thresholds(*found, data.labels)}

    def record(self, data: Examples, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return the record of a training: its settings, versions and failures, and the result."""
        return {
            "settings": to_mapping(self.config),
            "anymic": version(),
            "torch": torch.__version__,
            "clips": len(data.training),
            "devices": self.parts.training.devices,
            "failures": [vars(failure) for failure in self.failures],
            **({"notes": self.notes} if self.notes else {}),
            **result,
        }

    def answers(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a model states about its predictions, by the name of the attribute.

        `record` is that of `train`.
        """
        chosen = record.get("thresholds")
        thresholds = None if chosen is None else tuple(chosen["values"])
        return {"targets": self.config.targets, "thresholds": thresholds}

    def fitted_on(
        self, before: Mapping[str, tuple[str, ...]] | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Return the ids of the clips that train and validate, by use, as a `Bundle` holds them.

        They are added to those of the model that the training starts from (`before`), without its
        calibration, which belongs to other weights.
        """
        uses = {use: clips for use, clips in (before or {}).items() if use != "calibration"}
        for use, part in (("weights", self.parts.training), ("validation", self.parts.validation)):
            ids = part.clip_ids() if part is not None else ()
            if together := dict.fromkeys((*uses.pop(use, ()), *ids)):
                uses[use] = tuple(together)
        return uses

    def file_hashes(self, before: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the hashes of the clips of `fitted_on`, as a `Bundle` holds them."""
        return {**(before or {}), **file_hashes(self.parts.together)}

    def save(self, model: Bundle) -> Bundle:
        """Write the model into the folder of the run, in the first of several processes.

        It is returned, with the mean spectrum of its training clips. A model whose network cannot
        be built again by name is not written, with a warning.
        """
        if int(model.training["rank"]) != 0:
            return model
        model = with_spectrum(model, self.parts.training)
        correction = self.config.correction
        if correction is not None and (correction.policy != "blind" or model.spectrum is not None):
            contract = replace(model.contract, unknown_device=correction.policy)
            model = replace(model, contract=contract)
        if model.network_name:
            model.save(self.out)
        else:
            warnings.warn(
                f"The model is not written to {self.out}: its network cannot be built again by"
                " name. Register its class with anymic.register_network to save it.",
                AnymicWarning,
                stacklevel=3,
            )
        return model


def fresh_network(
    name: str, *, classes: int, seed: int, arguments: Mapping[str, Any]
) -> models.Network:
    """Build a network with weights drawn from the seed; the global generator is restored."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return models.build(name, classes=classes, **arguments)
