"""Frozen settings from plain mappings; one error lists everything that is wrong in them."""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar

from anymic._internal.reading import MOST_YAML_BYTES, parse_yaml, parsing, read_text, reason_of
from anymic.errors import ConfigError

Settings = TypeVar("Settings")
NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def from_mapping(kind: type[Settings], values: Mapping[str, Any], *, where: str = "") -> Settings:
    """Return a dataclass of nested mappings, as read from YAML or JSON.

    Its fields may be dataclasses (optional ones too), numbers, strings, tuples and mappings;
    missing settings have their defaults. A text stands for a mapping where its dataclass has a
    class method `from_text`. One ConfigError lists every key that is unknown or
    missing, and every value of the wrong type. `where` is the place of `values` in the whole file.
    """
    problems: list[ConfigError] = []
    result = _build(kind, values, where, problems)
    if len(problems) == 1:
        (one,) = problems
        raise ConfigError(one.problem, expected=one.expected, fix=one.fix or "correct this setting")
    if problems:
        raise ConfigError(
            "; ".join(
                # a problem that was found here states what was expected
                f"{one.problem} (expected {one.expected})" if one.fix else one.problem
                for one in problems
            ),
            expected="known settings, with values of their kinds",
            fix="correct these settings",
        )
    return typing.cast(Settings, result)


def to_mapping(settings: Any) -> dict[str, Any]:
    """Return the nested mapping of which `from_mapping` makes an equal value."""
    return typing.cast("dict[str, Any]", _plain(dataclasses.asdict(settings)))


@contextmanager
def of_file(path: str | Path) -> Iterator[None]:
    """Raise a ConfigError of the block, about the settings in a file, with the path of it."""
    try:
        yield
    except ConfigError as error:
        problem = f"{path}: {error.problem}"
        raise ConfigError(problem, expected=error.expected, fix=error.fix) from error


def with_changes(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested values with some replaced; a dot reaches inside: {"frontend.bands": 128}.

    Raises a ConfigError where a text stands for the mapping that a dot would reach into.
    """
    result = dict(values)
    for key, value in changes.items():
        place = result
        *parents, last = key.split(".")
        for parent in parents:
            inner = place.get(parent)
            if isinstance(inner, str):
                raise ConfigError(
                    f"{key} is set, and {parent} is the text {inner!r}",
                    expected=f"a mapping for {parent}, to change a part of it",
                    fix=f"write {parent} as a mapping",
                )
            place[parent] = dict(inner) if isinstance(inner, dict) else {}
            place = place[parent]
        place[last] = value
    return result


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping; ConfigError if it is none."""
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"no file {path}", expected="a YAML file", fix="check the path")
    with parsing(path, ConfigError, expected="a YAML file", fix="correct the file"):
        values = parse_yaml(read_text(path, most=MOST_YAML_BYTES))
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path} has {'nothing' if values is None else type(values).__name__} at its top level",
            expected="a mapping of settings",
            fix="write `key: value` lines",
        )
    return values


def preset_file(path: str | Path, *, example: str) -> Path:
    """Return a YAML file, given by its path or the name of a preset, such as the `example`."""
    file = Path(path)
    if file.is_file():
        return file
    presets = Path(str(resources.files("anymic") / "presets"))
    named = presets / f"{file.name}.yaml"
    if str(path) == file.name and named.is_file():
        return named
    raise ConfigError(
        f"no file {path}",
        expected=f"a YAML file, or a preset such as {example}",
        fix="check the path",
    )


@cache
def _types(kind: Any) -> dict[str, Any]:
    """Return the type of each field of a dataclass; finding them takes a millisecond."""
    return typing.get_type_hints(kind)


