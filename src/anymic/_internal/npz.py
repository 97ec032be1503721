"""Read .npz files of plain arrays: checked before memory is used, and safe in threads.

`numpy.load` reads the header of an array by `ast.literal_eval`. In CPython 3.11 that is not safe in
threads: where the garbage collector runs a finalizer at the wrong moment, it raises "SystemError:
AST constructor recursion depth mismatch" for a sound file. Headers are therefore read here.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from anymic._internal.reading import refuse_bomb

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_HEADER_BYTES = 10_000  # of an array without fields
# As numpy and other programs write it: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
_HEADER = re.compile(
    rb"\{\s*'descr':\s*'([<>|=]?[a-zA-Z]\d*(?:\[\w+\])?)',\s*'fortran_order':\s*(True|False),"
    rb"\s*'shape':\s*\(((?:\d+L?,\s*)*(?:\d+L?)?)\),?\s*\}\s*"
)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read an .npz of plain arrays, by name.

    An array that states more values than the file holds is refused before memory is used.

    Raises
    ------
    OSError
        If the file cannot be read.
    Exception
        ValueError or what zipfile raises, if it is no such file, or is damaged.
    """
    with path.open("rb") as file:
        return _arrays(file)


def parse_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of the content of an .npz; raises as `read_arrays`, but no OSError."""
    return _arrays(io.BytesIO(content))


def _arrays(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    size = file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        refuse_bomb(size, (each.file_size for each in members))
        for each in members:
            with archive.open(each) as member:
                _header(member, each.file_size)
        found = {}
        for each in members:
            with archive.open(each) as member:
                found[each.filename.removesuffix(".npy")] = _array(member, each.file_size)
    return found


def _array(member: IO[bytes], size: int) -> NDArray[Any]:
    import numpy as np

    shape, by_column, kind = _header(member, size)
    flat = np.empty(math.prod(shape), kind)
    if flat.nbytes:
        view, done = flat.view(np.uint8).data, 0
        while done < len(view) and (count := member.readinto(view[done:])):  # type: ignore[attr-defined]
            done += count
        if done < len(view):
            raise ValueError(f"{done} bytes of an array in place of {len(view)}")
    member.read()  # to the end, where the checksum is compared
    return flat.reshape(shape, order="F" if by_column else "C")


def _header(member: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and type of an array; ValueError for others than plain ones."""
    import numpy as np
    from numpy.lib import format as npy

    version = npy.read_magic(member)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"an array of the format {version}")
    length = int.from_bytes(member.read(2 if version == (1, 0) else 4), "little")
    if length > MOST_HEADER_BYTES:
        raise ValueError(f"a header of {length} bytes")
    text = member.read(length)
    parts = _HEADER.fullmatch(text)
    if parts is None:
        raise ValueError(f"the header {text[:80]!r} of an array")
    kind = np.dtype(parts[1].decode())
    if kind.hasobject:
        raise ValueError("an array of objects")
    shape = tuple(int(one.rstrip(b"L")) for one in parts[3].replace(b",", b" ").split())
    if math.prod(shape) * kind.itemsize > size:
        raise ValueError(f"an array of the shape {shape} in {size} bytes")
    return shape, parts[2] == b"True", kind
