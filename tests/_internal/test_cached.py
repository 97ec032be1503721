"""Files of caches: only content that is no such file is called damaged."""

from __future__ import annotations

import ast
import errno
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.damage import DAMAGES, Damage

from anymic._internal.cached import read_cached
from anymic._internal.files import write_arrays
from anymic._internal.npz import parse_arrays, read_arrays
from anymic.errors import AnymicWarning

ARRAYS = {
    "halves": np.arange(24, dtype=np.float16).reshape(2, 3, 4),
    "columns": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "text": np.array(["a", "äöü", ""]),
    "bytes": np.array([b"ab", b""]),
    "scalar": np.array(7),
    "flags": np.array([True, False]),
    "none": np.zeros((0, 5), np.float32),
    "large endian": np.arange(5, dtype=">i4"),
    "complex": np.array([1 + 2j]),
    "moments": np.array(["2024-01-01"], dtype="datetime64[s]"),
}

# Several processes write and read the same few files; a warning ends a process with status 1.
TOGETHER = """
import sys, time, warnings
from pathlib import Path
import numpy as np
from anymic._internal.cached import read_cached
from anymic._internal.files import write_arrays
from anymic._internal.npz import parse_arrays
from anymic._internal.threads import in_order

warnings.simplefilter("error")
role, folder, seed = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
generator, found = np.random.default_rng(int(seed)), 0

def one(number):
    path = folder / f"{number}.npz"
    if role == "write":
        if generator.random() < 0.1:
            path.unlink(missing_ok=True)
        write_arrays(path, sequences=np.full((number + 1, 40, 6), number, np.float16))
        return 1
    arrays = read_cached(path, parse_arrays)
    if arrays is None:
        return 0
    assert arrays["sequences"].shape == (number + 1, 40, 6)
    assert (arrays["sequences"] == number).all()
    return 1

(folder / f"{seed}.ready").touch()
while len(list(folder.glob("*.ready"))) < 4:
    time.sleep(0.01)
rounds = 0
while rounds < 150 if role == "read" else len(list(folder.glob("*.done"))) < 2:
    found += sum(in_order(one, range(8), workers=1 if role == "write" else 4))
    rounds += 1
(folder / f"{seed}.done").touch() if role == "read" else None
print(found)
"""


def test_arrays_are_those_that_numpy_reads(tmp_path: Path) -> None:
    for save in (np.savez, np.savez_compressed):
        path = tmp_path / "a.npz"
        save(path, **ARRAYS)  # type: ignore[arg-type]
        for found in (read_arrays(path), parse_arrays(path.read_bytes())):
            with np.load(path) as wanted:
                assert list(found) == wanted.files
                for name, array in found.items():
                    np.testing.assert_array_equal(array, wanted[name], strict=True)
                    assert array.flags.f_contiguous == wanted[name].flags.f_contiguous
                    assert array.flags.writeable


def test_objects_and_fields_are_refused() -> None:
    for array in (np.array([{}], dtype=object), np.zeros(2, [("a", "i4"), ("b", "f4")])):
        file = io.BytesIO()
        np.savez(file, a=array)
        with pytest.raises(ValueError, match="array"):
            parse_arrays(file.getvalue())


def test_threads_share_no_parser_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython's fails in threads at times (SystemError), and numpy reads headers with it."""

    def fails(*_: object) -> None:
        raise SystemError("AST constructor recursion depth mismatch")

    file = io.BytesIO()
    np.savez(file, **ARRAYS)  # type: ignore[arg-type]
    monkeypatch.setattr(ast, "literal_eval", fails)
    with pytest.raises(SystemError):
        np.load(io.BytesIO(file.getvalue()))["halves"]
    np.testing.assert_array_equal(parse_arrays(file.getvalue())["halves"], ARRAYS["halves"])


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_damaged_content_is_called_damaged(damage: Damage, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, sequences=np.random.default_rng(0).random((4, 40, 6)))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(AnymicWarning, match="is damaged"):
        assert read_cached(path, parse_arrays) is None


def test_what_is_not_of_the_content_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    assert read_cached(path, parse_arrays) is None  # missing: no warning
    write_arrays(path, a=np.ones(3))
    for error in (MemoryError(), SystemError("AST")):

        def parse(_: bytes, error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error)):
            read_cached(path, parse)

    def unreadable(_: Path) -> bytes:
        raise OSError(number, "Reason")

    monkeypatch.setattr(Path, "read_bytes", unreadable)
    number = errno.EMFILE
    with pytest.warns(AnymicWarning, match=r"cannot be read \(Reason\), and is made again"):
        assert read_cached(path, parse_arrays) is None
    number = errno.ENOSPC
    with pytest.raises(OSError, match="Reason"):
        read_cached(path, parse_arrays)


def test_writers_and_readers_of_the_same_files_report_nothing(tmp_path: Path) -> None:
    jobs = [("write", "1"), ("write", "2"), ("read", "3"), ("read", "4")]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", TOGETHER, role, str(tmp_path), seed],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for role, seed in jobs
    ]
    ended = [(*each.communicate(timeout=120), each.returncode) for each in running]
    assert [(error, code) for _, error, code in ended] == [("", 0)] * 4
    assert all(int(text) > 0 for text, _, _ in ended)
