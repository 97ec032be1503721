"""Files at URLs, such as s3://bucket/a.wav, that fsspec reads with the driver of each scheme."""

from __future__ import annotations

import glob
import hashlib
import itertools
import os
import re
import stat
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic._internal.files import temporary_file
from anymic._internal.optional import extra
from anymic._internal.reading import reason_of
from anymic.errors import AnymicError, AudioError, DependencyError, concerns_every_file

if TYPE_CHECKING:
    _Base = Path
else:
    _Base = type(Path())  # only from Python 3.12 on can Path itself have subclasses

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
WEB = ("http", "https")  # their URLs have queries; `*` and `?` in them are no pattern
PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")
# Parameters of a query that sign it: they are no part of a file's name.
SIGNED = re.compile(
    r"(?i)([?&](?:x-(?:amz|goog)-[^=&]*|sig|awsaccesskeyid|googleaccessid|api[-_]?key"
    r"|[^=&]*(?:signature|token|secret|password|credential)[^=&]*)=)[^&#'\"\s]*"
)
HIDDEN = r"\1***"
# What shows that a file has changed, by the names that drivers have for it: the first is used.
MARKS = (
    *("etag", "md5hash", "contentmd5", "digest", "crc32c", "generation"),
    *("lastmodified", "mtime", "updated", "modified", "created"),
)
CONNECT_S, SILENCE_S = 10.0, 60.0  # how long a web server may not answer, and pause
_serial = itertools.count(1)
_of_thread = threading.local()


class RemotePath(_Base):
    """A file or folder at a URL, for functions that have paths: `str` shows it, without secrets.

    `stat`, `exists`, `is_file` and `is_dir` ask the server. `os.fspath` is the whole URL. The parts
    of the path are those of the URL without its query.

    Parameters
    ----------
    url : str
    """

    url: str
    known: tuple[int, int] | None  # its state, where the server has said it
    is_folder: bool

    def __new__(cls, url: str) -> RemotePath:
        self = super().__new__(cls, _without_query(url))
        self.url, self.known, self.is_folder = url, None, False
        return self

    def __init__(self, url: str) -> None:
        if sys.version_info >= (3, 12):
            super().__init__(_without_query(url))

    def with_segments(self, *segments: str | os.PathLike[str]) -> Path:
        """Return a path of this machine: those derived from a URL are names of files to write."""
        return Path(*segments)

    @property
    def scheme(self) -> str:
        """What precedes :// in the URL."""
        return self.url.partition("://")[0].lower()

    def __str__(self) -> str:
        return without_secrets(self.url) if hasattr(self, "url") else super().__str__()

    def __fspath__(self) -> str:
        return self.url if hasattr(self, "url") else super().__fspath__()

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __reduce__(self) -> tuple[type[RemotePath], tuple[str]]:
        return (RemotePath, (self.url,))

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return the size; the time of change is a hash of what shows a change.

        OSError if the server does not give them.
        """
        if self.known is None:
            try:
                with _reaching(self) as (system, name):
                    system.invalidate_cache()
                    info = system.info(name)
            except AnymicError as error:
                raise FileNotFoundError(str(error)) from None
            self.known, self.is_folder = _state(info), info["type"] == "directory"
        size, changed = self.known
        kind = stat.S_IFDIR if self.is_folder else stat.S_IFREG
        numbers = (kind | 0o444, 0, 0, 1, 0, 0, size, 0, 0, 0)
        return os.stat_result(numbers, {"st_mtime_ns": changed})

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Say whether the server has it."""
        try:
            self.stat()
        except OSError:
            return False
        return True

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Say whether the server has it, and it is no folder."""
        return self.exists() and not self.is_folder

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Say whether it is a folder."""
        return self.exists() and self.is_folder


def is_url(text: str) -> bool:
    """Say whether a text is a URL, and no path."""
    return "://" in text and URL.match(text) is not None


def remote_of(path: str | os.PathLike[str]) -> RemotePath | None:
    """Return a URL as a path of its own kind; None for a path of this machine."""
    if isinstance(path, RemotePath):
        return path
    return RemotePath(path) if isinstance(path, str) and is_url(path) else None


def as_path(path: str | os.PathLike[str]) -> Path:
    """Return the Path of a path of this machine, or the RemotePath of a URL."""
    return remote_of(path) or Path(path)


def without_secrets(text: str) -> str:
    """Return a text in which passwords and signatures of URLs are replaced by ***."""
    return SIGNED.sub(HIDDEN, PASSWORD.sub(r"\1:***@", text))


def files_at(path: RemotePath, *, is_file: bool) -> list[RemotePath] | None:
    """Return the files below a folder, or those that a pattern matches, sorted; None for a file.

    Parameters
    ----------
    path : RemotePath
    is_file : bool
        Whether it is a file by its name, so that the server is not asked. A URL that ends with / is
        a folder, and one of the web that does not is a file.

    Raises
    ------
    AnymicError
        If the server does not answer, or has nothing there.
    """
    web, folder = path.scheme in WEB, path.url.endswith("/")
    pattern = not web and glob.has_magic(path.url)
    if not (pattern or folder) and (is_file or web):
        return None
    with _reaching(path) as (system, name):
        system.invalidate_cache()
        if pattern:
            head = re.split(r"[*?[]", path.url)[0].rpartition("/")[0]
            found = system.glob(name, detail=True)
            if not found and system.exists(name):
                return None
        else:
            head = path.url
            if not folder and system.info(name)["type"] != "directory":
                return None
            found = system.find(name, detail=True)
        root = system._strip_protocol(head).rstrip("/")
        files = []
        for one, info in sorted(found.items()):
            if info.get("type", "file") == "file":
                below = one[len(root) :] if one.startswith(root) else f"/{one}"
                files.append(RemotePath(head.rstrip("/") + below))
                state = _state(info)
                files[-1].known = state if state[0] >= 0 and state[1] else None
        return files


