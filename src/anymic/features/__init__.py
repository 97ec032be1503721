"""Compute features of samples, in the same way in training, prediction and export."""

from anymic.features.frontend import Frontend
from anymic.features.frontend_config import FrontendConfig
from anymic.features.shared_frontends import Features, Gains, SharedFrontends
from anymic.features.standardizer import Standardizer

__all__ = [
    "Features",
    "Frontend",
    "FrontendConfig",
    "Gains",
    "SharedFrontends",
    "Standardizer",
]
