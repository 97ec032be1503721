"""Read JSON and YAML: any fault of a file becomes one error, in one line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from anymic.errors import AnymicError, ConfigError, concerns_every_file

MOST_JSON_BYTES = 128 << 20  # the ids of some millions of clips
MOST_YAML_BYTES = 1 << 20
MOST_YAML_VALUES = 100_000  # a value that an alias names counts each time
MOST_LEVELS = 100
MOST_CHARACTERS = 20  # of a whole number of 64 bits, with its sign
WHOLE = range(-(2**63), 2**63)  # the whole numbers of 64 bits
LEAST_ARRAY_BYTES = 256 << 20  # so much may be compressed without limit
MOST_COMPRESSION = 100

# Halves of surrogate pairs, but for those that stand for the bytes of a name that is not UTF-8.
_UNPAIRED = frozenset(map(chr, (*range(0xD800, 0xDC80), *range(0xDD00, 0xE000))))
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C it is ten times as fast


@contextmanager
def parsing(what: object, error: type[AnymicError], *, expected: str, fix: str) -> Iterator[None]:
    """Raise any exception of the block as an `error`: "WHAT cannot be read (why)".

    Only the library's own errors, except those of settings, and a full disk are raised as they are.
    That there is too little memory for what a file states is an error of this file.
    """
    try:
        yield
    except Exception as found:
        full = isinstance(found, OSError) and concerns_every_file(found)
        if full or (isinstance(found, AnymicError) and type(found) is not ConfigError):
            raise
        problem = f"{what} cannot be read ({reason_of(found)})"
        raise error(problem, expected=expected, fix=fix) from found


def reason_of(error: BaseException) -> str:
    """Return why something could not be read, on one line of a readable length."""
    if isinstance(error, AnymicError):
        return error.problem
    if isinstance(error, RecursionError):
        return f"more than {MOST_LEVELS} levels"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem or 'unexpected'}"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = f"no {text}" if isinstance(error, KeyError) else text
    text = " ".join(text.split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."


def read_json(path: Path, error: type[AnymicError], *, expected: str, fix: str) -> dict[str, Any]:
    """Read a JSON file, as `parse_json`; an `error` if it is none that can be used."""
    with parsing(path, error, expected=expected, fix=fix):
        return parse_json(read_text(path, most=MOST_JSON_BYTES))


def read_text(path: Path, *, most: int) -> str:
    """Read UTF-8 text; ValueError if the file has more bytes than that, or is no text."""
    size = path.stat().st_size
    if size > most:
        raise ValueError(f"it has {size} bytes, and at most {most} are read")
    return path.read_text(encoding="utf-8")


def parse_json(text: str) -> dict[str, Any]:
    """Return the object that JSON describes; an empty one if it describes another value.

    ValueError or RecursionError if it is no JSON, or a value is one that `check_plain` refuses.
    """
    values = json.loads(text, object_pairs_hook=_once, parse_int=_whole)
    check_plain(values)
    return values if isinstance(values, dict) else {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} twice")
    return found


def _whole(text: str) -> int:
    if len(text) > MOST_CHARACTERS or int(text) not in WHOLE:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def parse_yaml(text: str) -> Any:
    """Return what YAML describes: mappings, lists, texts, numbers, true, false and null.

    ValueError or a YAMLError if it is no YAML, is too large or too deep, repeats a key, or holds a
    value that `check_plain` refuses. No tag makes another object, and aliases that would multiply
    are refused before they do.
    """
    level = 0
    for event in yaml.parse(text, Loader=_LOADER):  # the composer in C has no limit
        if isinstance(event, yaml.CollectionStartEvent):
            level += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            level -= 1
        if level > MOST_LEVELS:
            raise ValueError(f"more than {MOST_LEVELS} levels")
    loader = _LOADER(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {})
        values = loader.construct_document(node)
    finally:
        loader.dispose()
    check_plain(values)
    return values


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node has, each alias written out; ValueError if too many."""
    if id(node) in known:
        if not known[id(node)]:
            raise ValueError("an alias within its own value")
        return known[id(node)]
    known[id(node)] = 0
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the key {twice!r} twice in line {node.start_mark.line + 1}")
    elif isinstance(node, yaml.SequenceNode):
        parts = node.value
    total = 1
    for part in parts:
        total += _count(part, known)
        if total > MOST_YAML_VALUES:
            raise ValueError(f"more than {MOST_YAML_VALUES} values")
    known[id(node)] = total
    return total


def check_plain(values: Any) -> None:
    """Refuse values that no settings or records have, at any level of lists and mappings.

    ValueError names the first: a number that is not finite or has more than 64 bits, a date or
    another object, text with a NUL character or with half of a surrogate pair, more than
    `MOST_LEVELS` levels.
    """
    level, members = 0, [values]
    while members:
        if level > MOST_LEVELS:
            raise ValueError(f"more than {MOST_LEVELS} levels")
        inner: list[Any] = []
        for value in members:
            if isinstance(value, dict):
                inner += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                inner += value
            else:
                _check_one(value)
        level, members = level + 1, inner


def _check_one(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value or not (value.isascii() or _UNPAIRED.isdisjoint(value)):
            raise ValueError(f"a text that cannot be written: {value[:50]!a}")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"the number {value}, which is not finite")
    elif isinstance(value, int):
        if value not in WHOLE:
            raise ValueError("a whole number beyond 64 bits, of 19 digits or more")
    elif value is not None:
        raise ValueError(f"a {type(value).__name__}, such as {str(value)[:50]}: put it in quotes")


def refuse_bomb(size: int, sizes: Iterable[int]) -> None:
    """Raise ValueError if a file of `size` bytes states that far more come out of it."""
    total = sum(sizes)
    if total > max(LEAST_ARRAY_BYTES, MOST_COMPRESSION * size):
        raise ValueError(f"its {size} bytes state {total} bytes of content")
