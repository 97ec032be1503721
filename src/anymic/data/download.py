"""Archives of public corpora: downloaded once, checked, unpacked."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anymic._internal.files import atomic_file, file_digest
from anymic._internal.optional import extra
from anymic._internal.reading import parsing, refuse_bomb
from anymic.errors import AnymicError

if TYPE_CHECKING:
    from rich.progress import Progress


@dataclass(frozen=True)
class Archive:
    """A file to fetch.

    Attributes
    ----------
    url : str
    file : str
        Its name on disk.
    md5 : str or None
        The published checksum; without one, a note says that the archive was not verified.
    seen_md5 : str
        For an archive without a published checksum: the one that others recorded. A note states a
        difference, because the publisher may change the archive.
    """

    url: str
    file: str
    md5: str | None = None
    seen_md5: str = ""


def fetch(archives: Sequence[Archive], root: str | Path, *, progress: bool = True) -> None:
    """Fetch archives into ``root/archives`` and unpack them in ``root``.

    Archives that are there with the right checksum, and unpacked files of the right size, are kept.

    Raises
    ------
    AnymicError
        If there is no network, a checksum differs, or an archive cannot be unpacked.
    """
    with extra("download"):
        import pooch

    pooch.get_logger().setLevel("WARNING")
    root = Path(root)
    store = root / "archives"
    for archive in archives:
        try:
            with _progress(shown=progress) as bar:
                pooch.retrieve(
                    archive.url,
                    known_hash=f"md5:{archive.md5}" if archive.md5 else None,
                    fname=archive.file,
                    path=store,
                    downloader=pooch.HTTPDownloader(progressbar=_Bar(bar, archive.file)),
                )
        except OSError as error:  # requests' errors are OSErrors too
            raise AnymicError(
                f"{archive.url} cannot be downloaded ({_cause(error)})",
                expected=f"the file {archive.file}",
                fix=f"check the network, or save the file in {store} and run this again",
            ) from error
        except ValueError as error:  # what pooch raises where the hash differs
            raise AnymicError(
                f"{archive.file} from {archive.url} has another checksum",
                expected=f"md5 {archive.md5}",
                fix="run this again; if the error persists, the archive was damaged or replaced",
            ) from error
        if archive.md5 is None:
            _say_unverified(archive, store / archive.file)
        unpack(store / archive.file, root)


def unpack(archive: Path, root: Path) -> None:
    """Unpack a ZIP file; files that are there with the right size are kept.

    A member appears under its name when it is complete and its checksum is right. A file that is no
    ZIP file, is damaged, has a member outside ``root``, or states far more content than it can
    hold, is an AnymicError.
    """
    fix = "delete it and run this again, or unpack it with another program"
    with (
        parsing(f"the archive {archive}", AnymicError, expected="a complete ZIP file", fix=fix),
        zipfile.ZipFile(archive) as source,
    ):
        refuse_bomb(archive.stat().st_size, (member.file_size for member in source.infolist()))
        for member in source.infolist():
            target = (root / member.filename).resolve()
            if root.resolve() not in (
                target if member.is_dir() else target.parent,
                *target.parents,
            ):
                raise AnymicError(
                    f"{archive} has the member {member.filename}",
                    expected=f"only files below {root}",
                    fix="do not use this archive",
                )
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif not (target.is_file() and target.stat().st_size == member.file_size):
                with source.open(member) as content, atomic_file(target) as file:
                    shutil.copyfileobj(content, file)


def _say_unverified(archive: Archive, file: Path) -> None:
    received = file_digest(file, "md5")
    same = "the same as" if received == archive.seen_md5 else "not the same as"
    seen = f", {same} the {archive.seen_md5} that others recorded" if archive.seen_md5 else ""
    print(
        f"note: {archive.file} has no published checksum and was not verified; "
        f"received md5 {received}{seen}",
        file=sys.stderr,
    )


def _cause(error: BaseException) -> str:
    """Return the innermost cause in a few words: requests wraps it several times."""
    text = " ".join(str(error).split())
    for words in ("Name or service not known", "name resolution", "Connection refused"):
        if words in text:
            return words
    if "timed out" in text.lower():
        return "timed out"
    return text if len(text) <= 160 else f"{text[:157]}..."


class _Bar:
    """A task of a progress bar of rich, with the interface that pooch expects."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._task = progress, progress.add_task(name, total=None)
        self.total = 0

    def update(self, count: int) -> None:
        self._progress.update(self._task, advance=count, total=self.total or None)

    def reset(self) -> None:
        self._progress.reset(self._task, total=self.total or None)

    def close(self) -> None:
        self._progress.refresh()


def _progress(*, shown: bool) -> Progress:
    """Return a progress bar on stderr, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console, disable=not (shown and console.is_terminal))
