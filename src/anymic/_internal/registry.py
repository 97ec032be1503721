"""Registries of things that have a name: networks, metrics, codecs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from typing import Any, Generic, TypeVar

from anymic.errors import AnymicError, ConfigError, DependencyError, did_you_mean

EXTENSIONS = "anymic.extensions"
"""Entry points of this group name the modules of other packages that register something."""

Spec = TypeVar("Spec")


class Registry(Generic[Spec]):
    """Specifications by name.

    Built-in things are registered by the modules of one package. These modules, and those of other
    packages (entry points of the group `anymic.extensions`), are imported at the first look-up. A
    new thing is therefore one new file. `kind` is the word for messages, such as "network", and
    `error` is raised for a name that is unknown or taken.
    """

    def __init__(self, kind: str, *, package: str, error: type[AnymicError] = ConfigError) -> None:
        self.kind, self.package, self.error = kind, package, error
        self._specs: dict[str, Spec] = {}
        self._made_by: dict[str, Any] = {}
        self._modules: dict[str, str] = {}
        self._complete = False
        self._lock = threading.RLock()

    def add(self, name: str, spec: Spec, *, made_by: Any = None, module: str = "") -> None:
        """Register `spec` under `name`; an error if the name is empty, or taken by something else.

        `made_by` is the class or function behind it, by default the spec itself. It may be
        registered again, also after a new definition: the cell of a notebook, run twice. `module`
        registers it, by default the one that defines `made_by`.
        """
        made_by = spec if made_by is None else made_by
        if not name or not isinstance(name, str):
            raise self.error(f"the name {name!r} of a {self.kind}", expected="a text")
        with self._lock:
            if name in self._specs and not _is_same(self._made_by[name], made_by):
                raise self.error(
                    f"a second {self.kind} named {name!r}",
                    expected="a name that is not taken",
                    fix="choose another name",
                )
            self._specs[name], self._made_by[name] = spec, made_by
            self._modules[name] = module or str(getattr(made_by, "__module__", ""))

    def get(self, name: str) -> Spec:
        """Return what is registered under `name`; the error for an unknown one lists the names."""
        self._load()
        if name not in self._specs:
            raise self.error(
                f"unknown {self.kind} {name!r}{did_you_mean(name, self._specs)}",
                expected=f"one of {', '.join(self.names())}",
                fix=f"check the name, or import the module that registers this {self.kind} first",
            )
        return self._specs[name]

    def names(self) -> list[str]:
        """Return every name: the built-in ones by module, then the others as registered.

        The order does not depend on which module was imported first.
        """
        self._load()
        builtin = {module: number for number, module in enumerate(self._builtin())}
        return sorted(self._specs, key=lambda name: self._place(name, builtin))

    def specs(self) -> list[Spec]:
        """Return every specification, in the order of `names`."""
        self._load()
        return [self._specs[name] for name in self.names()]

    def name_of(self, made_by: Any) -> str | None:
        """Return the name of a class or function that is registered, else None."""
        self._load()
        return next((name for name, one in self._made_by.items() if one is made_by), None)

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._specs

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _place(self, name: str, builtin: Mapping[str, int]) -> int:
        """Return the number of the module of a name; -1 for other modules of this library."""
        module = self._modules[name]
        if module in builtin:
            return builtin[module]
        return -1 if module.split(".")[0] == self.package.split(".")[0] else len(builtin)

    def _builtin(self) -> list[str]:
        found = iter_modules(import_module(self.package).__path__)
        return [f"{self.package}.{module.name}" for module in found]

    def _load(self) -> None:
        """Import the modules that register things of this kind, once."""
        with self._lock:
            if self._complete:
                return
            self._complete = True
            try:
                for module in self._builtin():
                    import_module(module)
                for point in entry_points(group=EXTENSIONS):
                    self._extend(point)
            except BaseException:
                self._complete = False
                raise

    def _extend(self, point: EntryPoint) -> None:
        try:
            point.load()
        except AnymicError:
            raise
        except Exception as error:  # another package may raise anything
            package = point.dist.name if point.dist else point.value
            raise DependencyError(
                f"the module {point.value} of the package {package} cannot be loaded"
                f" ({type(error).__name__}: {error})",
                expected=f"a module that registers a {self.kind} or another part",
                fix=f"repair or uninstall {package}",
            ) from error


def _is_same(first: Any, second: Any) -> bool:
    if first is second or first == second:
        return True
    places = [
        (getattr(one, "__module__", ""), str(getattr(one, "__qualname__", "")))
        for one in (first, second)
    ]
    return places[0] == places[1] and places[0][1] != "" and "<lambda>" not in places[0][1]