def _build(kind: Any, values: Any, where: str, problems: list[ConfigError]) -> Any:
    if not isinstance(values, Mapping):
        found = f"{where or 'settings'}: {type(values).__name__} instead of a mapping"
        problems.append(ConfigError(found, expected="a mapping"))
        return None
    hints = _types(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    arguments: dict[str, Any] = {}
    before = len(problems)
    for key, value in values.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in fields:
            near = _near(str(key)[:100], kind, hints)
            hint = f" (did you mean {near!r}?)" if near else ""
            known = "a known key" if near else f"one of {', '.join(fields)}"
            problems.append(ConfigError(f"unknown key {place!r}{hint}", expected=known))
            continue
        arguments[key] = _value(hints[key], value, place, problems)
    for name, field in fields.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in values:
            missing = f"{where}.{name}" if where else name
            problems.append(ConfigError(f"missing key {missing!r}", expected="a value for it"))
    if len(problems) > before:
        return None
    place = f"{where}: " if where else ""
    try:
        return kind(**arguments)
    except ConfigError as error:
        problems.append(ConfigError(place + error.problem, expected=error.expected, fix=error.fix))
    except Exception as error:  # of a value that fits its type and nothing else
        problems.append(ConfigError(place + reason_of(error), expected="values that fit"))
    return None


def _as_mapping(kind: Any, value: Any, place: str, problems: list[ConfigError]) -> Any:
    """Return the mapping that a text stands for; other values as they are."""
    if not isinstance(value, str) or not hasattr(kind, "from_text"):
        return value
    try:
        return kind.from_text(value)
    except ConfigError as error:
        problem = f"{place}: {error.problem}"
        problems.append(ConfigError(problem, expected=error.expected, fix=error.fix))
        return {}


def _near(key: str, kind: Any, hints: Mapping[str, Any]) -> str:
    """Return the known key, own or nested (frontend.hop_samples), that a wrong one may mean."""
    own = [field.name for field in dataclasses.fields(kind) if field.init]
    nested: dict[str, str] = {}  # by name, its place
    for name in own:
        for part in (hints[name], *typing.get_args(hints[name])):
            if dataclasses.is_dataclass(part):
                for field in dataclasses.fields(part):
                    nested.setdefault(field.name, f"{name}.{field.name}")
    last = key.rpartition(".")[2]
    for known, places in ((own, {}), ([*nested], nested)):
        if begun := [name for name in known if name == last or name.startswith(f"{last}_")]:
            return places.get(begun[0], begun[0])
    for known, places in ((own, {}), ([*nested], nested)):
        if near := difflib.get_close_matches(key, known, n=1):
            return places.get(near[0], near[0])
    return ""


def _value(hint: Any, value: Any, place: str, problems: list[ConfigError]) -> Any:
    """Return the value as its type hint wants it; add what is wrong to the problems."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _build(hint, _as_mapping(hint, value, place, problems), place, problems)
    if origin in (typing.Union, UnionType):
        return _one_of(choices, value, place, problems)
    if origin in (tuple, list, dict):
        return _container(origin, choices, value, place, problems)
    if hint is float and _is(int, value):
        value = float(value) if abs(value) < 2**63 else math.inf
    if hint is float and _is(float, value) and not math.isfinite(value):
        _add_wrong(problems, place, value, "a finite number")
    if origin is typing.Literal and value not in choices:
        _add_wrong(problems, place, value, "one of " + ", ".join(map(str, choices)))
    if hint in NAMES and not _is(hint, value):
        _add_wrong(problems, place, value, NAMES[hint])
    return value


def _add_wrong(problems: list[ConfigError], place: str, value: Any, wanted: str) -> None:
    problems.append(ConfigError(f"{place}: {value!r} is not {wanted}", expected=wanted))


def _is(kind: type, value: Any) -> bool:
    """Return whether a value is of a plain type; true and false are no numbers."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _one_of(choices: Any, value: Any, place: str, problems: list[ConfigError]) -> Any:
    """Return the value as the first type that fits; else add the problems of the nearest one."""
    if value is None and NoneType in choices:
        return None
    trials: list[list[ConfigError]] = []
    for choice in choices:
        if choice is not NoneType:
            trials.append([])
            result = _value(choice, value, place, trials[-1])
            if not trials[-1]:
                return result
    trials.sort(key=len)
    problems.extend(trials[0])
    return None


def _container(kind: type, parts: Any, value: Any, place: str, problems: list[ConfigError]) -> Any:
    if kind is not dict and isinstance(value, (list, tuple)):
        return kind(_value(parts[0], item, place, problems) for item in value)
    if kind is dict and isinstance(value, Mapping):
        return {
            _value(parts[0], key, place, problems): _value(
                parts[1], item, f"{place}.{key}", problems
            )
            for key, item in value.items()
        }
    _add_wrong(problems, place, value, "a mapping" if kind is dict else "a list")
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
