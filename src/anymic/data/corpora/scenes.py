"""Ten urban scenes made by rule: a corpus that needs no download, and that is not trivial.

A *location* is drawn first: which ingredients sound there, how loud, with which traits, in what
room. *Takes* are then cut from it: the same place at another moment. The takes of a location
share its ambience as the clips of one recording do, so the split never divides a location.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from anymic import audio
from anymic._internal.files import write_text
from anymic._internal.progress import track
from anymic._internal.threads import in_order
from anymic.data.corpora.registry import register_corpus
from anymic.data.corpora.synthesis.drawing import LABELS, Take, draw_location, draw_take, render
from anymic.data.manifest import Manifest
from anymic.errors import ConfigError, ManifestError

_VERSION = 1  # raise it when the same settings begin to give other samples
_SETTINGS_FILE = "scenes.json"


@dataclass(frozen=True)
class Settings:
    """What a set of scenes is made from; equal settings make equal bytes.

    Attributes
    ----------
    seed : int
        Not negative.
    train_locations, test_locations : int
        Places a scene, on either side of the split.
    takes : int
        Clips cut from each place.
    clip_s : float
        Length of a clip in seconds.
    rate_hz : int
        At least 16000, so that the ingredients fit below half of it.
    """

    seed: int = 0
    train_locations: int = 20
    test_locations: int = 10
    takes: int = 2
    clip_s: float = 3.0
    rate_hz: int = 22050

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)!r} (expected {at_least} or more)"
            for name, at_least in (
                ("seed", 0),
                ("train_locations", 1),
                ("test_locations", 1),
                ("takes", 1),
                ("clip_s", 0.5),
                ("rate_hz", 16000),
            )
            if not getattr(self, name) >= at_least
        ]
        if problems:
            raise ConfigError(
                "invalid settings: " + "; ".join(problems),
                fix="choose other settings for the scenes",
            )


def scenes(
    out: str | Path,
    *,
    seed: int = 0,
    train_locations: int = 20,
    test_locations: int = 10,
    takes: int = 2,
    clip_s: float = 3.0,
    rate_hz: int = 22050,
    workers: int | None = None,
    progress: bool = True,
) -> Manifest:
    """Make the corpus as device A records it, or finish one that was interrupted.

    Parameters
    ----------
    out : path
        The folder for `audio/*.flac`, `manifest.csv` and the settings.
    seed, train_locations, test_locations, takes, clip_s, rate_hz
        See `Settings`.
    workers : int, optional
        Threads; as many as there are cores when left out. The result does not depend on it.
    progress : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    Manifest
        path, label, group (the location), split (train or test), take and device (A).

    Raises
    ------
    ConfigError
        If a setting cannot be.
    ManifestError
        If the folder holds scenes of other settings.
    """
    out = Path(out)
    settings = Settings(seed, train_locations, test_locations, takes, clip_s, rate_hz)
    _claim(out, settings)
    drawn = list(_takes(settings))

    def make(take: Take) -> None:
        path = out / _path(take)
        if not path.exists():  # written whole or not at all: what is there is finished
            clip = render(take, clip_s=settings.clip_s, rate_hz=settings.rate_hz)
            audio.write(path, clip, subtype="PCM_16")

    (out / "audio").mkdir(exist_ok=True)
    done = in_order(make, drawn, workers=workers)
    for _ in track(done, len(drawn), "making scenes", shown=progress):
        pass
    rows = [
        {
            "path": _path(take),
            "label": take.location.scene,
            "device": "A",
            "group": take.location.name,
            "split": "train" if take.location.index < settings.train_locations else "test",
            "take": take.name,
        }
        for take in drawn
    ]
    manifest = Manifest.from_table(pd.DataFrame(rows), root=out, name="scenes")
    manifest.write(out / "manifest.csv")
    return manifest


@register_corpus("scenes", about="ten synthetic urban scenes, made here (no download)")
def built_in(root: str | Path) -> Manifest:
    """Make or finish the scenes in a folder: those whose settings it holds, else the default ones.

    Raises
    ------
    ConfigError, ManifestError
        As `scenes` does.
    """
    note = Path(root) / _SETTINGS_FILE
    found = _read_note(note) if note.exists() else {}
    chosen = {name: value for name, value in found.items() if name != "version"}
    try:
        settings = Settings(**chosen)
    except (TypeError, ConfigError) as error:
        raise _foreign(note, found, f"settings of scenes ({error})") from error
    return scenes(root, **dataclasses.asdict(settings))


def _takes(settings: Settings) -> Iterator[Take]:
    for scene in LABELS:
        for index in range(settings.train_locations + settings.test_locations):
            location = draw_location(scene, index, seed=settings.seed)
            for moment in range(settings.takes):
                yield draw_take(location, moment)


def _path(take: Take) -> str:
    return f"audio/{take.name}.flac"


def _claim(out: Path, settings: Settings) -> None:
    """Refuse a folder of other scenes; else write down what this one is going to hold."""
    wanted = {"version": _VERSION, **dataclasses.asdict(settings)}
    note = out / _SETTINGS_FILE
    if note.exists():
        found = _read_note(note)
        if found != wanted:
            raise _foreign(note, found, f"scenes of {wanted}")
        return
    write_text(note, json.dumps(wanted, indent=1) + "\n")


def _read_note(note: Path) -> dict[str, Any]:
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _foreign(note, "something else", "the settings of scenes as JSON")
    return found


def _foreign(note: Path, found: object, wanted: str) -> ManifestError:
    return ManifestError(
        f"{note} has {found}", expected=wanted, fix="choose another folder, or delete this one"
    )
