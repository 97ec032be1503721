"""Choose the format of a file of events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from anymic.errors import ConfigError, did_you_mean

EventFormat = Literal["csv", "jsonl", "parquet", "audacity", "raven", "textgrid"]
FORMATS: tuple[EventFormat, ...] = get_args(EventFormat)
TABLES = ("csv", "jsonl", "parquet")
ENDINGS: dict[EventFormat, str] = {
    "csv": ".csv",
    "jsonl": ".jsonl",
    "parquet": ".parquet",
    "audacity": ".txt",
    "raven": ".selections.txt",
    "textgrid": ".TextGrid",
}
EXAMPLE = "a format: " + ", ".join(FORMATS)


@dataclass(frozen=True)
class Target:
    """Where events are written.

    Attributes
    ----------
    place : Path
    format : str
        One of `FORMATS`.
    is_folder : bool
        Whether it is a folder: of the shards of a table, or of a file for each recording.
    """

    place: Path
    format: EventFormat
    is_folder: bool

    @property
    def is_table(self) -> bool:
        """Whether the file holds the events of all recordings."""
        return self.format in TABLES

    def stale(self, written: set[Path]) -> Iterator[Path]:
        """Yield the shards of an earlier run that this one did not write."""
        if self.is_folder and self.is_table:
            for path in self.place.glob(f"events-[0-9]*{ENDINGS[self.format]}"):
                if path not in written:
                    yield path


def target_of(out: str | Path, wanted: str | None = None) -> Target:
    """Return where events are written, and in which format.

    Parameters
    ----------
    out : path
        A name with an ending is a file, another one a folder.
    wanted : str, optional
        The format; by default that of the ending, where it belongs to one format only.

    Raises
    ------
    ConfigError
        If the format is unknown, not stated, or contradicts the ending.
    """
    place = Path(out)
    name = place.name.lower()
    of_ending = [one for one in FORMATS if name.endswith(ENDINGS[one].lower())]
    if name.endswith(ENDINGS["raven"]) and wanted != "audacity":
        of_ending = ["raven"]
    elif of_ending == ["audacity"]:  # .txt
        of_ending = ["audacity", "raven"]
    if wanted is None:
        if len(of_ending) != 1:
            raise ConfigError(
                f"the name {place} does not state a format of events",
                expected="a name that ends in .csv, .jsonl, .parquet, .selections.txt or .TextGrid,"
                " or the format",
                fix=f"add {EXAMPLE}",
            )
        return Target(place, of_ending[0], is_folder=place.is_dir())
    if wanted not in FORMATS:
        raise ConfigError(
            f"there is no format {wanted!r}{did_you_mean(wanted, FORMATS)}",
            expected=f"one of {', '.join(FORMATS)}",
            fix="choose one of them",
        )
    chosen: EventFormat = wanted
    if place.is_dir() or (not place.suffix and not place.exists()):
        return Target(place, chosen, is_folder=True)
    if chosen not in of_ending:
        raise ConfigError(
            f"the name {place} is not that of a file of the format {chosen}",
            expected=f"a name that ends in {ENDINGS[chosen]}, or a folder",
            fix="change the name, or leave the format out",
        )
    return Target(place, chosen, is_folder=False)
