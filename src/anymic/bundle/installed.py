"""Models that are installed for this user, and found by their name: `anymic.load("yamnet")`."""

from __future__ import annotations

import os
from pathlib import Path

from anymic._internal.places import user_cache
from anymic.bundle.format import FOLDER
from anymic.errors import BundleError, require_type

VARIABLE = "ANYMIC_MODELS"
PRETRAINED = ("yamnet",)  # installed under these names by `anymic import`


def models_folder() -> Path:
    """Return the folder of installed models, which need not exist.

    It is the environment variable ANYMIC_MODELS; else `anymic/models` in the user's cache folder,
    which is XDG_CACHE_HOME or `~/.cache`.
    """
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else user_cache() / "models"


def installed(name: str) -> Path | None:
    """Return the folder of the installed model of that name; None if there is none."""
    if not name or name in (".", "..") or Path(name).name != name:
        return None
    folder = models_folder() / name
    return folder if (folder / FOLDER.index).is_file() else None


def resolve(place: str | Path) -> Path:
    """Return the folder of a model: an existing path, or else the installed model of that name.

    A path that is neither is returned as it is.

    Raises
    ------
    BundleError
        If it is the name of a pretrained model that is not installed, or where models are
        installed, neither a path nor the name of one.
    """
    wanted = "the path of its folder, or the name of an installed one"
    require_type(place, (str, os.PathLike), "the model", expected=wanted, error=BundleError)
    path = Path(place)
    found = path if path.exists() else installed(str(place))
    if found is None and str(place) in PRETRAINED:
        raise BundleError(
            f"the model {place} is not installed in {models_folder()}",
            expected="an installed model, or the folder of one",
            fix=f"install it with `anymic import {place}`",
        )
    if found is None and path.name == str(place) and not path.suffix and (names := _names()):
        raise BundleError(
            f"no folder {place}, and no installed model of this name",
            expected=f"the folder of a model, or one of the installed models: {', '.join(names)}",
            fix="check the path",
        )
    return found or path


def _names() -> list[str]:
    """Return the names of the installed models, in order."""
    return sorted(each.parent.name for each in models_folder().glob(f"*/{FOLDER.index}"))
