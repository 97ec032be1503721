"""TAU Urban Acoustic Scenes 2019 Mobile and 2020 Mobile, development sets.

Mesaros, Heittola, Virtanen, "A multi-device dataset for urban acoustic scene classification",
DCASE 2018; Heittola, Mesaros, Virtanen, DCASE 2020. Zenodo 10.5281/zenodo.2589332 (2019) and
10.5281/zenodo.3819968 (2020). Clips of 10 s, 44.1 kHz, mono; free for non-commercial use.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from anymic._internal.frames import frame
from anymic.data.corpora.published import FACTS, find_root, refuse, register_published
from anymic.data.manifest import Manifest
from anymic.data.text_tables import read_table

SCENES = FACTS["tau2020-mobile"].labels
DEVICES = {2019: ("A", "B", "C"), 2020: ("A", "B", "C", "S1", "S2", "S3", "S4", "S5", "S6")}
_META = "meta.csv"
_SETUP = {name: f"evaluation_setup/fold1_{name}.csv" for name in ("train", "test", "evaluate")}
_NAME = re.compile(
    r"audio/(?P<scene>[a-z_]+)-(?P<city>[a-z]+)-(?P<location>\d+)-(?P<segment>\d+)"
    r"-(?P<device>[a-z]\d*)\.wav"
)


@register_published("tau2019-mobile")
def tau2019_mobile(root: str | Path) -> Manifest:
    """Read the 2019 set (DCASE 2019 task 1B): devices A, B and C. See :func:`tau2020_mobile`."""
    return _read(root, 2019)


@register_published("tau2020-mobile")
def tau2020_mobile(root: str | Path) -> Manifest:
    """Read the 2020 set (DCASE 2020 task 1A): devices A, B, C and the simulated S1 to S6.

    File names are ``audio/scene-city-location-segment-device.wav``.

    Parameters
    ----------
    root : path
        The folder that holds ``meta.csv``, ``evaluation_setup`` and ``audio``, or the one above.

    Returns
    -------
    Manifest
        Columns ``path``, ``label`` (the scene), ``device`` (the suffix of the file name in upper
        case, as the papers write it: ``a`` is ``A``, ``s1`` is ``S1``), ``group`` (the
        published identifier, city and location, such as ``barcelona-0``), ``take``
        (``scene-city-location-segment``, the same for every device that recorded that moment),
        ``split`` (``train`` or ``test`` of the published setup; "" for clips it does not use)
        and ``city``.

    Raises
    ------
    ManifestError
        A file of the layout or a column is missing; a file name, device, scene or identifier
        does not fit; a clip of the setup is not in ``meta.csv``, or is in train and test.
    """
    return _read(root, 2020)


def _read(root: str | Path, year: int) -> Manifest:
    corpus = f"TAU Urban Acoustic Scenes {year} Mobile, development set"
    folder = find_root(
        root,
        [_META, *_SETUP.values()],
        corpus=corpus,
        below=[f"TAU-urban-acoustic-scenes-{year}-mobile-development"],
    )
    columns = ("filename", "scene_label", "identifier", "source_label")
    meta = read_table(folder / _META, separator="\t", columns=columns)
    rows, problems = _rows(meta, year)
    refuse(problems, where=folder / _META, corpus=corpus)
    split, problems = _split(folder, dict(zip(meta["filename"], meta["scene_label"], strict=True)))
    refuse(problems, where=folder / "evaluation_setup", corpus=corpus)
    rows["split"] = [split.get(path, "") for path in rows["path"]]
    return Manifest.from_table(rows, folder, name=f"tau{year}-mobile")


def _rows(meta: pd.DataFrame, year: int) -> tuple[pd.DataFrame, list[str]]:
    rows, problems = [], []
    for clip in meta.to_dict("records"):
        path, scene = clip["filename"], clip["scene_label"]
        name = _NAME.fullmatch(path)
        if name is None:
            form = "audio/scene-city-location-segment-device.wav"
            problems.append(f"{path or 'a row'} is not {form}")
            continue
        device = name["device"].upper()
        identifier = f"{name['city']}-{name['location']}"
        if device not in DEVICES[year]:
            problems.append(f"{path} has the device {device}, not {', '.join(DEVICES[year])}")
        elif clip["source_label"].upper() != device:
            problems.append(f"{path} has source_label {clip['source_label']}")
        if scene not in SCENES:
            problems.append(f"{path} has the unknown scene_label {scene or '(empty)'}")
        elif scene != name["scene"]:
            problems.append(f"{path} has scene_label {scene}")
        if clip["identifier"] != identifier:
            problems.append(f"{path} has identifier {clip['identifier'] or '(empty)'}")
        rows.append(
            {
                "path": path,
                "label": scene,
                "device": device,
                "group": identifier,
                "take": f"{name['scene']}-{identifier}-{name['segment']}",
                "city": name["city"],
            }
        )
    return frame(rows), problems


def _split(folder: Path, scenes: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Read the evaluation setup: the side of each clip, and what does not fit ``meta.csv``."""
    tables = {}
    for name, file in _SETUP.items():
        columns = ("filename",) if name == "test" else ("filename", "scene_label")
        tables[name] = read_table(folder / file, separator="\t", columns=columns)
    problems = []
    sides: dict[str, str] = {}
    for side in ("train", "test"):
        for path in tables[side]["filename"]:
            if path not in scenes:
                problems.append(f"{path} of fold1_{side}.csv is not in meta.csv")
            elif sides.setdefault(path, side) != side:
                problems.append(f"{path} is in fold1_train.csv and in fold1_test.csv")
    for name in ("train", "evaluate"):
        for path, scene in zip(*(tables[name][column] for column in columns), strict=True):
            if (stated := scenes.get(path, scene)) != scene:
                problems.append(f"{path} is {scene} in fold1_{name}.csv, {stated} in meta.csv")
    for path in sorted(set(tables["evaluate"]["filename"]) ^ set(tables["test"]["filename"])):
        problems.append(f"{path} is in only one of fold1_test.csv and fold1_evaluate.csv")
    return sides, problems
