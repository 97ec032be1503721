"""Sound classifiers that give the same answer through any microphone and any codec.

The functions do what the verbs of the command line do::

    load, train, finetune, evaluate, robustness, calibrate, profile, add_device, identify, export

Packages below hold the parts that they are made of: `anymic.audio`, `anymic.features`, ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anymic import audio, metrics, models
    from anymic._internal.environment import show_versions
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
    from anymic.exporters import export
    from anymic.features import Frontend, FrontendConfig, Standardizer
    from anymic.inference.events import EventRules
    from anymic.inference.new_device import add_device
    from anymic.inference.prediction import Prediction
    from anymic.inference.predictor import Predictor, load
    from anymic.metrics import register_metric
    from anymic.models import register_network
    from anymic.training import TrainingConfig, finetune
    from anymic.training.calibrating import calibrate
    from anymic.training.starting import train

    __version__: str

# Where the public names live; they are imported at first use, so that `import anymic` is quick.
_MODULES = {
    "audio": "anymic.audio",
    "metrics": "anymic.metrics",
    "models": "anymic.models",
    "report": "anymic.evaluation.report",
}
_HOMES = {
    "anymic._internal.environment": ("show_versions",),
    "anymic.audio": ("AudioInfo", "Clip"),
    "anymic.bundle": ("Bundle", "InputContract"),
    "anymic.codecs": ("Codec", "register_codec"),
    "anymic.data.corpora": ("register_corpus",),
    "anymic.data.manifest": ("Manifest",),
    "anymic.devices.correction.estimate": ("profile",),
    "anymic.devices.correction.estimators": ("register_estimator",),
    "anymic.devices.correction.profile": ("DeviceProfile",),
    "anymic.devices.correction.spectrum_correction": ("SpectrumCorrection",),
    "anymic.devices.identification.identifier": ("DeviceIdentifier",),
    "anymic.devices.identification.identify": ("identify",),
    "anymic.errors": ("AnymicError", "Failure"),
    "anymic.evaluation.evaluate": ("evaluate",),
    "anymic.evaluation.robustness": ("robustness",),
    "anymic.exporters": ("export",),
    "anymic.features": ("Frontend", "FrontendConfig", "Standardizer"),
    "anymic.inference.events": ("EventRules",),
    "anymic.inference.new_device": ("add_device",),
    "anymic.inference.prediction": ("Prediction",),
    "anymic.inference.predictor": ("Predictor", "load"),
    "anymic.metrics": ("register_metric",),
    "anymic.models": ("register_network",),
    "anymic.training": ("TrainingConfig", "finetune"),
    "anymic.training.calibrating": ("calibrate",),
    "anymic.training.starting": ("train",),
}

__all__ = [
    "AnymicError",
    "AudioInfo",
    "Bundle",
    "Clip",
    "Codec",
    "DeviceIdentifier",
    "DeviceProfile",
    "EventRules",
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
    "add_device",
    "audio",
    "calibrate",
    "evaluate",
    "export",
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
    "show_versions",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from anymic._version import version

        return version()
    from importlib import import_module

    if name in _MODULES:
        return import_module(_MODULES[name])
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'anymic' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
