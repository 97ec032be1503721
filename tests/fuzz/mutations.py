"""Random changes of files: of their bytes, and of the words of a text."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable, Sequence

import numpy as np

Generator = np.random.Generator
Change = Callable[[bytes, Generator, Sequence[bytes]], bytes]

HEADER_BYTES = 256
NUMBERS = (0, 1, -1, 2, 0x7FFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1)
LAYOUTS = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")

# What may stand in the place of any word of a JSON, YAML or CSV file.
WORDS = (
    *("null", "true", "[]", "{}", '""', "0", "-0.0", "-1", "0.5", "1e-320", "1e308", "1e999"),
    *("NaN", "Infinity", "-Infinity", ".inf", "-.inf", ".nan", "9" * 400, "9" * 5000, "1" * 19),
    *("2020-13-45", "2020-02-30T25:61:61Z", "12:30:45", "0x1F", "1_000", "0o777", "=1+1"),
    *("[" * 500 + "]" * 500, "[" * 100_000, '{"a":' * 100_000, "- " * 50_000),
    *("!!python/object/apply:os.getcwd []", "!!binary =", "!unknown x", "!!set {a, b}"),
    *("&a [*a]", "*missing", "<<: {a: 1}", "{? [a]: b}", "{a: 1, a: 2}", '{"a": 1, "a": 2}'),
    *('"\\ud800"', '"\\u0000"', "\x00", "\u202e", "\ufeff", "\x1b]0;title\x07", "[/red]"),
    *("../../etc/passwd", "/dev/zero", "x" * 100_000, '"' + "y" * 100_000 + '"', "'", '"', "\\"),
    "{a: &a [x,x,x,x,x,x,x,x,x], b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a], c: &c [*b,*b,*b,*b,*b,*b,*b],"
    " d: &d [*c,*c,*c,*c,*c,*c,*c,*c], e: &e [*d,*d,*d,*d,*d,*d,*d], f: [*e,*e,*e,*e,*e,*e]}",
    *("[1, 2, 3]", "{a: b}", '{"a": "b"}', "1, 2", "yes", "~", "?", "-", ":", ",", ",,,,", "\n\n"),
)
NAMES = ("../out.txt", "/out.txt", "a" * 300, "a/" * 500, "..", ".", "a:b", "C:\\x", "\x1b[1m", " ")
_WORD = re.compile(r'"(?:[^"\\\n]|\\.)*"|[^\s,:;{}\[\]"]+')


def change_bytes(data: bytes, random: Generator, others: Sequence[bytes]) -> bytes:
    """Return the bytes after one to four changes; `others` are files to take pieces from."""
    for _ in range(int(random.integers(1, 5))):
        change = BYTE_CHANGES[random.integers(len(BYTE_CHANGES))]
        data = change(data, random, others) if data else b"\0"
    return data


def change_text(data: bytes, random: Generator, others: Sequence[bytes]) -> bytes:
    """Return a text after one to three changes of words or lines; one in eight of its bytes."""
    if random.random() < 0.125:
        return change_bytes(data, random, others)
    text = data.decode("utf-8", "replace")
    for _ in range(int(random.integers(1, 4))):
        change = _change_line if random.random() < 0.2 else _change_word
        text = change(text, random)
    return text.encode("utf-8", "surrogatepass")


def change_zipped(data: bytes, random: Generator, others: Sequence[bytes]) -> bytes:
    """Return a ZIP file of which a member or its name changed, with right checksums."""
    if random.random() < 0.2:
        return change_bytes(data, random, others)
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as archive:
        chosen = int(random.integers(len(source.infolist())))
        for number, member in enumerate(source.infolist()):
            content, name = source.read(member), member.filename
            if number == chosen and random.random() < 0.3:
                name = NAMES[random.integers(len(NAMES))]
            elif number == chosen:
                content = change_bytes(content, random, others)
                content += bytes(int(random.integers(2)) << int(random.integers(28)))
            member = zipfile.ZipInfo(name)
            member.external_attr = int(random.choice([0, 0o120777 << 16, 0o777 << 16, 0xFFFFFFFF]))
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def change_tensors(data: bytes, random: Generator, others: Sequence[bytes]) -> bytes:
    """Return a safetensors file of which words of the header changed, with the right length."""
    if random.random() < 0.3:
        return change_bytes(data, random, others)
    length = int.from_bytes(data[:8], "little")
    header = change_text(data[8 : 8 + length], random, others)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def _change_word(text: str, random: Generator) -> str:
    places = [match.span() for match in _WORD.finditer(text)]
    start, end = places[random.integers(len(places))] if places else (0, 0)
    if random.random() < 0.1 and places:  # by another word of the same text
        other = places[random.integers(len(places))]
        return text[:start] + text[other[0] : other[1]] + text[end:]
    return text[:start] + WORDS[random.integers(len(WORDS))] + text[end:]


def _change_line(text: str, random: Generator) -> str:
    lines = text.splitlines(keepends=True) or [""]
    row = int(random.integers(len(lines)))
    match int(random.integers(4)):
        case 0:
            del lines[row]
        case 1:
            lines.insert(row, lines[int(random.integers(len(lines)))])
        case 2:
            lines[row] *= int(random.integers(2, 200))
        case _:
            lines[row] = " " * int(random.integers(1, 9)) + lines[row]
    return "".join(lines)


def _place(data: bytes, random: Generator) -> int:
    """Return a random place: half of them in the header."""
    limit = min(HEADER_BYTES, len(data)) if random.random() < 0.5 else len(data)
    return int(random.integers(limit))


def _slice(data: bytes, random: Generator, *, most: int = 4096) -> tuple[int, int]:
    start = _place(data, random)
    return start, min(len(data), start + int(random.integers(1, most)))


def _flip(data: bytes, random: Generator, others: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 30))):
        changed[_place(data, random)] ^= 1 << int(random.integers(8))
    return bytes(changed)


def _cut(data: bytes, random: Generator, others: Sequence[bytes]) -> bytes:
    if random.random() < 0.5:
        return data[: _place(data, random)]
    start, end = _slice(data, random)
    return data[:start] + data[end:]


def _splice(data: bytes, random: Generator, others: Sequence[bytes]) -> bytes:
    other = others[int(random.integers(len(others)))]
    at = _place(data, random)
    if random.random() < 0.3:
        return data[:at] + other[_place(other, random) :]
    start, end = _slice(other, random)
    return data[:at] + other[start:end] + data[at:]


def _number(data: bytes, random: Generator, others: Sequence[bytes]) -> bytes:
    layout = LAYOUTS[random.integers(len(LAYOUTS))]
    size = struct.calcsize(layout)
    value = NUMBERS[random.integers(len(NUMBERS))] + int(random.integers(-1, 2))
    written = struct.pack(layout, value & (1 << 8 * size) - 1)
    at = _place(data, random)
    return data[:at] + written + data[at + size :]


def _repeat(data: bytes, random: Generator, others: Sequence[bytes]) -> bytes:
    start, end = _slice(data, random, most=600)
    return data[:start] + data[start:end] * int(random.integers(2, 2000)) + data[end:]


def _fill(data: bytes, random: Generator, others: Sequence[bytes]) -> bytes:
    start, end = _slice(data, random)
    filled = bytes(end - start) if random.random() < 0.5 else random.bytes(end - start)
    return data[:start] + filled + data[end:]


BYTE_CHANGES: tuple[Change, ...] = (_flip, _cut, _splice, _number, _number, _repeat, _fill)
