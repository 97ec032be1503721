"""Where models are shared: a folder, a URL of fsspec, or the Hugging Face hub."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from anymic._internal.files import atomic_folder
from anymic._internal.optional import extra
from anymic._internal.reading import reason_of
from anymic.bundle.format import FOLDER
from anymic.errors import AnymicError, ConfigError
from anymic.sharing.parts import FILES

HUB = "hf://"
README = "README.md"  # what the hub displays


class SharingError(AnymicError):
    """A place that cannot be reached, read or written."""


class Place(Protocol):
    """Holds the files of one bundle."""

    def send(self, files: Mapping[str, Path | bytes], *, message: str) -> None:
        """Write files by name; the last one is the index."""

    def fetch(self, name: str, path: Path) -> None:
        """Write the file of this name to a path."""


def place_at(where: str, *, private: bool = False) -> Place:
    """Return the place of an address: a folder, a URL of fsspec, or hf://owner/name.

    Raises
    ------
    ConfigError
        If it is no address of a place.
    DependencyError
        If it is a URL, and the extra hub is not installed.
    """
    if where.startswith(HUB):
        return HubPlace(where, private=private)
    if "://" in where:
        return UrlPlace(where)
    return FolderPlace(Path(where))


class FolderPlace:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, files: Mapping[str, Path | bytes], *, message: str) -> None:
        """Copy the files; an interruption leaves the old model, the new one, or none that loads."""
        with atomic_folder(self.folder, index=FOLDER.index, optional=FILES) as unfinished:
            for name, content in files.items():
                target = unfinished / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content if isinstance(content, bytes) else content.read_bytes())

    def fetch(self, name: str, path: Path) -> None:
        """Copy one file; a link is not followed out of the folder."""
        source = self.folder / name
        with reaching(str(source)):
            if not source.resolve().is_relative_to(self.folder.resolve()):
                raise SharingError(f"{source} is a link to another folder", expected="a file")
            shutil.copyfile(source, path)


class UrlPlace:
    """A folder at a URL that fsspec opens: s3://, gs://, sftp://, file://, memory:// and others."""

    def __init__(self, url: str) -> None:
        with extra("hub"):
            import fsspec

        with reaching(url):
            self.system, self.root = fsspec.core.url_to_fs(url)
        self.url, self.root = url, self.root.rstrip("/")

    def send(self, files: Mapping[str, Path | bytes], *, message: str) -> None:
        """Write the files, the index last."""
        with reaching(self.url):
            for name, content in files.items():
                target = f"{self.root}/{name}"
                self.system.makedirs(target.rpartition("/")[0], exist_ok=True)
                if isinstance(content, bytes):
                    self.system.pipe_file(target, content)
                else:
                    self.system.put_file(os.fspath(content), target)

    def fetch(self, name: str, path: Path) -> None:
        """Read one file."""
        with reaching(f"{self.url.rstrip('/')}/{name}"):
            self.system.get_file(f"{self.root}/{name}", os.fspath(path))


class HubPlace:
    """A repository of models on the Hugging Face hub: hf://owner/name, or hf://owner/name@revision.

    The environment variable HF_ENDPOINT is another server; the token is that of huggingface_hub
    (HF_TOKEN, or `hf auth login`).
    """

    def __init__(self, where: str, *, private: bool = False) -> None:
        with extra("hub"):
            import huggingface_hub
        name, _, revision = where.removeprefix(HUB).partition("@")
        if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
            raise ConfigError(
                f"{where} is no repository of models", expected="hf://owner/name", fix="correct it"
            )
        self.hub: Any = huggingface_hub
        self.name, self.revision, self.private = name, revision or None, private
        self.where = where
        self.endpoint = os.environ.get("HF_ENDPOINT") or None

    def send(self, files: Mapping[str, Path | bytes], *, message: str) -> None:
        """Make the repository where there is none, and commit all files at once."""
        with reaching(self.where):
            api = self.hub.HfApi(endpoint=self.endpoint)
            api.create_repo(self.name, private=self.private, exist_ok=True)
            operations = [
                self.hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=_content(content))
                for name, content in files.items()
            ]
            api.create_commit(self.name, operations, commit_message=message, revision=self.revision)

    def fetch(self, name: str, path: Path) -> None:
        """Download one file."""
        with reaching(f"{self.where}/{name}"):
            folder = path.parent / ".hub"
            try:
                found = self.hub.hf_hub_download(
                    self.name,
                    name,
                    revision=self.revision,
                    endpoint=self.endpoint,
                    local_dir=folder,
                )
                os.replace(found, path)
            finally:
                shutil.rmtree(folder, ignore_errors=True)


def _content(content: Path | bytes) -> str | bytes:
    return content if isinstance(content, bytes) else os.fspath(content)


@contextmanager
def reaching(place: str) -> Iterator[None]:
    """Raise whatever a client raises as one line."""
    try:
        yield
    except AnymicError:
        raise
    except Exception as error:
        raise SharingError(
            f"{place} cannot be reached ({type(error).__name__}: {reason_of(error)})",
            expected="a place that exists, and that you may read or write",
            fix="check the address, the connection and the token",
        ) from error
