"""Download one file of weights, and verify it by its SHA-256."""

from __future__ import annotations

from pathlib import Path

from anymic._internal.files import file_digest
from anymic._internal.optional import extra
from anymic.errors import AnymicError


def fetch(url: str, folder: str | Path, *, sha256: str) -> Path:
    """Download a file into a folder, once, under its own name; return its path.

    Parameters
    ----------
    url : str
    folder : path
    sha256 : str
        Of the file, in hexadecimal digits, or the first of them.

    Raises
    ------
    AnymicError
        If there is no network, or the file has another hash.
    """
    with extra("download"):
        import pooch

    pooch.get_logger().setLevel("WARNING")
    name = url.rpartition("/")[2]
    path = Path(folder) / name
    try:
        pooch.retrieve(url, known_hash=None, fname=name, path=folder)
    except (OSError, ValueError) as error:
        raise AnymicError(
            f"{url} cannot be downloaded ({' '.join(str(_root(error)).split())[:120]})",
            expected=f"the file {name}",
            fix="check the network, or download the file and pass its path",
        ) from error
    digest = file_digest(path)
    if not digest.startswith(sha256):
        path.replace(path.with_suffix(".damaged"))
        raise AnymicError(
            f"{name} from {url} has the SHA-256 {digest[:8]}...",
            expected=f"{sha256[:8]}...",
            fix="run this again; if the error persists, the file was damaged or replaced",
        )
    return path


def _root(error: BaseException) -> BaseException:
    """Return what failed first: `requests` wraps the error of the socket several times."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error
