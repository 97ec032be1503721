"""From samples to features: one chain, in training, prediction and export alike."""

from anymic.frontend.chain import Frontend
from anymic.frontend.config import FrontendConfig
from anymic.frontend.shared import Features, SharedFrontends, Treatment
from anymic.frontend.standardize import Standardizer

__all__ = [
    "Features",
    "Frontend",
    "FrontendConfig",
    "SharedFrontends",
    "Standardizer",
    "Treatment",
]
