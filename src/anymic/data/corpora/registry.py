"""Corpora by name: how each is read, and where its archives are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from anymic._internal.registry import Registry
from anymic.data.download import Archive, fetch
from anymic.data.manifest import Manifest
from anymic.errors import ConfigError

Reader = TypeVar("Reader", bound=Callable[..., Manifest])


@dataclass(frozen=True)
class Corpus:
    """A corpus that is registered under a name.

    Attributes
    ----------
    name : str
    read : callable
        Returns the Manifest of the corpus in a folder. Nothing is downloaded, and no audio is
        read; synthetic scenes are made where they are missing. Keyword-only parameters are the
        options of the corpus.
    about : str
        One line for a list.
    rate_hz : int or None
        The rate of every published file, in Hz.
    archives : tuple of Archive
        The files that `download` fetches; empty where the corpus cannot be downloaded.
    """

    name: str
    read: Callable[..., Manifest]
    about: str
    rate_hz: int | None = None
    archives: tuple[Archive, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options that `read` accepts."""
        parameters = inspect.signature(self.read).parameters.values()
        return tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)


CORPORA: Registry[Corpus] = Registry("corpus", package="anymic.data.corpora")


def register_corpus(
    name: str, *, about: str, rate_hz: int | None = None, archives: Sequence[Archive] = ()
) -> Callable[[Reader], Reader]:
    """Return a decorator that registers a function as `Corpus.read`, and returns it unchanged.

    Parameters
    ----------
    name : str
        For `load`, and for `anymic data prepare`.
    about, rate_hz, archives
        See `Corpus`.

    Returns
    -------
    callable
        A decorator of the reader of the corpus: from its folder (a Path) to a Manifest. It returns
        what it is given.

    Raises
    ------
    ConfigError
        If another corpus has this name.

    Examples
    --------
    >>> import anymic, pandas as pd
    >>> @anymic.register_corpus("example-tones", about="WAV files named label-number.wav")
    ... def tones(root):
    ...     rows = pd.DataFrame({"path": [file.name for file in sorted(root.glob("*.wav"))]})
    ...     rows["label"] = rows["path"].str.split("-").str[0]
    ...     return anymic.Manifest.from_table(rows, root)
    """

    def decorate(read: Reader) -> Reader:
        CORPORA.add(name, Corpus(name, read, about, rate_hz, tuple(archives)), made_by=read)
        return read

    return decorate


def load(name: str, root: str | Path, **options: Any) -> Manifest:
    """Read a corpus by name from the folder that holds it.

    Raises
    ------
    ConfigError
        If there is no corpus of that name, or it does not have an option.
    ManifestError
        If the folder does not hold it in its published layout.
    """
    corpus = CORPORA.get(name)
    if unknown := sorted(set(options) - set(corpus.options)):
        raise ConfigError(
            f"corpus {name!r} has no option {', '.join(unknown)}",
            expected=f"one of {', '.join(corpus.options)}" if corpus.options else "no options",
            fix="correct the name of the option, or leave it out",
        )
    return corpus.read(Path(root), **options)


def download(name: str, root: str | Path, *, progress: bool = True) -> None:
    """Fetch a corpus and unpack it in ``root``; see `anymic.data.download.fetch`.

    An unknown name, or a corpus that cannot be downloaded, is a ConfigError.
    """
    archives = CORPORA.get(name).archives
    if not archives:
        known = [corpus.name for corpus in CORPORA.specs() if corpus.archives]
        raise ConfigError(
            f"{name!r} cannot be downloaded",
            expected=f"one of {', '.join(known)}",
            fix="pass the folder of the corpus instead",
        )
    fetch(archives, root, progress=progress)
