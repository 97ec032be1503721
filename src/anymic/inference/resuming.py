"""Work through many recordings with a journal, so that an interrupted run can go on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from anymic._internal.files import file_digest, file_state
from anymic._internal.journal import Journal, Place
from anymic.bundle.format import FOLDER
from anymic.bundle.installed import resolve
from anymic.data.tables import some
from anymic.errors import AnymicWarning, ConfigError, Failure, counted, part_of
from anymic.inference.requests import ClipRequest

GROUP_FILES, GROUP_BYTES = 32, 8 << 20  # of recordings whose windows share batches


Result = TypeVar("Result")


@dataclass
class Resumed(Generic[Result]):
    """Results of recordings, from a journal and from computing.

    Recordings are computed in groups of at most 32, or 8 MiB, whose windows share batches, and a
    group is one record of the journal. The groups of a run that goes on are therefore those of a
    run that was never interrupted, and so are its results, to the last bit.

    Parameters
    ----------
    journal : Journal
    keys : list of str
        The recordings, in order: their paths, or other names that differ.
    make : callable
        Returns a new request for a key.
    compute : callable
        Yields a result or a Failure for each request of an iterator.
    as_mapping, from_mapping : callable
        Turn a result into plain values for JSON, and back.
    prepare : callable
        Changes the requests before they are computed.

    Attributes
    ----------
    failures : dict
        From the key of a recording to its failure.
    kept : int
        Recordings whose results come from the journal.
    """

    journal: Journal
    keys: Sequence[str]
    make: Callable[[str], ClipRequest]
    compute: Callable[[Iterable[ClipRequest]], Iterator[Result | Failure]]
    as_mapping: Callable[[Result], dict[str, Any]]
    from_mapping: Callable[[dict[str, Any]], Result]
    prepare: Callable[[Iterator[ClipRequest]], Iterator[ClipRequest]] = iter
    failures: dict[str, Failure] = field(default_factory=dict)
    kept: int = 0
    _places: dict[str, tuple[Place, int]] = field(default_factory=dict)

    def run(self) -> Iterator[str]:
        """Compute what is missing; yield the key of each recording when it is done."""
        states = {key: file_state(Path(self.make(key).path)) for key in self.keys}
        first = self._from_journal(states)
        todo = [key for key in self.keys if key not in self._places]
        yield from (key for key in self.keys if key in self._places)
        groups = list(_groups(todo, states, first))
        begins = {group[0] for group in groups}
        results = self.compute(self.prepare(self.requests(todo, begins)) if todo else iter(()))
        for group in groups:
            found = {key: next(results) for key in group}
            values = [_value(key, one, states[key], self.as_mapping) for key, one in found.items()]
            place = self.journal.add({"recordings": values})
            for number, (key, one) in enumerate(found.items()):
                if isinstance(one, Failure):
                    self.failures[key] = one
                else:
                    self._places[key] = (place, number)
            yield from group
        for _ in results:  # it ends, and its threads with it
            pass

    def requests(
        self, keys: Iterable[str], begins: Set[str] = frozenset()
    ) -> Iterator[ClipRequest]:
        """Yield a new request for each recording."""
        for key in keys:
            request = self.make(key)
            request.apart = key in begins
            yield request

    def results(self) -> Iterator[tuple[str, Result]]:
        """Yield keys and results in the order of the keys, each read from the journal."""
        last: tuple[Place, list[dict[str, Any]]] | None = None
        for key in self.keys:
            if key not in self._places:
                continue
            place, number = self._places[key]
            if last is None or last[0] != place:
                last = (place, self.journal.read(place)["recordings"])
            yield key, self.from_mapping(last[1][number]["result"])

    def _from_journal(self, states: dict[str, tuple[int, ...]]) -> set[str]:
        """Find results of unchanged files; return the keys that began a group."""
        changed: dict[str, None] = {}
        begins: set[str] = set()
        others = 0
        for place, record in self.journal.records():
            for number, value in enumerate(record["recordings"]):
                key = value["key"]
                if number == 0:
                    begins.add(key)
                others += key not in states
                if key not in states or "result" not in value:
                    continue
                if tuple(value["state"]) == states[key]:
                    self._places[key] = (place, number)
                    changed.pop(key, None)
                elif key not in self._places:
                    changed[key] = None
        self.kept = len(self._places)
        if others and not (self.kept or changed or self.journal.was_complete):
            raise ConfigError(
                f"the journal {self.journal.folder} is of other recordings",
                expected="some recordings of the run that was interrupted, by the same paths",
                fix="repeat the run as it began, choose another output, or delete the journal",
            )
        if self.kept:
            which = part_of(self.kept, len(states), "recording", verb=("is", "are"))
            text = f"{which} done already: {self.journal.folder} is of an earlier run"
            warnings.warn(text, AnymicWarning, stacklevel=3)
        if changed:
            what = counted(len(changed), "recording")
            text = f"{what} changed since then, and done again: {some(changed)}"
            warnings.warn(text, AnymicWarning, stacklevel=3)
        return begins


def _value(
    key: str,
    one: Result | Failure,
    state: tuple[int, ...],
    as_mapping: Callable[[Result], dict[str, Any]],
) -> dict[str, Any]:
    value: dict[str, Any] = {"key": key, "state": list(state)}
    if isinstance(one, Failure):
        return {**value, "failed": one.reason}
    return {**value, "result": as_mapping(one)}


def _groups(
    paths: Sequence[str], states: dict[str, tuple[int, ...]], begins: set[str]
) -> Iterator[list[str]]:
    """Divide recordings into groups whose windows share batches; a known beginning stays one."""
    group: list[str] = []
    size = 0
    for path in paths:
        own = states[path][0] if states[path] else 0
        full = len(group) == GROUP_FILES or size + own > GROUP_BYTES
        if group and (full or path in begins):
            yield group
            group, size = [], 0
        group.append(path)
        size += own
    if group:
        yield group


def model_key(place: str | Path) -> str:
    """Return the hash of a model on disk; its index holds the hashes of its other files."""
    folder = resolve(place)
    file = folder / FOLDER.index if folder.is_dir() else folder
    return file_digest(file)[:32]


def states_key(paths: Iterable[str]) -> list[list[Any]]:
    """Return the states of recordings that decide each other's results."""
    return [[os.path.abspath(path), *file_state(Path(path))] for path in paths]
