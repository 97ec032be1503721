"""Check the packages of a training and the trainer arguments that a user chose."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import Any

from anymic._internal.optional import extra
from anymic.errors import ConfigError

# What a training chooses itself, from its settings and its folder.
OWN = {
    "default_root_dir",
    "enable_checkpointing",
    "enable_model_summary",
    "enable_progress_bar",
    "log_every_n_steps",
    "logger",
    "max_epochs",
    "num_sanity_val_steps",
    "plugins",
    "use_distributed_sampler",
}


def check_trainer(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that the trainer does not have or does not accept.

    Parameters
    ----------
    arguments : mapping
        Of `pytorch_lightning.Trainer`: accelerator, devices, num_nodes, strategy, precision, ...

    Raises
    ------
    DependencyError
        If a package of the extra "train" is missing.
    ConfigError
        If there is no such argument, a training sets it itself, or this machine does not have
        what it asks for.
    """
    with extra("train"):
        import pytorch_lightning as lightning
        import tensorboard  # type: ignore[import-untyped]  # noqa: F401
        from lightning_fabric.utilities.exceptions import MisconfigurationException

    if not arguments:
        return
    known = set(inspect.signature(lightning.Trainer).parameters) - OWN
    if unknown := sorted(set(arguments) - known):
        raise ConfigError(
            f"the trainer has no argument {', '.join(unknown)}",
            expected=", ".join(sorted(known)),
            fix="correct the name; epochs and seed are settings of the training",
        )
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    try:
        lightning.Trainer(**arguments, logger=False, enable_checkpointing=False)
    except (MisconfigurationException, ImportError, ValueError, TypeError, RuntimeError) as error:
        given = ", ".join(f"{name}={value}" for name, value in arguments.items())
        raise ConfigError(
            f"the trainer refuses {given} ({error})",
            expected="what this machine has, as PyTorch Lightning names it",
            fix="leave the arguments out to let it choose",
        ) from error
