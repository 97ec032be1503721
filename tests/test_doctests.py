"""The examples of docstrings run, and every public name has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import workspace

import anymic

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FINDER = doctest.DocTestFinder(recurse=False)


def modules() -> Iterator[str]:
    for found in pkgutil.walk_packages(anymic.__path__, "anymic."):
        if not found.name.endswith("__main__"):
            yield found.name


def examples_of(name: str) -> list[doctest.DocTest]:
    """Return the examples of a public name: its own docstring, without those of its methods."""
    found = inspect.unwrap(getattr(anymic, name))
    return [
        one for one in FINDER.find(found, f"anymic.{name}", module=False, globs={}) if one.examples
    ]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workspace.make(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the page of the API describes."""
    shutil.copytree(prepared, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def run(tests: list[doctest.DocTest]) -> None:
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in tests:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            failed = runner.run(test).failed
        assert failed == 0, f"{test.name}: see what is printed above"


@pytest.mark.usefixtures("place", "one_thread")
@pytest.mark.parametrize("name", anymic.__all__)
def test_every_public_name_has_an_example_that_runs(name: str) -> None:
    found = examples_of(name)
    assert found, f"anymic.{name} has no example"
    for test in found:
        skipped = [one for one in test.examples if doctest.SKIP in one.options]
        assert len(skipped) < len(test.examples), f"no line of the example of {name} runs"
    run(found)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", [*modules()])
def test_the_examples_of_a_module_run(name: str, request: pytest.FixtureRequest) -> None:
    public = {getattr(anymic, one).__doc__ for one in anymic.__all__}  # which have run above
    found = doctest.DocTestFinder().find(importlib.import_module(name), name)
    if tests := [one for one in found if one.examples and one.docstring not in public]:
        request.getfixturevalue("place")
        run(tests)


def test_every_public_name_has_its_place_on_the_pages() -> None:
    pages = (Path(__file__).parents[1] / "docs" / "api").glob("*.md")
    text = "\n".join(page.read_text("utf-8") for page in pages)
    for name in anymic.__all__:
        assert f":: anymic.{name}\n" in text or f"## anymic.{name}\n" in text, name
