"""Corpora: one file each, each a function that returns a Manifest; here is their register."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from anymic.data.corpora.esc50 import esc50
from anymic.data.corpora.folder import folder
from anymic.data.corpora.fsdkaggle2018 import fsdkaggle2018
from anymic.data.corpora.scenes import built_in
from anymic.data.corpora.tau_mobile import tau2019_mobile, tau2020_mobile
from anymic.data.manifest import Manifest
from anymic.errors import ConfigError


@dataclass(frozen=True)
class Corpus:
    """A corpus that can be asked for by name.

    Attributes
    ----------
    load : callable
        From the folder that holds the corpus to its Manifest. Nothing is downloaded, and no
        audio is read; the built-in scenes are made where they are missing.
    about : str
        One line for a list.
    rate_hz : int or None
        The rate that every file has as published, in Hz.
    """

    load: Callable[[Path], Manifest]
    about: str
    rate_hz: int | None = None


CORPORA: dict[str, Corpus] = {
    "folder": Corpus(folder, "a folder of one folder per label"),
    "csv": Corpus(Manifest.read, "a CSV file with the columns path and label"),
    "esc10": Corpus(
        partial(esc50, subset="esc10"), "ESC-10: 400 clips, 10 classes, five folds", 44100
    ),
    "esc50": Corpus(
        partial(esc50, subset="esc50"), "ESC-50: 2000 clips, 50 classes, five folds", 44100
    ),
    "tau2019-mobile": Corpus(
        tau2019_mobile, "TAU Urban Acoustic Scenes 2019 Mobile: 10 scenes, devices A to C", 44100
    ),
    "tau2020-mobile": Corpus(
        tau2020_mobile, "TAU Urban Acoustic Scenes 2020 Mobile: 10 scenes, 9 devices", 44100
    ),
    "fsdkaggle2018": Corpus(
        fsdkaggle2018, "FSDKaggle2018: 11,073 clips, 41 classes, train and test", 44100
    ),
    "scenes": Corpus(built_in, "ten urban scenes, made on the spot (no download)"),
}


def names() -> list[str]:
    """Name every corpus, sorted."""
    return sorted(CORPORA)


def corpus(name: str) -> Corpus:
    """Find a corpus by name.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    if name not in CORPORA:
        raise ConfigError(
            f"the corpus {name!r}", expected=f"one of {', '.join(names())}", fix="check the name"
        )
    return CORPORA[name]


def load(name: str, root: str | Path) -> Manifest:
    """Read a corpus by name from the folder that holds it.

    Raises
    ------
    ConfigError
        There is no corpus of that name.
    ManifestError
        The folder does not hold it in its published layout.
    """
    return corpus(name).load(Path(root))
