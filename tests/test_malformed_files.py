"""Files other than audio that hold anything: each is refused in one line, and nothing else happens.

Through the command line where a verb reads the file: exit status 2, one line, no traceback.
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.refusals import one_line

from anymic._internal.reading import MOST_LEVELS, parse_json, parse_yaml
from anymic._internal.settings import read_yaml
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import AnymicError, BundleError, ConfigError, ManifestError
from anymic.evaluation.report.rows import read_json
from anymic.inference.embedding_head import load_head
from anymic.training import load_config

GOLDEN = Path(__file__).parent / "golden"

DEEP = 100_000
JSON_VALUES = {
    "deep lists": ("[" * DEEP + "]" * DEEP, "levels"),
    "deep objects": ('{"a":' * DEEP + "1" + "}" * DEEP, "levels"),
    "a little too deep": ("[" * 200 + "]" * 200, "levels"),
    "5000 digits": ("9" * 5000, "5000 digits"),
    "400 digits": ("-" + "9" * 400, "401 digits"),
    "65 bits": ("18446744073709551616", "20 digits"),
    "64 bits and no sign": ("9223372036854775808", "19 digits"),
    "not a number": ("NaN", "not finite"),
    "infinity": ("-Infinity", "not finite"),
    "overflow": ("1e999", "not finite"),
    "half a pair": ('"\\ud800"', "cannot be written"),
    "zero byte": ('"a\\u0000b"', "cannot be written"),
    "a key twice": ('{"a": 1, "b": 2, "a": 3}', "the key 'a' twice"),
    "no JSON": ("{a: 1}", "property name"),
}
YAML_VALUES = {
    **{name: JSON_VALUES[name] for name in ("deep lists", "deep objects", "a little too deep")},
    "deep blocks": ("\n" + "".join(f"{' ' * n}- \n" for n in range(1, 300)), "levels"),
    "dashes": ("- " * DEEP, "sequence entries are not allowed|levels"),
    "5000 digits": ("9" * 5000, "digits"),
    "hexadecimal": ("0x" + "f" * 400, "digits"),
    "a month too many": ("2020-13-45", "month"),
    "no leap year": ("2021-02-29", "day"),
    "a date": ("2021-02-28", "put it in quotes"),
    "a time": ("2001-12-14t21:59:43.10-05:00", "put it in quotes"),
    "infinity": (".inf", "not finite"),
    "not a number": (".nan", "not finite"),
    "python": ("!!python/object/apply:os.system ['exit 1']", "could not determine a constructor"),
    "python's type": ("!!python/name:os.system", "could not determine a constructor"),
    "another tag": ("!thing {a: 1}", "could not determine a constructor"),
    "a set": ("!!set {a, b}", "a set"),
    "bytes": ("!!binary AAAA", "a bytes"),
    "a missing alias": ("*nothing", "undefined alias"),
    "itself": ("&a [*a]", "an alias within"),
    "itself in a mapping": ("&a {b: {c: *a}}", "an alias within"),
    "a key twice": ("{a: 1, b: 2, a: 3}", "the key 'a' twice"),
    "a list as a key": ("{[a, b]: 1}", "unhashable"),
}


def bomb(inner: str, outer: str, *, rounds: int = 12) -> str:
    """Return YAML of a few hundred bytes whose aliases stand for 9 to the power of `rounds`."""
    lines = [f"v0: &v0 {inner}"]
    for number in range(1, rounds):
        parts = ", ".join([f"*v{number - 1}"] * 9)
        lines.append(f"v{number}: &v{number} " + outer.format(parts))
    return "\n".join(lines)


BOMBS = {
    "lists": bomb("[x]", "[{}]"),
    "merges": bomb("{a: 1}", "{{<<: [{}]}}"),
    "values": bomb("{a: 1}", "{{b: [{}]}}"),
}


@pytest.mark.parametrize("name", JSON_VALUES)
def test_json_that_cannot_be(name: str, tmp_path: Path) -> None:
    text, says = JSON_VALUES[name]
    with pytest.raises((ValueError, RecursionError)):
        parse_json(f'{{"a": {text}}}')
    path = tmp_path / "report.json"
    path.write_text(f'{{"format": "anymic-report", "version": 1, "a": {text}}}')
    with pytest.raises(AnymicError, match=says) as error:
        read_json(path)
    one_line(str(error.value))


@pytest.mark.parametrize("name", YAML_VALUES)
def test_yaml_that_cannot_be(name: str, tmp_path: Path) -> None:
    text, says = YAML_VALUES[name]
    path = tmp_path / "settings.yaml"
    path.write_text(f"a: {text}\n")
    with pytest.raises(ConfigError, match=says) as error:
        read_yaml(path)
    one_line(str(error.value))


@pytest.mark.parametrize("text", BOMBS.values(), ids=list(BOMBS))
def test_aliases_that_multiply_are_refused_before_they_do(text: str) -> None:
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than 100000 values"):
        parse_yaml(text)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
def test_whole_numbers_of_64_bits_are_read(value: int) -> None:
    """A seed may have all of them."""
    beyond = value + (1 if value > 0 else -1)
    for parse in (parse_json, parse_yaml):
        assert parse(f'{{"seed": {value}}}') == {"seed": value}
        with pytest.raises(ValueError, match="a whole number"):
            parse(f'{{"seed": {beyond}}}')


def test_what_settings_and_records_hold_is_read() -> None:
    """Aliases, merges, levels up to the limit and the largest whole numbers."""
    text = "a: &a {x: 1}\nb: {<<: *a, y: [*a, *a]}\nc: 1.5\nd: ~\ne: '2021-02-28'"
    assert parse_yaml(text) == {
        "a": {"x": 1},
        "b": {"x": 1, "y": [{"x": 1}, {"x": 1}]},
        "c": 1.5,
        "d": None,
        "e": "2021-02-28",
    }
    deep = "[" * (MOST_LEVELS - 2) + "]" * (MOST_LEVELS - 2)
    assert parse_json(f'{{"a": {deep}, "b": 999999999999999999}}')["b"] == 10**18 - 1
    assert parse_yaml(f"a: {deep}") == parse_json(f'{{"a": {deep}}}')


def test_a_text_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    for name, read in (("a.yaml", read_yaml), ("profile.json", DeviceProfile.read)):
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(8 << 30)  # takes no space on the disk
        with pytest.raises(AnymicError, match="it has 8589934592 bytes, and at most"):
            read(path)


@pytest.mark.parametrize("text", ["2020-13-45", "9" * 5000, "[" * 2000, ".nan", "!!python/none"])
def test_settings_of_a_training(text: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    """In a file and in --set alike."""
    (tmp_path / "s.yaml").write_text(f"epochs: {text}\n")
    command = ["train", "--data", tmp_path, "--out", tmp_path / "run"]
    assert "s.yaml cannot be read" in refused(*command, "--config", tmp_path / "s.yaml")
    assert "--set epochs is" in refused(*command, "--set", f"epochs={text}")


@pytest.mark.parametrize("value", [10**15, "9" * 300, [1], {}, None, True, -0.0, 1e308, "x" * 9999])
@pytest.mark.parametrize("key", ["epochs", "clip_s", "frontend.bands", "seed", "codecs"])
def test_values_of_any_kind_for_any_setting(key: str, value: Any) -> None:
    """Each is accepted, or refused by a ConfigError in one line."""
    try:
        load_config("small", changes={key: value})
    except ConfigError as error:
        one_line(str(error))


# Models: every value of their indexes is replaced by every odd one.

ODD: list[Any] = [
    None,
    True,
    -1,
    -0.0,
    0.5,
    10**17,
    1e308,
    "",
    "x" * 5000,
    "\x1b[1m",
    [],
    {},
    [[]],
    [{}],
    {"a": {}},
]


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of each value within lists (their first only) and mappings."""
    found = [place] if place else []
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*place, key))
    elif isinstance(value, list) and value:
        found += places(value[0], (*place, 0))
    return found