class LocalCopy:
    """A copy of a file at a URL among the temporary files, for as long as this object exists.

    Attributes
    ----------
    url : str
    place : str
        The path of the copy.
    """

    def __init__(self, path: RemotePath) -> None:
        self.url, self._state = path.url, path.known or _state_now(path)
        file, self.place = temporary_file()
        weakref.finalize(self, file.close)
        with _reaching(path) as (system, name):
            system.get_file(name, self.place)
        size, stated = os.stat(self.place).st_size, self._state[0]
        if size < stated:
            raise AudioError(
                f"only {size} of {stated} bytes of {path} were received",
                expected="the whole file",
                fix="run the command again",
            )
        # What is known of a file is kept by its name, size and time; names of copies come again.
        number = next(_serial)
        os.utime(self.place, ns=(number, number))

    def is_of(self, path: RemotePath) -> bool:
        """Say whether it is a copy of what is at a URL now, and the server shows that."""
        return self.url == path.url and self._state[1] > 0 and self._state == _state_now(path)


def local_copy(path: RemotePath) -> LocalCopy:
    """Return a copy of a file: that which this thread made last, if it is the same.

    A reader opens a recording several times in a row; it is transferred once.

    Raises
    ------
    AnymicError
        If it cannot be read, or the driver of its scheme, or fsspec, is not installed.
    OSError
        If the disk of temporary files is full.
    """
    kept: LocalCopy | None = getattr(_of_thread, "copy", None)
    if kept is None or not kept.is_of(path):
        kept = _of_thread.copy = None  # before the next is made: one recording a thread
        kept = _of_thread.copy = LocalCopy(path)
    return kept


@contextmanager
def _reaching(path: RemotePath) -> Iterator[tuple[Any, str]]:
    """Give the file system of a URL and the name in it; whatever it raises is one line."""
    if PASSWORD.search(path.url):
        raise AudioError(
            f"the URL {path} has a password",
            expected="a URL without it",
            fix="state it in the settings of the driver or of fsspec, and take it out of the URL",
        )
    with extra("remote"):
        import fsspec
    try:
        system, name = fsspec.core.url_to_fs(path.url, **_options(path.scheme))
        yield system, name
    except AnymicError:
        raise
    except Exception as error:
        if concerns_every_file(error):
            raise
        raise _as_anymic_error(path, error) from None


def _options(scheme: str) -> dict[str, Any]:
    """Return the settings of a driver: a long transfer may last, but a silent server is left."""
    if scheme not in WEB:
        return {}
    import aiohttp
    from fsspec.config import conf

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
    return {"client_kwargs": {"timeout": timeout, **conf.get(scheme, {}).get("client_kwargs", {})}}


def _as_anymic_error(path: RemotePath, error: Exception) -> AnymicError:
    """Return one line for what fsspec or a driver raised; it holds no secret."""
    if isinstance(error, ImportError):
        package = _driver(path.scheme, error)
        return DependencyError(
            f"{path} cannot be read: the package {package} is not installed",
            expected=f"the driver of {path.scheme}:// for fsspec",
            fix=f"run pip install {package}",
        )
    if isinstance(error, ValueError) and "Protocol not known" in str(error):
        return AudioError(
            f"{path} cannot be read: fsspec knows no {path.scheme}://",
            expected="a URL such as s3://bucket/a.wav, gs:// or https://",
            fix="correct it",
        )
    if isinstance(error, FileNotFoundError) and error.__cause__ is None:
        return AudioError(f"nothing is at {path}", expected="a file", fix="check the URL")
    cause = error.__cause__ if isinstance(error, FileNotFoundError) else error
    reason = without_secrets(reason_of(cause or error).replace(path.url, str(path)))
    return AudioError(
        f"{path} cannot be read ({type(cause).__name__}: {reason})",
        expected="a file that exists, and that you may read",
        fix="check the URL, the connection, and the credentials of the driver",
    )


def _driver(scheme: str, error: ImportError) -> str:
    """Return the package that is missing."""
    from fsspec.registry import known_implementations

    cause = error.__cause__ if isinstance(error.__cause__, ModuleNotFoundError) else error
    module = known_implementations.get(scheme, {}).get("class", "").partition(".")[0]
    return (cause.name or module).partition(".")[0]


def _state_now(path: RemotePath) -> tuple[int, int]:
    """Return the state of a file as its server gives it at the moment; (-1, 0) if not."""
    try:
        with _reaching(path) as (system, name):
            system.invalidate_cache()
            return _state(system.info(name))
    except AnymicError:
        return (-1, 0)


def _state(info: Mapping[str, Any]) -> tuple[int, int]:
    """Return the size, -1 if it is not known, and a hash of what shows a change, else 0."""
    named = {re.sub(r"[^a-z0-9]", "", name.lower()): value for name, value in info.items()}
    value = next((named[name] for name in MARKS if named.get(name)), "")
    mark = str(value.timestamp() if isinstance(value, datetime) else value)
    digits = hashlib.sha256(mark.strip('"').encode()).hexdigest()[:15] if mark else "0"
    size = info.get("size")
    return -1 if size is None else int(size), int(digits, 16)


def _without_query(url: str) -> str:
    return url.partition("?")[0] if url.partition("://")[0].lower() in WEB else url
