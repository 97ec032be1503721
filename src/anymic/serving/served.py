"""The models of a service and what its requests share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio

from anymic.bundle import Bundle, Ensemble
from anymic.bundle.installed import resolve
from anymic.errors import ConfigError, did_you_mean
from anymic.inference.exported_predictor import ExportedPredictor
from anymic.inference.files import predictor_of, recordings_model
from anymic.inference.onnx_model import OnnxModel
from anymic.inference.predictor import Predictor
from anymic.serving.batching import Batcher
from anymic.serving.decoders import Decoders
from anymic.serving.limits import Limits
from anymic.serving.metrics import Metrics
from anymic.serving.refusals import Refusal

WORKERS = 2


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model by its name in the service, and the thread that predicts with it."""

    name: str
    predictor: Predictor | ExportedPredictor
    batcher: Batcher

    @property
    def bundle(self) -> Bundle | Ensemble | OnnxModel:
        """The model."""
        return self.predictor.bundle

    @property
    def trained(self) -> Predictor:
        """The predictor of a model that is no ONNX file; else a Refusal (422)."""
        if isinstance(self.predictor, Predictor):
            return self.predictor
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the model {self.name} is an ONNX file, whose gains cannot be read",
            expected="the folder of a model",
            fix="serve the model that was exported",
        )

    def facts(self) -> dict[str, Any]:
        """Return what `/v1/models` states of it."""
        bundle, contract = self.bundle, self.bundle.contract
        return {
            "name": self.name,
            "form": "onnx" if isinstance(bundle, OnnxModel) else "folder",
            "labels": list(bundle.labels),
            "targets": bundle.targets,
            "devices": list(bundle.devices),
            "identifies_devices": _identifies(bundle),
            "unknown_device": contract.unknown_device,
            "rate_hz": contract.rate_hz,
            "clip_s": contract.clip_s,
            "members": 1 if isinstance(bundle, OnnxModel) else len(bundle.members),
        }

    def device_facts(self) -> dict[str, Any]:
        """Return what `/v1/devices` states of it."""
        bundle = self.bundle
        known = bundle.profile.devices if bundle.profile else {}
        reference = bundle.profile.reference if bundle.profile else ()
        return {
            "model": self.name,
            "devices": [
                {
                    "name": name,
                    "reference": name in reference,
                    "source": known[name].source if name in known else None,
                    "clips": known[name].count if name in known else None,
                }
                for name in bundle.devices
            ],
            "unknown_device": bundle.contract.unknown_device,
            "identifies_devices": _identifies(bundle),
        }


class Service:
    """The models of a service, its decoders, limits and metrics.

    Parameters
    ----------
    models : sequence of path
        Folders of models or ensembles, the names of installed ones, or .onnx files that anymic
        exported. A model's name in the service is that of its folder or file, with the folders
        above it where several have the same name.
    limits : Limits, optional
    accelerator : str
        As for `Predictor`.

    Raises
    ------
    BundleError
        If one is not a classifier of recordings that is complete.
    ConfigError
        If no model, or the same model twice, is given.
    """

    def __init__(
        self,
        models: Sequence[str | Path],
        *,
        limits: Limits | None = None,
        accelerator: str = "auto",
    ) -> None:
        self.limits = limits or Limits()
        self.metrics = Metrics()
        places = [resolve(model) for model in models]
        loaded = [
            recordings_model(place, purpose="served") for place in places
        ]  # before any process starts
        predictors = [predictor_of(model, accelerator=accelerator) for model in loaded]
        self.models = {
            name: ServedModel(name, predictor, self._batcher(name, predictor))
            for name, predictor in zip(names_of(places), predictors, strict=True)
        }
        self.workers = anyio.CapacityLimiter(WORKERS)  # of other work than predictions
        self.profiles = asyncio.Semaphore(1)  # each holds all of its takes in memory
        self.decoders = Decoders(self.limits, restarted=self.metrics.decoder_restarted)

    def _batcher(self, name: str, predictor: Predictor | ExportedPredictor) -> Batcher:
        return Batcher(
            predictor,
            self.limits,
            observed=lambda count: self.metrics.batch(name, count),
            failed=self.metrics.failed,
        )

    def model(self, name: str | None) -> ServedModel:
        """Return a model by its name; without a name the only one, or the first of several.

        Refusal (404) if there is none of that name.
        """
        if not name:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise Refusal(
                HTTPStatus.NOT_FOUND,
                f"there is no model {name[:100]!r}{did_you_mean(name, self.models)}",
                expected=f"one of {', '.join(self.models)}",
                fix="see /v1/models",
            )
        return self.models[name]

    def close(self) -> None:
        """Answer what waits, and end the threads and processes."""
        for model in self.models.values():
            model.batcher.close()
        self.decoders.close()


def names_of(places: Sequence[Path]) -> list[str]:
    """Return a name for each folder: the last part of its path, or more where these are equal.

    Raises
    ------
    ConfigError
        If there is no folder, or one twice.
    """
    whole = [place.resolve() for place in places]
    if not whole or len(set(whole)) < len(whole):
        raise ConfigError(
            "no model is given" if not whole else "a model is given twice",
            expected="one or several different models",
            fix="pass the folder of each model once",
        )
    for count in range(1, max(len(place.parts) for place in whole) + 1):
        names = ["-".join(place.parts[-count:]).strip("/") for place in whole]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in whole]


def _identifies(model: Bundle | Ensemble | OnnxModel) -> bool:
    return not isinstance(model, OnnxModel) and model.identifier is not None
