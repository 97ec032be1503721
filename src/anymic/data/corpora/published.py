"""What the readers of published corpora share: the facts, finding the folder, refusing others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from anymic._internal.settings import from_mapping, read_yaml
from anymic.data.corpora.registry import Reader, register_corpus
from anymic.data.download import Archive
from anymic.data.tables import some
from anymic.errors import ManifestError, counted


@dataclass(frozen=True)
class _Zenodo:
    record: int
    stem: str
    md5: dict[str, str]  # of the archives `stem`.<part>.zip, by part


@dataclass(frozen=True)
class Facts:
    """What `published.yaml` says of a corpus."""

    about: str
    rate_hz: int
    labels: tuple[str, ...] = ()
    archives: tuple[Archive, ...] = ()
    zenodo: _Zenodo | None = None

    def __post_init__(self) -> None:
        if self.zenodo is not None:
            base = f"https://zenodo.org/records/{self.zenodo.record}/files"
            names = {f"{self.zenodo.stem}.{part}.zip": md5 for part, md5 in self.zenodo.md5.items()}
            archives = [Archive(f"{base}/{file}?download=1", file, names[file]) for file in names]
            object.__setattr__(self, "archives", tuple(archives))


_TABLES = read_yaml(Path(__file__).with_name("published.yaml"))
FACTS = {name: from_mapping(Facts, values, where=name) for name, values in _TABLES.items()}


def register_published(name: str) -> Callable[[Reader], Reader]:
    """Return a decorator as of `register_corpus`, with the facts of the corpus."""
    facts = FACTS[name]
    return register_corpus(name, about=facts.about, rate_hz=facts.rate_hz, archives=facts.archives)


def find_root(
    root: str | Path, markers: Sequence[str], *, corpus: str, below: Sequence[str]
) -> Path:
    """Return the folder that has all files of `markers`: ``root``, or a folder `below` it.

    A ManifestError says that there is no such folder of the `corpus`, and which files are missing.
    """
    root = Path(root)
    if not root.is_dir():
        raise ManifestError(
            f"no folder {root}",
            expected=f"the folder of {corpus}",
            fix="check the name, or download the corpus",
        )
    missing = {
        folder: [marker for marker in markers if not (folder / marker).is_file()]
        for folder in (root, *(root / name for name in below))
    }
    best = min(missing, key=lambda folder: len(missing[folder]))
    if missing[best]:
        raise ManifestError(
            f"the folder {best} has no {', '.join(missing[best])}",
            expected=f"{corpus} as published, with {', '.join(markers)}",
            fix="pass the folder that contains these files, or download the corpus",
        )
    return best


def refuse(problems: Sequence[str], *, where: Path, corpus: str) -> None:
    """Raise one error for all that does not fit the published layout; five examples are shown."""
    if problems:
        raise ManifestError(
            f"{counted(len(problems), 'problem')} in {where}: {some(problems, separator='; ')}",
            expected=f"{corpus} as published",
            fix="correct these rows, or download the file again",
        )
