"""A table of clips: its columns, its checks and its aligned takes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic._internal.files import csv_text, encoded, file_identity, file_state, write_bytes
from anymic._internal.frames import python_text
from anymic._internal.remote import as_path, is_url
from anymic.data import label_sets
from anymic.data.checked_table import checked, complete_takes
from anymic.data.spelling import warn_of_lookalikes
from anymic.data.tables import INTEGER_COLUMNS, NUMBER_COLUMNS, cell_text, joined, relative
from anymic.data.text_tables import read_text_table
from anymic.errors import ManifestError, require_type


@dataclass(frozen=True, eq=False)
class Manifest:
    """A table of clips, one in each row.

    Use :meth:`read` or :meth:`from_table`, which check the table; the constructor does not.

    Attributes
    ----------
    table : pandas.DataFrame
        Columns ``path`` and ``label``, and where known ``device``, ``group`` (the recording or
        place that a clip was cut from), ``split``, ``fold``, ``start_s`` and ``duration_s``
        (the part of the file that is the clip, in seconds), ``codec``, ``kbps``, ``take`` (equal
        for clips that were recorded at the same moment), and any other. ``fold`` and
        ``manually_verified`` are integers (-1: not known), ``start_s``, ``duration_s`` and
        ``kbps`` are floats, everything else is text ("" where not known). Never change it in
        place.
    root : Path
        Relative paths in ``path`` are relative to this folder; URLs such as s3:// are whole.
    name : str
        The name of the corpus, for messages and reports.
    several : bool
        Whether a clip may have several labels, separated by semicolons in ``label``, or none: an
        empty cell. A table without a column ``label`` may then have a column for each label, whose
        cells are 0 and 1. Otherwise a clip has one label.

    Examples
    --------
    >>> import anymic
    >>> manifest = anymic.Manifest.read("clips.csv")
    >>> manifest.labels, manifest.devices
    (['bus', 'park', 'street_traffic'], ['A', 'B'])
    >>> len(manifest.where(device="B", split="test").table)
    6
    """

    table: pd.DataFrame
    root: Path
    name: str = ""
    several: bool = False

    @classmethod
    def read(
        cls, csv: str | Path, *, several: bool | None = False, label: str | None = None
    ) -> Manifest:
        """Read a text table with a header line; see `anymic.data.text_tables.read_text_table`.

        AnymicWarnings name what is read differently than it is written, what is not used, and
        labels and devices that look alike.

        Parameters
        ----------
        csv : path
        several : bool, optional
            As the attribute; None is True where a label is empty.
        label : str, optional
            That of every row, where the table has no column `label`.

        Returns
        -------
        Manifest

        Raises
        ------
        ManifestError
            The file is missing, is no table, or its rows do not pass :meth:`from_table`.
        """
        wanted = "the path of a file"
        require_type(csv, (str, os.PathLike), "the table", expected=wanted, error=ManifestError)
        csv = Path(csv)
        found = read_text_table(csv)
        frame = found.frame()
        if label is not None and "label" not in frame:
            frame["label"] = label
        table, several = checked(
            frame, csv.parent, name=csv.stem, several=several, name_of=found.name_of
        )
        warn_of_lookalikes(table, several=several)
        return cls(table, csv.parent, csv.stem, several)

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame,
        root: str | Path = ".",
        *,
        name: str = "",
        several: bool | None = False,
    ) -> Manifest:
        """Check a table and make it a manifest.

        The usual spellings of columns and splits (``Split``, ``subset``, ``val``) are accepted,
        with an AnymicWarning.

        Parameters
        ----------
        table, root, name
            As the attributes; the table is not changed.
        several : bool, optional
            As the attribute; None is True where a label is empty.

        Returns
        -------
        Manifest

        Raises
        ------
        ManifestError
            Missing columns, no rows, empty paths or labels, cells that should be numbers and are
            not, the same clip (``path`` and ``start_s``) twice: all of them in one line.
        """
        typed, several = checked(table, Path(root), name=name, several=several)
        return cls(typed, Path(root), name, several)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def labels(self) -> list[str]:
        """The labels that occur, sorted."""
        return sorted({label for own in self.label_sets() for label in own})

    @property
    def devices(self) -> list[str]:
        """The devices that occur, sorted; none without a ``device`` column."""
        return sorted(set(self.table.get("device", ())) - {""})

    def paths(self) -> list[Path]:
        """Return the absolute path of each row's file; URLs are `anymic._internal.remote` paths."""
        return [as_path(path) for path in self._full_paths()]

    @python_text
    def write(self, csv: str | Path) -> Path:
        """Write the table as CSV, atomically, and return the file.

        Paths below the folder of the file are written relative to it, others absolute.

        Parameters
        ----------
        csv : path

        Returns
        -------
        Path
            The file.
        """
        csv = Path(csv)
        folder = os.path.abspath(csv.parent)
        table = self.table.assign(path=[relative(path, folder) for path in self._full_paths()])
        comment = any(str(cell).startswith("#") for cell in table.iloc[:, 0])
        write_bytes(csv, encoded(csv_text(table, quoted=comment)))
        return csv

    def where(self, **equal: Any) -> Manifest:
        """Return the rows whose columns have these values; the result can be empty.

        Parameters
        ----------
        **equal
            Columns, each with its value, or a list, tuple or set of values:
            ``where(device="A", split=["train", "validation"])``.

        Returns
        -------
        Manifest

        Raises
        ------
        ManifestError
            The table does not have a column, or a value for a column of numbers is no number.
        """
        self.require(*equal, purpose="a choice of rows")
        keep = np.ones(len(self), dtype=bool)
        for column, value in equal.items():
            values = list(value) if pd.api.types.is_list_like(value) else [value]
            kind = float if column in (*INTEGER_COLUMNS, *NUMBER_COLUMNS) else str
            try:
                values = [kind(one) for one in values]
            except (TypeError, ValueError):
                raise ManifestError(
                    f"the value of {column} is {value!r}", expected="a number"
                ) from None
            keep &= self.table[column].isin(values).to_numpy(dtype=bool)
        return self.rows(keep)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | Sequence[int]) -> Manifest:
        """Return rows of the table.

        Parameters
        ----------
        chosen : array (row,) of bool, or sequence of int
            A mask, or the numbers of rows, in the order wanted.

        Returns
        -------
        Manifest
        """
        index = np.asarray(chosen)
        index = index if index.dtype == bool else index.astype(np.intp)
        return replace(self, table=self.table.loc[index].reset_index(drop=True))

    @python_text
    def with_columns(self, **columns: Any) -> Manifest:
        """Return the table with columns added or replaced.

        Parameters
        ----------
        **columns
            Each a sequence (row,), or one value for all rows.

        Returns
        -------
        Manifest

        Raises
        ------
        ManifestError
            The new table does not pass :meth:`from_table`.
        """
        plain = {
            key: np.asarray(value) if isinstance(value, pd.Series) else value
            for key, value in columns.items()
        }
        table = self.table.assign(**plain)
        return Manifest.from_table(table, self.root, name=self.name, several=self.several)

    def require(self, *columns: str, purpose: str) -> None:
        """Make sure that the table has these columns.

        Parameters
        ----------
        *columns : str
        purpose : str
            What they are needed for, in the message.

        Raises
        ------
        ManifestError
            If columns are missing; it names them.
        """
        if missing := [column for column in columns if column not in self.table.columns]:
            raise ManifestError(
                f"the manifest{self._named()} has the columns {', '.join(self.table.columns)}",
                expected=f"also {', '.join(missing)} for {purpose}",
                fix=f"add {'it' if len(missing) == 1 else 'them'} to the table",
            )

    def require_labels(self, labels: Iterable[str]) -> None:
        """Make sure that every row has one of these labels.

        Parameters
        ----------
        labels : iterable of str

        Raises
        ------
        ManifestError
            If a row has another label; it names them.
        """
        label_sets.require_known(
            self.label_sets(), self.table["path"].tolist(), set(labels), named=self._named()
        )

    def label_sets(self) -> list[tuple[str, ...]]:
        """Return the labels of each row, sorted; several or none where ``several`` is true."""
        return [
            label_sets.labels_of(cell) if self.several else (cell,) for cell in self.table["label"]
        ]

    def targets(self, labels: Sequence[str]) -> NDArray[np.int64]:
        """Return the labels of the rows as numbers.

        Parameters
        ----------
        labels : sequence of str

        Returns
        -------
        array (row,), int64
            The place of each row's label in `labels`. Where a row may have several labels, (row,
            label): 1 for each label that it has, else 0.

        Raises
        ------
        ManifestError
            If a row has another label.
        """
        self.require_labels(labels)
        if self.several:
            return label_sets.indicators(self.label_sets(), labels)
        number = {label: at for at, label in enumerate(labels)}
        return np.array([number[label] for label in self.table["label"]], dtype=np.int64)

    @python_text
    def digest(self) -> str:
        """Return the SHA-256 of the rows: columns and cells, with paths relative to ``root``.

        The same rows give the same digest on every machine. It covers the table, not the audio.
        """
        table = self.table.assign(path=self._relative_paths())
        names = sorted(map(str, table.columns))
        columns = [[name, *map(cell_text, table[name].tolist())] for name in names]
        text = "".join("\x1f".join(cells) + "\x1e" for cells in columns)
        return hashlib.sha256(encoded(text)).hexdigest()

    def state(self) -> str:
        """Return the digest of the rows, and each file's path, size and time of change.

        It is a key for results that are computed from the audio.
        """
        return self.digest() + "".join(f"{path}{file_state(path)}" for path in self.paths())

    def clip_ids(self) -> list[str]:
        """Return an id for each row: 16 hexadecimal digits of the SHA-256 of ``path|start_s``.

        The path is relative to ``root``, so that the id is the same on every machine.
        """
        starts = self.parts()["start_s"].tolist()
        return [
            hashlib.sha256(encoded(f"{path}|{start!r}")).hexdigest()[:16]
            for path, start in zip(self._relative_paths(), starts, strict=True)
        ]

    def recordings(self) -> list[str]:
        """Return each row's recording: its group, else its take, else its file.

        It is the column and the cell, such as ``take:12``, which differs from ``group:12``. Rows of
        one file (see `files`), or of one take, are of one recording even if their groups differ.
        """
        files = self.files()
        units = [f"path:{path}" for path in files]
        for column in ("take", "group"):
            if column in self.table.columns:
                units = [
                    f"{column}:{cell}" if cell else unit
                    for cell, unit in zip(self.table[column], units, strict=True)
                ]
        return joined(units, files, list(self.table.get("take", ())))

    def files(self) -> list[str]:
        """Return each row's path, or that of the first row which names the same file.

        A link, a hard link, another spelling and an absolute path are names of one file.
        """
        root = os.path.abspath(self.root)
        first: dict[object, str] = {}
        names = {
            path: first.setdefault(file_identity(os.path.join(root, path)), path)
            for path in dict.fromkeys(self.table["path"])
        }
        return [names[path] for path in self.table["path"]]

    def parts(self) -> pd.DataFrame:
        """Return the part of its file that each clip is, in seconds.

        The columns are ``start_s``, 0 where not known, and ``duration_s``, NaN to the file's end.
        """
        return self.table.reindex(columns=["start_s", "duration_s"]).fillna({"start_s": 0.0})

    def takes(self, devices: Sequence[str]) -> pd.DataFrame:
        """Return the aligned clips: the takes that all of ``devices`` recorded.

        Parameters
        ----------
        devices : sequence of str

        Returns
        -------
        pandas.DataFrame
            Index ``take``, a column for each device, values are row numbers of :attr:`table`;
            empty if there is no complete take.

        Raises
        ------
        ManifestError
            No column ``device`` or ``take``, or a device with two rows in one take.
        """
        self.require("device", "take", purpose="aligned takes")
        return complete_takes(self.table, devices, named=self._named())

    def _relative_paths(self) -> list[str]:
        root = os.path.abspath(self.root)
        return [relative(path, root) for path in self._full_paths()]

    def _full_paths(self) -> list[str]:
        root = os.path.abspath(self.root)
        return [path if is_url(path) else os.path.join(root, path) for path in self.table["path"]]

    def _named(self) -> str:
        return f" {self.name}" if self.name else ""


@python_text
def concatenate(manifests: Iterable[Manifest]) -> Manifest:
    """Return one manifest with the rows of all; missing columns are filled with empty cells.

    Its root is the deepest folder that contains all the roots. No manifests, or the same clip in
    two of them, are a ManifestError.
    """
    parts = list(manifests)
    if not parts:
        raise ManifestError("there are no manifests", expected="at least one")
    roots = [os.path.abspath(part.root) for part in parts]
    try:
        root = os.path.commonpath(roots)
    except ValueError:  # different drives
        root = roots[0]
    tables = [
        part.table.assign(path=[relative(path, root) for path in part.paths()]) for part in parts
    ]
    names = dict.fromkeys(part.name for part in parts if part.name)
    table = pd.concat(tables, ignore_index=True)
    several = any(part.several for part in parts)
    return Manifest.from_table(table, root, name="+".join(names), several=several)
