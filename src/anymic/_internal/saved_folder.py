"""Folders of a trained model: an index in JSON, and files of tensors that it may list by hash."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anymic._internal.files import atomic_folder, file_digest
from anymic._internal.reading import parsing, read_json
from anymic._version import version
from anymic.errors import AnymicError, version_fix

COPY_AGAIN = "copy the whole folder again from where it was made"


@dataclass(frozen=True)
class FolderFormat:
    """One kind of folder."""

    kind: str  # the word for messages: "bundle"
    name: str  # the `format` in the index
    version: int  # an index without a version has the first
    index: str  # the file
    error: type[AnymicError]  # for a folder that cannot be used
    remedy: str  # what to pass in place of another folder
    again: str  # how to make a new one, such as "train it again"

    def header(self) -> dict[str, Any]:
        """Return the first entries of an index: the format, and what writes it."""
        return {"format": self.name, "version": self.version, "library": version()}

    @contextmanager
    def writing(self, folder: Path, *, optional: Collection[str] = ()) -> Iterator[Path]:
        """Give an empty folder as `atomic_folder` does; it must be none that is a file."""
        if folder.exists() and not folder.is_dir():
            problem = f"the path {folder} is a file"
            raise self.error(problem, expected="a folder", fix="choose another path")
        with atomic_folder(folder, index=self.index, optional=optional) as unfinished:
            yield unfinished

    def write_index(self, folder: Path, values: Mapping[str, Any]) -> None:
        """Write the index; an error if JSON cannot represent one of the values."""
        try:
            text = json.dumps(values, indent=1, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise self.error(
                f"the training record cannot be written as JSON ({error})",
                expected="strings, finite numbers, lists and mappings",
                fix="convert the values first",
            ) from error
        (folder / self.index).write_text(text + "\n", encoding="utf-8")

    def read_index(self, folder: Path) -> dict[str, Any]:
        """Read the index; an error if there is none that this version can read."""
        wanted = f"the folder of a {self.kind}, with {self.index} in it"
        index = folder / self.index
        if not folder.exists():
            raise self.error(f"no folder {folder}", expected=wanted, fix="check the path")
        if not index.is_file():
            what = f"the folder {folder} has no {self.index}"
            what = what if folder.is_dir() else f"the path {folder} is a file"
            raise self.error(what, expected=wanted, fix=self.remedy)
        values = read_json(index, self.error, expected="JSON", fix=self.remedy)
        if values.get("format") != self.name:
            problem = f"{index} is not the index of a {self.kind}"
            raise self.error(problem, expected=f'"format": "{self.name}"', fix=self.remedy)
        found, library = values.get("version", 1), values.get("library")
        if type(found) is not int or found != self.version:
            writer = f", written by anymic {library}" if library else ""
            raise self.error(
                f"{self.kind} {folder} has version {found!r}{writer}",
                expected=f"version {self.version}",
                fix=version_fix(found, self.version, written_by=library, otherwise=self.again),
            )
        return values

    def verify(
        self,
        folder: Path,
        sha256: Mapping[str, str],
        *,
        needed: Collection[str],
        optional: Collection[str] = (),
    ) -> None:
        """Refuse a folder of which a file is missing or was altered."""
        problem, expected = "", f"the files listed in its {self.index}"
        names = sorted({*needed, *sha256})
        missing = [name for name in names if not (folder / name).is_file()]
        if not {*needed, *optional}.issuperset(names):
            problem = f"lists {', '.join(names)}"
        elif missing:
            problem = f"has no {' and no '.join(missing)}"
        elif altered := [name for name in names if file_digest(folder / name) != sha256.get(name)]:
            problem = f"was altered since it was saved: {', '.join(altered)}"
            expected = f"the SHA-256 in its {self.index}"
        if problem:
            problem = f"{self.kind} {folder} {problem}"
            raise self.error(problem, expected=expected, fix=COPY_AGAIN)

    def read_tensors(self, file: Path) -> dict[str, Tensor]:
        """Read a file's tensors, by name; an error if it is not a safetensors file."""
        from safetensors.torch import load_file

        with parsing(file, self.error, expected="a safetensors file", fix=COPY_AGAIN):
            return load_file(file)


def tensor_bytes(tensors: Mapping[str, Any]) -> bytes:
    """Return the content of a safetensors file, for which every tensor and array is copied.

    `safetensors.torch.save_file` makes files that only their owner can read, and refuses tensors
    that share memory.
    """
    from safetensors.torch import save

    copies = {
        name: one.clone(memory_format=torch.contiguous_format)
        if isinstance(one, Tensor)
        else torch.tensor(one)
        for name, one in tensors.items()
    }
    return save(copies)


def part_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors of a part, without its prefix."""
    prefix = part + "."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
