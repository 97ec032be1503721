"""Frozen settings from plain mappings: unknown keys fail, all of them in one line."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar

import yaml

from anymic.errors import ConfigError

Settings = TypeVar("Settings")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C it is ten times as fast


def from_mapping(kind: type[Settings], values: Mapping[str, Any], *, where: str = "") -> Settings:
    """Build the frozen dataclass `kind` from nested mappings, as read from YAML or JSON.

    Parameters
    ----------
    kind : type
        A dataclass; its fields may be dataclasses (optional ones too), numbers, strings, tuples,
        mappings.
    values : mapping
        The settings; what is left out keeps its default.
    where : str
        The path of `values` inside the whole file, for the message.

    Raises
    ------
    ConfigError
        If keys are unknown or required ones are missing, or values have the wrong type:
        every problem is reported in the one line.
    """
    problems: list[ConfigError] = []
    result = _build(kind, values, where, problems)
    if len(problems) == 1 and problems[0].expected:
        raise problems[0]
    if problems:
        raise ConfigError(
            "; ".join(
                f"{one.problem} (expected {one.expected})" if one.expected else one.problem
                for one in problems
            ),
            expected="the settings of " + kind.__name__,
            fix="correct these settings",
        )
    return typing.cast(Settings, result)


def to_mapping(settings: Any) -> dict[str, Any]:
    """Return the nested plain mapping that `from_mapping` reads back to an equal value."""
    plain = dataclasses.asdict(settings)
    return typing.cast("dict[str, Any]", _plain(plain))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises
    ------
    ConfigError
        If the file is missing, is not YAML, or its top level is not a mapping.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"no file {path}", expected="a YAML file", fix="check the path")
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = _yaml_problem(error)
        raise ConfigError(
            f"{path} is not YAML ({reason})", expected="a YAML file", fix="correct the file"
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path} has {'nothing' if values is None else type(values).__name__} at its top level",
            expected="a mapping of settings",
            fix="write `key: value` lines",
        )
    return values


def _yaml_problem(error: Exception) -> str:
    """Say in a few words what is wrong, and in which line where the parser knows."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error).splitlines()[-1].strip()
    return f"line {mark.line + 1}: {getattr(error, 'problem', None) or 'unexpected'}"


def preset_file(path: str | Path, *, example: str) -> Path:
    """Return `path`, or where it is the plain name of a preset that preset's file.

    Parameters
    ----------
    path : str or Path
        A YAML file, or a name such as `microphones`.
    example : str
        A preset of this kind, for the message.

    Raises
    ------
    ConfigError
        If there is neither such a file nor such a preset.
    """
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


def _build(kind: Any, values: Any, where: str, problems: list[ConfigError]) -> Any:
    if not isinstance(values, Mapping):
        found = f"{where or 'settings'}: {type(values).__name__} instead of a mapping"
        problems.append(ConfigError(found))
        return None
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    arguments: dict[str, Any] = {}
    before = len(problems)
    for key, value in values.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in fields:
            near = difflib.get_close_matches(str(key), list(fields), n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            problems.append(ConfigError(f"unknown key {place!r}{hint}"))
            continue
        arguments[key] = _value(hints[key], value, place, problems)
    for name, field in fields.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in values:
            missing = f"{where}.{name}" if where else name
            problems.append(ConfigError(f"missing key {missing!r}"))
    if len(problems) > before:
        return None
    try:
        return kind(**arguments)
    except ConfigError as error:
        place = f"{where}: " if where else ""
        problems.append(ConfigError(place + error.problem, expected=error.expected, fix=error.fix))
        return None


def _value(hint: Any, value: Any, place: str, problems: list[ConfigError]) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, place, problems)
    origin = typing.get_origin(hint)
    choices = typing.get_args(hint)
    if origin in (typing.Union, UnionType):
        if value is None and NoneType in choices:
            return None
        inner = [choice for choice in choices if choice is not NoneType]
        trials: list[list[ConfigError]] = []
        for choice in inner:
            attempt: list[ConfigError] = []
            result = _value(choice, value, place, attempt)
            if not attempt:
                return result
            trials.append(attempt)
        trials.sort(key=len)
        problems.extend(trials[0])
        return None
    if origin is typing.Literal:
        if value not in choices:
            listed = ", ".join(map(str, choices))
            problems.append(ConfigError(f"{place}: {value!r} is not one of {listed}"))
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            problems.append(ConfigError(f"{place}: {value!r} is not a list"))
            return None
        return tuple(_value(choices[0], item, place, problems) for item in value)
    if origin is dict:
        if not isinstance(value, Mapping):
            problems.append(ConfigError(f"{place}: {value!r} is not a mapping"))
            return None
        key_kind, kind = choices
        return {
            _value(key_kind, key, place, problems): _value(kind, item, f"{place}.{key}", problems)
            for key, item in value.items()
        }
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (int, float, str, bool) and (
        not isinstance(value, hint) or (hint is not bool and isinstance(value, bool))
    ):
        problems.append(ConfigError(f"{place}: {value!r} is not {_named(hint)}"))
    return value


def _named(hint: type) -> str:
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}[hint]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
