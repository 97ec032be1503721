"""From samples to features: one chain, in training, prediction and export alike."""

from anymic.frontend.chain import Frontend
from anymic.frontend.config import FrontendConfig
from anymic.frontend.standardize import Standardizer

__all__ = ["Frontend", "FrontendConfig", "Standardizer"]
