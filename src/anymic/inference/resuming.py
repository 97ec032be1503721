"""Work through many recordings with a journal, so that an interrupted run can go on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Generic, TypeVar

from anymic._internal.files import file_digest, file_state
from anymic._internal.journal import Journal, Place
from anymic._internal.remote import RemotePath
from anymic._internal.threads import in_order
from anymic.bundle.format import FOLDER
from anymic.bundle.installed import resolve
from anymic.data.tables import some
from anymic.errors import AnymicWarning, ConfigError, Failure, counted, part_of
from anymic.inference.requests import ClipRequest

GROUP_FILES, GROUP_BYTES = 32, 8 << 20  # of recordings whose windows share batches
ASKED_AT_ONCE = 16  # files at URLs whose state is wanted


Result = TypeVar("Result")
Found = Iterator[tuple[int, list[Result | Failure]]]  # the number of a group, and its results


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
    spread : callable, optional
        Computes groups elsewhere, in place of `compute`: yields the number of each group of an
        iterator, and the results of its requests, in any order.

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
    spread: Callable[[Iterator[list[ClipRequest]]], Found[Result]] | None = None
    failures: dict[str, Failure] = field(default_factory=dict)
    kept: int = 0
    _places: dict[str, tuple[Place, int]] = field(default_factory=dict)

    def run(self) -> Iterator[str]:
        """Compute what is missing; yield the key of each recording when it is done."""
        states = _states((key, self.make(key).file) for key in self.keys)
        first = self._from_journal(states)
        yield from (key for key in self.keys if key in self._places)
        todo = [key for key in self.keys if key not in self._places]
        groups = list(groups_of(todo, states, begins=first))
        for number, results in self._found(groups):
            found = dict(zip(groups[number], results, strict=True))
            values = [_value(key, one, states[key], self.as_mapping) for key, one in found.items()]
            place = self.journal.add({"recordings": values})
            for row, (key, one) in enumerate(found.items()):
                if isinstance(one, Failure):
                    self.failures[key] = one
                else:
                    self._places[key] = (place, row)
            yield from groups[number]

    def _found(self, groups: list[list[str]]) -> Found[Result]:
        """Yield the number of each group, and the results of its recordings."""
        if not groups:
            return
        todo = [key for group in groups for key in group]
        requests = self.prepare(self.requests(todo, {group[0] for group in groups}))
        if self.spread is not None:
            yield from self.spread(list(islice(requests, len(group))) for group in groups)
            return
        results = self.compute(requests)
        for number, group in enumerate(groups):
            yield number, list(islice(results, len(group)))
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

    @property
    def empty(self) -> bool:
        """Whether no recording has a result."""
        return not self._places

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
        """Find results of unchanged files; return the keys that begin a group.

        They are those of the earlier run, and those at the borders of what it did: what is left is
        in the groups of a run that was never interrupted.
        """
        tried: set[str] = set()
        changed: dict[str, None] = {}
        begins: set[str] = set()
        others = 0
        for place, record in self.journal.records():
            begins.add(record["recordings"][0]["key"])
            for number, value in enumerate(record["recordings"]):
                key = value["key"]
                same = key in states and tuple(value["state"]) == states[key]
                others += key not in states
                if same:
                    tried.add(key)
                if same and "result" in value:
                    self._places[key] = (place, number)
                    changed.pop(key, None)
                elif key in states and "result" in value and key not in self._places:
                    changed[key] = None
        self.kept = len(self._places)
        if others and not (self.kept or changed or self.journal.was_complete):
            raise ConfigError(
                f"the journal {self.journal.folder} is of other recordings",
                expected="some recordings of the run that was interrupted, by the same paths",
                fix="repeat the run as it began, choose another output, or delete the journal",
            )
        self._note(changed, len(states))
        borders = (b for a, b in pairwise(self.keys) if (a in tried) != (b in tried))
        return begins.union(borders)

    def _note(self, changed: Collection[str], count: int) -> None:
        """Say what an earlier run did, and what has changed since."""
        if self.kept:
            which = part_of(self.kept, count, "recording", verb=("is", "are"))
            text = f"{which} done already: {self.journal.folder} is of an earlier run"
            warnings.warn(text, AnymicWarning, stacklevel=4)
        if changed:
            what = counted(len(changed), "recording")
            text = f"{what} changed since then, and done again: {some(changed)}"
            warnings.warn(text, AnymicWarning, stacklevel=4)


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


def groups_of(
    keys: Iterable[str],
    states: Mapping[str, tuple[int, ...]],
    *,
    begins: Set[str] = frozenset(),
) -> Iterator[list[str]]:
    """Divide recordings into groups of at most 32, or 8 MiB, whose windows share batches.

    Parameters
    ----------
    keys : iterable of str
    states : mapping
        The `file_state` of each recording.
    begins : set of str
        Keys that begin a group.
    """
    group: list[str] = []
    size = 0
    for key in keys:
        own = states[key][0] if states[key] else 0
        full = len(group) == GROUP_FILES or size + own > GROUP_BYTES
        if group and (full or key in begins):
            yield group
            group, size = [], 0
        group.append(key)
        size += own
    if group:
        yield group


def grouped(requests: Sequence[ClipRequest]) -> Iterator[list[ClipRequest]]:
    """Divide requests for files as `groups_of` does."""
    states = _states((one.path, one.file) for one in requests)
    remaining = iter(requests)
    for group in groups_of([one.path for one in requests], states):
        yield list(islice(remaining, len(group)))


def model_key(place: str | Path) -> str:
    """Return the hash of a model on disk; its index holds the hashes of its other files."""
    folder = resolve(place)
    file = folder / FOLDER.index if folder.is_dir() else folder
    return file_digest(file)[:32]


def states_key(files: Iterable[Path]) -> list[list[Any]]:
    """Return the states of recordings that decide each other's results."""
    states = _states((str(file), file) for file in files)
    return [[os.path.abspath(path), *state] for path, state in states.items()]


def _states(files: Iterable[tuple[str, Path]]) -> dict[str, tuple[int, ...]]:
    """Return the `file_state` of each file by its name; several servers are asked at once."""
    states: dict[str, tuple[int, ...]] = {}
    remote: dict[str, Path] = {}
    for name, file in files:
        if isinstance(file, RemotePath):
            remote[name] = file
        states[name] = () if name in remote else file_state(file)
    asked = in_order(file_state, remote.values(), workers=ASKED_AT_ONCE)
    return {**states, **dict(zip(remote, asked, strict=True))}
