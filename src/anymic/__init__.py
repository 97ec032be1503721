"""Sound classifiers that give the same answer through any microphone and any codec.

The functions do what the verbs of the command line do::

    load, train, finetune, evaluate, robustness, calibrate, profile, identify

Packages below hold the parts that they are made of: `anymic.audio`, `anymic.features`, ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anymic import audio, metrics, models
    from anymic.audio import AudioInfo, Clip
    from anymic.bundle import Bundle, InputContract
    from anymic.codecs import Codec, register_codec
    from anymic.data.corpora import register_corpus
    from anymic.data.manifest import Manifest
    from anymic.devices.correction.estimate import profile
    from anymic.devices.correction.estimators import register_estimator
    from anymic.devices.correction.profile import DeviceProfile
    from anymic.devices.correction.spectrum_correction import SpectrumCorrection
    from anymic.devices.identification.identifier import DeviceIdentifier
    from anymic.devices.identification.identify import identify
    from anymic.errors import AnymicError, Failure
    from anymic.evaluation import report
    from anymic.evaluation.evaluate import evaluate
    from anymic.evaluation.robustness import robustness
    from anymic.features import Frontend, FrontendConfig, Standardizer
    from anymic.inference.prediction import Prediction
    from anymic.inference.predictor import Predictor, load
    from anymic.metrics import register_metric
    from anymic.models import register_network
    from anymic.training import TrainingConfig, finetune
    from anymic.training import fit as train
    from anymic.training.calibrating import calibrate

    __version__: str

# Where each public name lives ("": it is a module). They are imported at first use, so that
# `import anymic` is quick.
_HOMES = {
    "AnymicError": "anymic.errors",
    "AudioInfo": "anymic.audio",
    "Bundle": "anymic.bundle",
    "Clip": "anymic.audio",
    "Codec": "anymic.codecs",
    "DeviceIdentifier": "anymic.devices.identification.identifier",
    "DeviceProfile": "anymic.devices.correction.profile",
    "Failure": "anymic.errors",
    "Frontend": "anymic.features",
    "FrontendConfig": "anymic.features",
    "InputContract": "anymic.bundle",
    "Manifest": "anymic.data.manifest",
    "Prediction": "anymic.inference.prediction",
    "Predictor": "anymic.inference.predictor",
    "SpectrumCorrection": "anymic.devices.correction.spectrum_correction",
    "Standardizer": "anymic.features",
    "TrainingConfig": "anymic.training",
    "audio": "",
    "calibrate": "anymic.training.calibrating",
    "evaluate": "anymic.evaluation.evaluate",
    "finetune": "anymic.training",
    "identify": "anymic.devices.identification.identify",
    "load": "anymic.inference.predictor",
    "metrics": "",
    "models": "",
    "profile": "anymic.devices.correction.estimate",
    "register_codec": "anymic.codecs",
    "register_corpus": "anymic.data.corpora",
    "register_estimator": "anymic.devices.correction.estimators",
    "register_metric": "anymic.metrics",
    "register_network": "anymic.models",
    "report": "anymic.evaluation",
    "robustness": "anymic.evaluation.robustness",
    "train": "anymic.training",
}

__all__ = [
    "AnymicError",
    "AudioInfo",
    "Bundle",
    "Clip",
    "Codec",
    "DeviceIdentifier",
    "DeviceProfile",
    "Failure",
    "Frontend",
    "FrontendConfig",
    "InputContract",
    "Manifest",
    "Prediction",
    "Predictor",
    "SpectrumCorrection",
    "Standardizer",
    "TrainingConfig",
    "audio",
    "calibrate",
    "evaluate",
    "finetune",
    "identify",
    "load",
    "metrics",
    "models",
    "profile",
    "register_codec",
    "register_corpus",
    "register_estimator",
    "register_metric",
    "register_network",
    "report",
    "robustness",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("anymic")
    if name not in _HOMES:
        raise AttributeError(f"module 'anymic' has no attribute {name!r}")
    from importlib import import_module

    if not _HOMES[name]:
        return import_module(f"anymic.{name}")
    if name == "report":
        return import_module("anymic.evaluation.report")
    return getattr(import_module(_HOMES[name]), "fit" if name == "train" else name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
