"""Checkpoints of a training: read as data without code, and only if they are complete."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from anymic._internal.files import atomic_path
from anymic._internal.optional import extra
from anymic.errors import AnymicError, ConfigError, concerns_every_file

with extra("train"):
    from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO


PARTS = ("state_dict", "loops", "optimizer_states", "lr_schedulers")


class Checkpoints(TorchCheckpointIO):
    """The trainer's checkpoints, which it reads by `read_checkpoint` and writes in one step."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, *_: Any, **__: Any) -> None:
        """Write a checkpoint beside the others, where the trainer would use another folder."""
        with atomic_path(path) as unfinished:
            torch.save(checkpoint, unfinished)

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        """Read a checkpoint as data alone; the trainer would allow other objects."""
        found, folder = read_checkpoint(Path(path)), os.path.realpath(Path(path).parent)
        for name, state in found.get("callbacks", {}).items():
            if isinstance(state, dict) and (old := state.get("dirpath")):
                found["callbacks"][name] = _moved(state, str(old), folder)
        return found


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint: tensors, numbers, texts, lists and mappings, and no code.

    Every byte is compared with the checksums in the file.

    Raises
    ------
    ConfigError
        If the file is damaged, is none of a training, or holds other objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise _refusal(path, f"its part {damaged} is damaged")
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, "it contains objects that would run code") from error
    except Exception as error:  # of a damaged file, many kinds
        if isinstance(error, AnymicError) or concerns_every_file(error):
            raise
        raise _refusal(path, "it is incomplete, or not a checkpoint of a training") from error
    if not isinstance(found, dict) or not all(map(found.get, PARTS)):
        raise _refusal(path, "it is not a checkpoint of a training")
    return found


def _moved(state: Any, old: str, new: str) -> Any:
    """Return a state in which paths below the old folder are below the new one.

    The trainer loses the best epoch if the folder of a run was moved or renamed.
    """
    if isinstance(state, dict):
        return {_moved(key, old, new): _moved(value, old, new) for key, value in state.items()}
    if isinstance(state, str) and (state == old or state.startswith(old + os.sep)):
        return new + state.removeprefix(old)
    return state


@contextmanager
def resuming(path: Path, module: Any) -> Iterator[None]:
    """Refuse the checkpoint if anything is raised before the `module` is `started`."""
    try:
        yield
    except Exception as error:
        if module.started or isinstance(error, AnymicError) or concerns_every_file(error):
            raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise _refusal(path, f"it does not fit this training: {reason}") from error


def _refusal(path: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"the checkpoint {path} cannot be used ({reason})",
        expected="a checkpoint as this training wrote it",
        fix=f"delete the folder {path.parent} to train from the start, or choose another output"
        " folder",
    )
