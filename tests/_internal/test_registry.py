"""Names are found once, refused with a hint, and never silently replaced."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from anymic._internal.registry import EXTENSIONS, Registry
from anymic.errors import ConfigError, DependencyError


@pytest.fixture
def colors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[str]]:
    """A registry whose built-in things stand in two modules of a package made for the test."""
    package = tmp_path / "colors_of_test"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from anymic._internal.registry import Registry\n"
        "COLORS = Registry('color', package='colors_of_test')\n"
    )
    for name in ("red", "green"):
        (package / f"{name}.py").write_text(
            f"from colors_of_test import COLORS\n"
            f"COLORS.add({name!r}, {name.upper()!r}, module=__name__)\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    from colors_of_test import COLORS  # type: ignore[import-not-found]

    yield COLORS
    for module in [name for name in sys.modules if name.startswith("colors_of_test")]:
        del sys.modules[module]


def test_modules_are_imported_at_the_first_look_up(colors: Registry[str]) -> None:
    assert "colors_of_test.red" not in sys.modules
    colors.add("blue", "BLUE")
    assert "colors_of_test.red" not in sys.modules
    assert colors.get("red") == "RED"
    assert sorted(colors) == ["blue", "green", "red"]
    assert "green" in colors
    assert "pink" not in colors
    assert colors.names() == list(colors)


def test_an_unknown_name_gets_a_hint(colors: Registry[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        colors.get("gren")
    line = str(caught.value)
    assert "Unknown color 'gren' (did you mean 'green'?)" in line
    assert "green, red" in line
    assert "\n" not in line


def test_a_name_is_given_once(colors: Registry[str]) -> None:
    colors.get("red")
    colors.add("red", "RED")  # the same
    with pytest.raises(ConfigError, match="second color named 'red'"):
        colors.add("red", "CRIMSON")
    assert colors.get("red") == "RED"
    with pytest.raises(ConfigError, match="name ''"):
        colors.add("", "NONE")


def test_a_definition_may_be_repeated(colors: Registry[str]) -> None:
    def define(value: str) -> object:
        def color() -> str:
            return value

        return color

    first, again = define("a"), define("b")
    colors.add("mine", "a", made_by=first)
    colors.add("mine", "b", made_by=again)  # a notebook's cell, run twice
    assert colors.get("mine") == "b"
    assert colors.name_of(again) == "mine"
    assert colors.name_of(first) is None


def test_other_packages_register_through_an_entry_point(
    colors: Registry[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more_of_test.py").write_text(
        "from colors_of_test import COLORS\nCOLORS.add('violet', 'VIOLET')\n"
    )
    _install(tmp_path, EXTENSIONS, "colors = more_of_test")
    assert colors.get("violet") == "VIOLET"
    monkeypatch.delitem(sys.modules, "more_of_test")


def test_a_broken_package_is_named_in_one_line(colors: Registry[str], tmp_path: Path) -> None:
    (tmp_path / "broken_of_test.py").write_text("import nothing_of_this_name\n")
    _install(tmp_path, EXTENSIONS, "colors = broken_of_test")
    with pytest.raises(DependencyError, match="uninstall more-of-test") as caught:
        colors.get("red")
    assert "\n" not in str(caught.value)
    assert "nothing_of_this_name" in str(caught.value)


@pytest.mark.parametrize("first", ["green", "red"])
def test_the_order_of_names_does_not_depend_on_the_order_of_imports(
    colors: Registry[str], first: str
) -> None:
    """The built-in ones are sorted by module; those of others follow as they were registered."""
    colors.add("blue", "BLUE")
    colors.add("amber", "AMBER", module="somebody.elses")
    importlib.import_module(f"colors_of_test.{first}")
    assert colors.names() == ["green", "red", "blue", "amber"]
    assert colors.specs() == ["GREEN", "RED", "BLUE", "AMBER"]


def test_codecs_are_listed_by_backend_whichever_is_imported_first() -> None:
    code = (
        "from anymic.codecs.backends import {first}; from anymic.codecs import CODECS; "
        "print(*CODECS.names())"
    )
    orders = {
        subprocess.run(
            [sys.executable, "-c", code.format(first=first)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for first in ("lame", "vorbis")
    }
    (order,) = orders
    assert order.split()[:4] == ["wav", "amr-wb", "he-aac", "gsm"]


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
