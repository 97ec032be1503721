"""Ten synthetic urban scenes: a corpus that needs no download, and that is not trivial.

A *location* is drawn first: its ingredients, their levels and traits, and its room. *Takes* are
then drawn from it: the same place at another moment. The takes of a location share its ambience
as the clips of one recording do, so the split never divides a location.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anymic import audio
from anymic._internal.files import write_text
from anymic._internal.frames import frame
from anymic._internal.progress import track
from anymic._internal.reading import read_json
from anymic._internal.settings import from_mapping
from anymic._internal.threads import in_order
from anymic.data.corpora.registry import register_corpus
from anymic.data.corpora.synthesis.drawing import LABELS, Take, draw_location, draw_take, render
from anymic.data.manifest import Manifest
from anymic.errors import ConfigError, ManifestError

_VERSION = 1  # raise it when the same settings begin to give other samples
_SETTINGS_FILE = "scenes.json"
_COUNTS = ("train_locations", "test_locations", "takes")
_LOWEST = {"seed": 0, **dict.fromkeys(_COUNTS, 1), "clip_s": 0.5, "rate_hz": 16000}


@dataclass(frozen=True)
class Settings:
    """The settings of a set of scenes; equal settings make equal bytes.

    Attributes
    ----------
    seed : int
        Not negative.
    train_locations, test_locations : int
        Places of each scene in the two splits.
    takes : int
        Clips of each place.
    clip_s : float
        Length of a clip in seconds.
    rate_hz : int
        At least 16000: the ingredients reach almost to half of it.
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
            for name, at_least in _LOWEST.items()
            if not getattr(self, name) >= at_least
        ]
        if problems:
            raise ConfigError(
                "invalid settings: " + "; ".join(problems),
                fix="choose other settings for the scenes",
            )


def scenes(
    out: str | Path,
    settings: Settings | None = None,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> Manifest:
    """Make the corpus as device A records it, or finish one that was interrupted.

    Parameters
    ----------
    out : path
        The folder for `audio/*.flac`, `manifest.csv` and the settings.
    settings : Settings, optional
    workers : int, optional
        Threads; by default one a processor. The result does not depend on it.
    progress : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    Manifest
        path, label, group (the location), split (train or test), take and device (A).

    Raises
    ------
    ManifestError
        If the folder holds scenes of other settings.
    """
    out = Path(out)
    settings = settings or Settings()
    file, wanted = out / _SETTINGS_FILE, {"version": _VERSION, **dataclasses.asdict(settings)}
    if not file.exists():
        write_text(file, json.dumps(wanted, indent=1) + "\n")
    elif (found := _read_settings(file)) != wanted:
        raise _refusal(file, found, f"scenes of {wanted}")
    places = [
        draw_location(scene, index, seed=settings.seed)
        for scene in LABELS
        for index in range(settings.train_locations + settings.test_locations)
    ]
    drawn = [draw_take(place, moment) for place in places for moment in range(settings.takes)]

    def make(take: Take) -> str:
        path = f"audio/{take.name}.flac"
        if not (out / path).exists():  # an existing file is complete: files are written atomically
            clip = render(take, clip_s=settings.clip_s, rate_hz=settings.rate_hz)
            audio.write(out / path, clip, subtype="PCM_16")
        return path

    (out / "audio").mkdir(exist_ok=True)
    made = track(
        in_order(make, drawn, workers=workers), len(drawn), "making scenes", shown=progress
    )
    rows = [
        {
            "path": path,
            "label": take.location.scene,
            "device": "A",
            "group": take.location.name,
            "split": "train" if take.location.index < settings.train_locations else "test",
            "take": take.name,
        }
        for path, take in zip(made, drawn, strict=True)
    ]
    manifest = Manifest.from_table(frame(rows), root=out, name="scenes")
    manifest.write(out / "manifest.csv")
    return manifest


@register_corpus("scenes", about="ten synthetic urban scenes, made here (no download)")
def built_in(root: str | Path) -> Manifest:
    """Make or finish the scenes in a folder, by its settings or else the default ones."""
    file = Path(root) / _SETTINGS_FILE
    found = _read_settings(file) if file.exists() else {}
    try:
        settings = from_mapping(Settings, {key: found[key] for key in found if key != "version"})
    except ConfigError as error:
        raise ManifestError(
            f"{file}: {error.problem}",
            expected=error.expected,
            fix="choose another folder, or delete this one",
        ) from error
    return scenes(root, settings)


def _read_settings(file: Path) -> dict[str, Any]:
    fix = "choose another folder, or delete this one"
    return read_json(file, ManifestError, expected="the settings of scenes as JSON", fix=fix)


def _refusal(file: Path, found: object, wanted: str) -> ManifestError:
    return ManifestError(
        f"{file} has {found}", expected=wanted, fix="choose another folder, or delete this one"
    )
