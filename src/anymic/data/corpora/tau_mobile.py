"""TAU Urban Acoustic Scenes 2019 Mobile and 2020 Mobile, development sets.

Mesaros, Heittola, Virtanen, "A multi-device dataset for urban acoustic scene classification",
DCASE 2018; Heittola, Mesaros, Virtanen, DCASE 2020. Zenodo 10.5281/zenodo.2589332 (2019) and
10.5281/zenodo.3819968 (2020). Clips of 10 s, 44.1 kHz, mono; free for non-commercial use.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from anymic.data.corpora.layout import find_root, refuse
from anymic.data.corpora.registry import register_corpus
from anymic.data.download import zenodo
from anymic.data.manifest import Manifest
from anymic.data.tables import read_table

SCENES = (
    "airport",
    "bus",
    "metro",
    "metro_station",
    "park",
    "public_square",
    "shopping_mall",
    "street_pedestrian",
    "street_traffic",
    "tram",
)
DEVICES = {
    2019: ("A", "B", "C"),
    2020: ("A", "B", "C", "S1", "S2", "S3", "S4", "S5", "S6"),
}
# Checksums as dcase_util records them for Zenodo record 2589332.
ARCHIVES_2019 = zenodo(
    2589332,
    "TAU-urban-acoustic-scenes-2019-mobile-development",
    {
        "meta": "9b2e36283882bf24be9817465d1e86cd",
        "audio.1": "6bf7607097b448745926994970260dbd",
        "audio.2": "54f9966def3768297a028f757fd217d5",
        "audio.3": "1daa259ede9ab2b83246f49bd2f4e547",
        "audio.4": "3a4c954dec030598ed5b9f0f2415024d",
        "audio.5": "1f6b9e0b8c5699946466fe31fb795e68",
        "audio.6": "a857f69cbbeb56fcf123d5f0bc322786",
        "audio.7": "adf9802b1f46f6ce5f9f668cd5be8a1b",
        "audio.8": "97134c6cdacc856652368997202ef06f",
        "audio.9": "3caaed1a238354e9a885318e222fa77a",
        "audio.10": "3bd9d1fe203111aa164d22707fbbc9f6",
        "audio.11": "93f3dfbcdfce06d43cc3131ee712ba38",
    },
)

# Checksums as soundata records them for Zenodo record 3819968.
ARCHIVES_2020 = zenodo(
    3819968,
    "TAU-urban-acoustic-scenes-2020-mobile-development",
    {
        "meta": "6eae9db553ce48e4ea246e34e50a3cf5",
        "audio.1": "b1e85b8a908d3d6a6ab73268f385d5c8",
        "audio.2": "4310a13cc2943d6ce3f70eba7ba4c784",
        "audio.3": "ed38956c4246abb56190c1e9b602b7b8",
        "audio.4": "97ab8560056b6816808dedc044dcc023",
        "audio.5": "b50f5e0bfed33cd8e52cb3e7f815c6cb",
        "audio.6": "fbf856a3a86fff7520549c899dc94372",
        "audio.7": "0dbffe7b6e45564da649378723284062",
        "audio.8": "bb6f77832bf0bd9f786f965beb251b2e",
        "audio.9": "a65596a5372eab10c78e08a0de797c9e",
        "audio.10": "2ad595819ffa1d56d2de4c7ed43205a6",
        "audio.11": "0ad29f7040a4e6a22cfd639b3a6738e5",
        "audio.12": "e5f4400c6b9697295fab4cf507155a2f",
        "audio.13": "8855ab9f9896422746ab4c5d89d8da2f",
        "audio.14": "092ad744452cd3e7de78f988a3d13020",
        "audio.15": "4b5eb85f6592aebf846088d9df76b420",
        "audio.16": "2e0a89723e58a3836be019e6996ae460",
    },
)

_META = "meta.csv"
_TRAIN = "evaluation_setup/fold1_train.csv"
_TEST = "evaluation_setup/fold1_test.csv"
_EVALUATE = "evaluation_setup/fold1_evaluate.csv"
_NAME = re.compile(
    r"audio/(?P<scene>[a-z_]+)-(?P<city>[a-z]+)-(?P<location>\d+)-(?P<segment>\d+)"
    r"-(?P<device>[a-z]\d*)\.wav"
)


@register_corpus(
    "tau2019-mobile",
    about="TAU Urban Acoustic Scenes 2019 Mobile: 10 scenes, devices A to C",
    rate_hz=44100,
    archives=ARCHIVES_2019,
)
def tau2019_mobile(root: str | Path) -> Manifest:
    """Read the 2019 set (DCASE 2019 task 1B): devices A, B and C. See :func:`tau2020_mobile`."""
    return _read(root, 2019)


@register_corpus(
    "tau2020-mobile",
    about="TAU Urban Acoustic Scenes 2020 Mobile: 10 scenes, 9 devices",
    rate_hz=44100,
    archives=ARCHIVES_2020,
)
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
        that does not fit; a clip of the setup that is not in ``meta.csv`` or is on both sides.
    """
    return _read(root, 2020)


def _read(root: str | Path, year: int) -> Manifest:
    corpus = f"TAU Urban Acoustic Scenes {year} Mobile, development set"
    folder = find_root(
        root,
        [_META, _TRAIN, _TEST, _EVALUATE],
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
            problems.append(
                f"{path or 'a row'} is not audio/scene-city-location-segment-device.wav"
            )
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
    return pd.DataFrame(rows), problems


def _split(folder: Path, scenes: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Read the evaluation setup: the side of each clip, and what does not fit ``meta.csv``."""
    labelled = ("filename", "scene_label")
    train = read_table(folder / _TRAIN, separator="\t", columns=labelled)
    test = read_table(folder / _TEST, separator="\t", columns=labelled[:1])
    evaluate = read_table(folder / _EVALUATE, separator="\t", columns=labelled)
    problems = []
    sides: dict[str, str] = {}
    for side, table in (("train", train), ("test", test)):
        for path in table["filename"]:
            if path not in scenes:
                problems.append(f"{path} of fold1_{side}.csv is not in meta.csv")
            elif sides.setdefault(path, side) != side:
                problems.append(f"{path} is in fold1_train.csv and in fold1_test.csv")
    for name, table in (("train", train), ("evaluate", evaluate)):
        for path, scene in zip(table["filename"], table["scene_label"], strict=True):
            if scenes.get(path, scene) != scene:
                problems.append(
                    f"{path} is {scene} in fold1_{name}.csv, {scenes[path]} in meta.csv"
                )
    for path in sorted(set(evaluate["filename"]) ^ set(test["filename"])):
        problems.append(f"{path} is in only one of fold1_test.csv and fold1_evaluate.csv")
    return sides, problems
