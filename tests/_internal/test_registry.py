"""Names are found once, refused with a hint, and never silently replaced."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from anymic._internal.registry import EXTENSIONS, Registry
from anymic.errors import ConfigError


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[str]]:
    """A registry whose built-in things stand in two modules of a package made for the test."""
    package = tmp_path / "colours_of_test"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from anymic._internal.registry import Registry\n"
        "COLOURS = Registry('colour', package='colours_of_test')\n"
    )
    for name in ("red", "green"):
        (package / f"{name}.py").write_text(
            f"from colours_of_test import COLOURS\nCOLOURS.add({name!r}, {name.upper()!r})\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    from colours_of_test import COLOURS  # type: ignore[import-not-found]

    yield COLOURS
    for module in [name for name in sys.modules if name.startswith("colours_of_test")]:
        del sys.modules[module]


def test_modules_are_imported_at_the_first_look_up(colours: Registry[str]) -> None:
    assert "colours_of_test.red" not in sys.modules
    colours.add("blue", "BLUE")
    assert "colours_of_test.red" not in sys.modules
    assert colours.get("red") == "RED"
    assert sorted(colours) == ["blue", "green", "red"]
    assert "green" in colours
    assert "pink" not in colours
    assert len(colours) == 3


def test_an_unknown_name_gets_a_hint(colours: Registry[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        colours.get("gren")
    line = str(caught.value)
    assert "Unknown colour 'gren' (did you mean 'green'?)" in line
    assert "green, red" in line
    assert "\n" not in line


def test_a_name_is_given_once(colours: Registry[str]) -> None:
    colours.get("red")
    colours.add("red", "RED")  # the same
    with pytest.raises(ConfigError, match="second colour named 'red'"):
        colours.add("red", "CRIMSON")
    assert colours.get("red") == "RED"
    with pytest.raises(ConfigError, match="name ''"):
        colours.add("", "NONE")


def test_a_definition_may_be_run_again(colours: Registry[str]) -> None:
    def define(value: str) -> object:
        def colour() -> str:
            return value

        return colour

    first, again = define("a"), define("b")
    colours.add("mine", "a", made_by=first)
    colours.add("mine", "b", made_by=again)  # a notebook's cell, run twice
    assert colours.get("mine") == "b"
    assert colours.name_of(again) == "mine"
    assert colours.name_of(first) is None


def test_other_packages_register_through_an_entry_point(
    colours: Registry[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more_of_test.py").write_text(
        "from colours_of_test import COLOURS\nCOLOURS.add('violet', 'VIOLET')\n"
    )
    _install(tmp_path, EXTENSIONS, "colours = more_of_test")
    assert colours.get("violet") == "VIOLET"
    monkeypatch.delitem(sys.modules, "more_of_test")


def _install(folder: Path, group: str, line: str) -> None:
    """Write what pip writes for an installed distribution, into a folder on the path."""
    info = folder / "more_of_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more-of-test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{line}\n")
    assert line.split(" ")[0] in {point.name for point in metadata.entry_points(group=group)}


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, anymic; "
        "print([n for n in ('torch', 'pandas', 'scipy', 'av', 'librosa') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
