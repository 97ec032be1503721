"""The examples of docstrings run, and every public name has one."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import shutil
import textwrap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import workspace

import anymic
from anymic import errors

API = Path(__file__).parents[1] / "docs" / "api"
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


PUBLIC = [getattr(anymic, name) for name in anymic.__all__]
FUNCTIONS = [inspect.unwrap(one) for one in PUBLIC if inspect.isfunction(one)]
CLASSES = [one for one in PUBLIC if inspect.isclass(one)]


def methods_of(owner: type) -> dict[str, Callable[..., Any]]:
    """Return the public methods that a class defines."""
    found = {}
    for name, value in vars(owner).items():
        value = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if inspect.isfunction(value) and not name.startswith("_"):
            found[name] = inspect.unwrap(value)
    return found


def sections_of(found: Any) -> set[str]:
    """Return the sections of a docstring, as numpydoc writes them."""
    return set(re.findall(r"^([A-Z]\w+)\n-{3,}$", inspect.getdoc(found) or "", re.MULTILINE))


def wanted_of(function: Callable[..., Any]) -> set[str]:
    """Return the sections that the signature and the body of a function ask for."""
    signature = inspect.signature(function)
    wanted = {"Parameters"} if set(signature.parameters) - {"self", "cls"} else set()
    if signature.return_annotation not in (None, "None"):
        wanted.add("Returns")
    body = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(body):
        call = node.exc if isinstance(node, ast.Raise) else None
        if isinstance(call, ast.Call) and hasattr(errors, ast.unparse(call.func)):
            wanted.add("Raises")
    return wanted


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda one: one.__name__)
def test_a_public_function_says_what_it_takes_returns_and_raises(
    function: Callable[..., Any],
) -> None:
    assert wanted_of(function) <= sections_of(function)


@pytest.mark.parametrize(
    "owner",
    [anymic.Predictor, anymic.Manifest, anymic.DeviceIdentifier],
    ids=lambda one: one.__name__,
)
def test_a_method_with_arguments_says_what_it_takes_returns_and_raises(owner: type) -> None:
    """One without arguments says in its first line what it returns."""
    for name, method in methods_of(owner).items():
        wanted = wanted_of(method)
        if "Parameters" in wanted:
            assert wanted <= sections_of(method), name
        elif "Returns" in wanted:
            assert (inspect.getdoc(method) or "").startswith("Return "), name


@pytest.mark.parametrize("owner", CLASSES, ids=lambda one: one.__name__)
def test_a_constructor_that_refuses_says_so(owner: type) -> None:
    method = vars(owner).get("__post_init__" if is_dataclass(owner) else "__init__")
    if method and "Raises" in wanted_of(method):
        assert "Raises" in sections_of(owner)


@pytest.mark.parametrize("owner", CLASSES, ids=lambda one: one.__name__)
def test_no_example_of_a_method_is_only_skipped(owner: type) -> None:
    for name, method in methods_of(owner).items():
        lines = doctest.DocTestParser().get_examples(method.__doc__ or "")
        assert not lines or any(doctest.SKIP not in one.options for one in lines), name


def test_what_functions_return_has_its_place_on_the_pages() -> None:
    text = "\n".join(page.read_text("utf-8") for page in API.glob("*.md"))
    named = re.compile(r"^(anymic\.[\w.]+)$", re.MULTILINE)
    methods = [method for owner in CLASSES for method in methods_of(owner).values()]
    found = {
        name for one in [*FUNCTIONS, *methods] for name in named.findall(inspect.getdoc(one) or "")
    }
    assert len(found) >= 6
    assert [name for name in found if f":: {name}\n" not in text] == []


def test_every_public_name_has_its_place_on_the_pages() -> None:
    text = "\n".join(page.read_text("utf-8") for page in API.glob("*.md"))
    for name in anymic.__all__:
        assert f":: anymic.{name}\n" in text or f"## anymic.{name}\n" in text, name
