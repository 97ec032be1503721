"""Fetches the corpora that are public: resumable by archive, checked, unpacked."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anymic._internal.files import file_digest
from anymic._internal.optional import extra
from anymic.errors import AnymicError, ConfigError


@dataclass(frozen=True)
class Archive:
    """A file to fetch.

    Attributes
    ----------
    url : str
        Where it is.
    file : str
        What it is called on disk.
    md5 : str or None
        The checksum it must have; None where its publisher gives none, which is then said.
    seen_md5 : str
        For an archive without a published checksum: the one that others recorded. A difference
        is told, not refused, as the publisher may change the archive.
    """

    url: str
    file: str
    md5: str | None
    seen_md5: str = ""


def _zenodo(record: int, stem: str, checksums: dict[str, str]) -> tuple[Archive, ...]:
    base = f"https://zenodo.org/records/{record}/files"
    return tuple(
        Archive(f"{base}/{stem}.{part}.zip?download=1", f"{stem}.{part}.zip", md5)
        for part, md5 in checksums.items()
    )


# The archive of a branch is made by GitHub on request and has no published checksum. The one
# recorded here is that of three independent projects (soundata, hear-preprocess, PaddleAudio).
_ESC50 = (
    Archive(
        "https://github.com/karolpiczak/ESC-50/archive/master.zip",
        "ESC-50-master.zip",
        None,
        seen_md5="7771e4b9d86d0945acce719c7a59305a",
    ),
)

# Checksums as dcase_util records them for Zenodo record 2589332.
_TAU2019 = _zenodo(
    2589332,
    "TAU-urban-acoustic-scenes-2019-mobile-development",
    {
        "meta": "9b2e36283882bf24be9817465d1e86cd",
        "audio.1": "6bf7607097b448745926994970260dbd",
        "audio.2": "54f9966def3768297a028f757fd217d5",
        "audio.3": "1daa259ede9ab2b83246f49bd2f4e547",
        "audio.4": "3a4c954dec030598ed5b9f0f2415024d",
        "audio.5": "1f6b9e0b8c5699946466fe31fb795e68",
        "audio.6": "a857f69cbbeb56fcf123d5f0bc322786",
        "audio.7": "adf9802b1f46f6ce5f9f668cd5be8a1b",
        "audio.8": "97134c6cdacc856652368997202ef06f",
        "audio.9": "3caaed1a238354e9a885318e222fa77a",
        "audio.10": "3bd9d1fe203111aa164d22707fbbc9f6",
        "audio.11": "93f3dfbcdfce06d43cc3131ee712ba38",
    },
)

# Checksums as soundata records them for Zenodo record 3819968.
_TAU2020 = _zenodo(
    3819968,
    "TAU-urban-acoustic-scenes-2020-mobile-development",
    {
        "meta": "6eae9db553ce48e4ea246e34e50a3cf5",
        "audio.1": "b1e85b8a908d3d6a6ab73268f385d5c8",
        "audio.2": "4310a13cc2943d6ce3f70eba7ba4c784",
        "audio.3": "ed38956c4246abb56190c1e9b602b7b8",
        "audio.4": "97ab8560056b6816808dedc044dcc023",
        "audio.5": "b50f5e0bfed33cd8e52cb3e7f815c6cb",
        "audio.6": "fbf856a3a86fff7520549c899dc94372",
        "audio.7": "0dbffe7b6e45564da649378723284062",
        "audio.8": "bb6f77832bf0bd9f786f965beb251b2e",
        "audio.9": "a65596a5372eab10c78e08a0de797c9e",
        "audio.10": "2ad595819ffa1d56d2de4c7ed43205a6",
        "audio.11": "0ad29f7040a4e6a22cfd639b3a6738e5",
        "audio.12": "e5f4400c6b9697295fab4cf507155a2f",
        "audio.13": "8855ab9f9896422746ab4c5d89d8da2f",
        "audio.14": "092ad744452cd3e7de78f988a3d13020",
        "audio.15": "4b5eb85f6592aebf846088d9df76b420",
        "audio.16": "2e0a89723e58a3836be019e6996ae460",
    },
)

# Checksums as a converter of the corpus to the Hugging Face format records them for Zenodo record
# 2552860; only one source was at hand.
_FSDKAGGLE2018 = _zenodo(
    2552860,
    "FSDKaggle2018",
    {
        "meta": "f16828ac8be0e5285b9175a12f90d784",
        "audio_train": "a8b47ff4b52022c178f88fa5c6f080d0",
        "audio_test": "f85c8665c3fc39311ea1b748e194a81d",
    },
)

ARCHIVES: dict[str, tuple[Archive, ...]] = {
    "esc10": _ESC50,
    "esc50": _ESC50,
    "tau2019-mobile": _TAU2019,
    "tau2020-mobile": _TAU2020,
    "fsdkaggle2018": _FSDKAGGLE2018,
}


def download(name: str, root: str | Path, *, progress: bool = True) -> None:
    """Fetch a corpus and unpack it in ``root``.

    Archives are kept in ``root/archives``; one that is there with the right checksum is not
    fetched again, and a file that is unpacked in its full size is not unpacked again.

    Raises
    ------
    ConfigError
        The corpus is not one that can be fetched.
    AnymicError
        No network, a checksum that differs, or an archive that cannot be unpacked.
    """
    if name not in ARCHIVES:
        raise ConfigError(
            f"--download of {name!r}",
            expected=f"one of {', '.join(sorted(ARCHIVES))}",
            fix="leave --download out and give the folder with --root",
        )
    fetch(ARCHIVES[name], root, progress=progress)


def fetch(archives: Sequence[Archive], root: str | Path, *, progress: bool = True) -> None:
    """Fetch archives into ``root/archives`` and unpack them in ``root``: see :func:`download`."""
    with extra("download"):
        import pooch

    pooch.get_logger().setLevel("WARNING")
    root = Path(root)
    store = root / "archives"
    for archive in archives:
        try:
            with _Bar(archive.file, shown=progress) as bar:
                pooch.retrieve(
                    archive.url,
                    known_hash=f"md5:{archive.md5}" if archive.md5 else None,
                    fname=archive.file,
                    path=store,
                    downloader=pooch.HTTPDownloader(progressbar=bar),
                )
        except OSError as error:  # requests' errors are OSErrors too
            raise AnymicError(
                f"no answer from {archive.url} ({_cause(error)})",
                expected=f"the file {archive.file}",
                fix=f"check the network, or fetch it by hand into {store} and run this again",
            ) from error
        except ValueError as error:  # what pooch raises where the hash differs
            raise AnymicError(
                f"{archive.file} from {archive.url} with another checksum",
                expected=f"md5 {archive.md5}",
                fix="run this again; if it stays, the archive was damaged or replaced",
            ) from error
        if archive.md5 is None:
            _say_unverified(archive, store / archive.file)
        unpack(store / archive.file, root)


def unpack(archive: Path, root: Path) -> None:
    """Unpack a ZIP file; what is there already in its full size is left alone.

    Raises
    ------
    AnymicError
        It is no ZIP file, is damaged, or names a file outside ``root``.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            for member in source.infolist():
                target = (root / member.filename).resolve()
                if not target.is_relative_to(root.resolve()):
                    raise AnymicError(
                        f"{archive} with the member {member.filename}",
                        expected=f"only files below {root}",
                        fix="do not use this archive",
                    )
                there = target.is_file() and target.stat().st_size == member.file_size
                if not there:
                    source.extract(member, root)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise AnymicError(
            f"{archive}, which cannot be unpacked ({error})",
            expected="a whole ZIP file",
            fix="delete it and run this again, or unpack it with another program",
        ) from error


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
    """Name the innermost cause in a few words: requests wraps it several times."""
    text = " ".join(str(error).split())
    for words in ("Name or service not known", "name resolution", "Connection refused"):
        if words in text:
            return words
    if "timed out" in text.lower():
        return "timed out"
    return text if len(text) <= 160 else f"{text[:157]}..."


class _Bar:
    """The progress bar that pooch feeds, drawn by rich on stderr."""

    def __init__(self, name: str, *, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
        from rich.progress import TransferSpeedColumn as Speed

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Speed())
        disable = not (shown and console.is_terminal)
        self._progress = Progress(*columns, console=console, disable=disable)
        self._task = self._progress.add_task(name, total=None)
        self.total = 0

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, count: int) -> None:
        self._progress.update(self._task, advance=count, total=self.total or None)

    def reset(self) -> None:
        self._progress.reset(self._task, total=self.total or None)

    def close(self) -> None:
        self._progress.refresh()
