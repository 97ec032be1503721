"""Sound classifiers that hear the same through any microphone and any codec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anymic import audio, metrics, models
    from anymic.audio import AudioInfo, Clip
    from anymic.bundle import Bundle, InputContract
    from anymic.codecs import register_codec
    from anymic.data.corpora import register_corpus
    from anymic.data.manifest import Manifest
    from anymic.devices.correction.estimators import register_estimator
    from anymic.devices.correction.profile import DeviceProfile
    from anymic.devices.correction.spectrum_correction import SpectrumCorrection
    from anymic.errors import AnymicError, Failure
    from anymic.evaluation import report
    from anymic.features import Frontend, FrontendConfig, Standardizer
    from anymic.inference.prediction import Prediction
    from anymic.inference.predictor import Predictor, load
    from anymic.models import register_network
    from anymic.training import TrainingConfig, fit

    __version__: str

# Where each public name lives ("": it is a module). They are imported at first use, so that
# `import anymic` costs nothing.
_HOMES = {
    "AnymicError": "anymic.errors",
    "AudioInfo": "anymic.audio",
    "Bundle": "anymic.bundle",
    "Clip": "anymic.audio",
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
    "fit": "anymic.training",
    "load": "anymic.inference.predictor",
    "metrics": "",
    "models": "",
    "register_codec": "anymic.codecs",
    "register_corpus": "anymic.data.corpora",
    "register_estimator": "anymic.devices.correction.estimators",
    "register_network": "anymic.models",
    "report": "anymic.evaluation",
}

__all__ = [
    "AnymicError",
    "AudioInfo",
    "Bundle",
    "Clip",
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
    "fit",
    "load",
    "metrics",
    "models",
    "register_codec",
    "register_corpus",
    "register_estimator",
    "register_network",
    "report",
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
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
