"""Train, fine-tune and calibrate models; PyTorch Lightning runs the training loop."""

from anymic.training.config import TrainingConfig, load_config, presets
from anymic.training.correction_config import CorrectionConfig
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
