"""From a manifest and settings to a bundle; PyTorch Lightning runs the loop."""

from anymic.training.config import CorrectionConfig, TrainingConfig, load_config, presets
from anymic.training.finetuning import finetune
from anymic.training.fitting import fit

__all__ = [
    "CorrectionConfig",
    "TrainingConfig",
    "finetune",
    "fit",
    "load_config",
    "presets",
]