def with_value(values: Any, place: tuple[Any, ...], value: Any) -> str:
    """Return JSON with another value at a place."""
    changed = json.loads(json.dumps(values))
    at = changed
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    return json.dumps(changed)


@pytest.mark.parametrize(
    ("folder", "index", "load"),
    [
        ("basic1", "bundle.json", Bundle.load),
        ("fcnn", "bundle.json", Bundle.load),
        ("head", "head.json", load_head),
    ],
)
def test_an_index_with_values_of_any_kind(
    folder: str, index: str, load: Callable[[Path], object], tmp_path: Path
) -> None:
    """Each is read, or refused by a BundleError in one line; the wrong types always are."""
    for path in (GOLDEN / folder).iterdir():
        (tmp_path / path.name).symlink_to(path)
    values = json.loads((GOLDEN / folder / index).read_text())
    (tmp_path / index).unlink()
    generator = np.random.default_rng(1)
    for place in places(values):
        chosen = generator.choice(len(ODD), 3, replace=False)
        for odd in (ODD[number] for number in chosen):
            (tmp_path / index).write_text(with_value(values, place, odd))
            try:
                load(tmp_path)
            except BundleError as error:
                one_line(str(error))


@pytest.mark.parametrize("odd", [-0.0, 0, None, [], {}, "", "0" * 64, True])
def test_a_hash_of_any_kind(odd: Any, tmp_path: Path, refused: Callable[..., str]) -> None:
    for path in (GOLDEN / "basic1").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    values = json.loads((tmp_path / "bundle.json").read_text())
    values["sha256"]["weights.safetensors"] = odd
    (tmp_path / "bundle.json").write_text(json.dumps(values))
    refused("predict", GOLDEN / "clip.flac", "--model", tmp_path)
    (tmp_path / "bundle.json").write_text(json.dumps({**values, "sha256": odd}))
    refused("predict", GOLDEN / "clip.flac", "--model", tmp_path)


def test_a_manifest_cell_of_any_length_is_not_repeated(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    path = tmp_path / "m.csv"
    for cell in ("9" * 5000, "x" * 100_000, "\x1b]0;title\x07", "\u202e"):
        path.write_text(f"path,label,start_s\na.wav,dog,{cell}\n", encoding="utf-8")
        refused("data", "show", path)
        with pytest.raises(ManifestError):
            Manifest.read(path)
