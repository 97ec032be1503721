"""What the readers of published corpora share: the facts, finding the folder, refusing others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anymic._internal.settings import from_mapping, read_yaml
from anymic.data.download import Archive
from anymic.data.tables import some
from anymic.errors import ManifestError


@dataclass(frozen=True)
class _Zenodo:
    record: int
    stem: str
    md5: dict[str, str]  # of the archives `stem`.<part>.zip, by part


@dataclass(frozen=True)
class Facts:
    """What `published.yaml` says of a corpus: its labels, and the archives to fetch."""

    labels: tuple[str, ...]
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


def find_root(
    root: str | Path, markers: Sequence[str], *, corpus: str, below: Sequence[str]
) -> Path:
    """Return the folder that holds the corpus: ``root``, or one of its usual subfolders.

    Parameters
    ----------
    root : path
    markers : sequence of str
        Files that must all be there, relative to the folder.
    corpus : str
        Its name, for the message.
    below : sequence of str
        Names of the folder that the published archives unpack to.

    Raises
    ------
    ManifestError
        If there is no such folder; the missing files are named.
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
            f"{best} has no {', '.join(missing[best])}",
            expected=f"{corpus} as published, with {', '.join(markers)}",
            fix="pass the folder that contains these files, or download the corpus",
        )
    return best


def refuse(problems: Sequence[str], *, where: Path, corpus: str) -> None:
    """Raise one error for all that does not fit the published layout; five examples are shown."""
    if problems:
        raise ManifestError(
            f"{len(problems)} problem{'s' * (len(problems) > 1)} in {where}: "
            f"{some(problems, separator='; ')}",
            expected=f"{corpus} as published",
            fix="correct these rows, or download the file again",
        )
