"""A folder with what the pages and docstrings name: a model, its clips, and takes of a phone.

Sounds are filtered noise of a second at 16 kHz, of the three labels of the golden model.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray
from scipy.signal import lfilter

RATE_HZ, TAKES = 16000, 24
LABELS = ("bus", "park", "street_traffic")
GOLDEN = Path(__file__).parent / "golden"
DEVICES = {"A": [1.0], "B": [0.6, 0.3], "phone": [0.5, -0.3, 0.1]}  # impulse responses
FOLDERS = ("new", "recordings", "one-device", "phone-alone", "audio_test")


def make(folder: Path) -> Path:
    """Fill the folder, and return it."""
    for name, model in {"run": "basic1", "other": "basic1", "head": "head"}.items():
        shutil.copytree(GOLDEN / model, folder / name)
    shutil.copy(GOLDEN / "vectors.npz", folder / "more.npz")
    generator = np.random.default_rng(0)
    rows = [row for take in range(TAKES) for row in _write_take(folder, take, generator)]
    table = pd.DataFrame(rows)
    clips = table[table["device"] != "phone"]
    for name in ("clips", "manifest", "sounds"):
        clips.to_csv(folder / f"{name}.csv", index=False)
    few = clips[clips["take"].isin([f"t{take}" for take in range(12)])]  # of every label and split
    for name in ("esc10", "freesound"):  # of which pages make other corpora
        few.to_csv(folder / f"{name}.csv", index=False)
    of_a = table[table["device"] == "A"].drop(columns=["device", "take"])
    of_a = of_a.replace({"split": {"validation": "train"}})
    for name in ("clean", "scenes"):
        of_a.to_csv(folder / f"{name}.csv", index=False)
    takes = table[["path", "label", "device", "take"]]
    takes.to_csv(folder / "takes.csv", index=False)
    _write_places(folder, table)
    events = ["file,start_s,end_s,label"]
    for take in range(12):
        label = LABELS[take % 3]
        events.append(f"recordings/{label}/{take:02}.wav,0.2,0.8,{label}")
    (folder / "annotations.csv").write_text("\n".join(events) + "\n")
    (folder / "codecs.yaml").write_text("codecs: {wav: null, opus: [16], g722: 64}\n")
    lines = [f"{hz} {gain_db}" for hz, gain_db in zip((50, 500, 5000), (-3, 0, 2), strict=True)]
    (folder / "phone.cal").write_text("\n".join(lines) + "\n")
    return folder


def few_clips(manifest: Path, training: int = 8) -> None:
    """Leave a test clip of each label and device, and a few training takes of each label.

    A take stays with all its devices, and those of most devices stay first.
    """
    table = pd.read_csv(manifest)
    train = table[table["split"] != "test"]
    test = table[table["split"] == "test"].groupby(["label", "device"]).head(1)
    devices = train.assign(devices=train.groupby("take")["device"].transform("size"))
    takes = devices.sort_values("devices", ascending=False, kind="stable").drop_duplicates("take")
    kept = takes.groupby("label").head(training)["take"]
    pd.concat([train[train["take"].isin(kept)], test]).to_csv(manifest, index=False)


def several_labels(manifest: Path) -> None:
    """Leave twelve clips of one device, with one label, two or none."""
    table = pd.read_csv(manifest)
    table = table[table["device"] == "A"].head(12).drop(columns="group")
    table["label"] = ["bus", "bus;park", "park", ""] * 3
    table["split"] = ["train"] * 8 + ["test"] * 4
    table.to_csv(manifest, index=False)


def _write_take(
    folder: Path, take: int, generator: np.random.Generator
) -> list[dict[str, str | int]]:
    """Write a sound as every device records it; return the rows."""
    label = LABELS[take % len(LABELS)]
    pole = {"bus": 0.9, "park": 0.5, "street_traffic": 0.1}[label]
    sound = 0.1 * lfilter([1 - pole], [1, -pole], generator.standard_normal(RATE_HZ))
    split = ("train", "train", "validation", "test")[take // 3 % 4]
    rows: list[dict[str, str | int]] = []
    for device, response in DEVICES.items():
        path = folder / device.lower() / f"{take:02}.wav"
        write(path, lfilter(response, [1.0], sound))
        rows.append(
            {
                "path": path.relative_to(folder).as_posix(),
                "label": label,
                "device": device,
                "take": f"t{take}",
                "split": split,
                "group": f"place{take}",
            }
        )
    return rows


def _write_places(folder: Path, table: pd.DataFrame) -> None:
    """Copy recordings to the folders that the pages name."""
    for row in table[table["device"] == "A"].itertuples():
        place = folder / "sounds" / str(row.label) / f"1-{row.Index}-A.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / str(row.path), place)
    for take in range(12):
        for device, names in {"A": ("recorder", "devices/A"), "phone": ("devices/phone",)}.items():
            for name in names:
                (folder / name).mkdir(parents=True, exist_ok=True)
                shutil.copy(folder / device.lower() / f"{take:02}.wav", folder / name)
    for name in FOLDERS:
        device = "phone" if name.startswith("phone") else "b"
        for take in range(12):
            place = folder / name / (LABELS[take % 3] if name == "recordings" else "")
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / device / f"{take:02}.wav", place)
    shutil.copy(GOLDEN / "long.flac", folder / "night.flac")
    for name in ("clip.wav", "new.wav", "siren.wav", "x.wav"):
        shutil.copy(folder / "b" / "03.wav", folder / name)
    responses = folder / "impulse-responses"
    responses.mkdir()
    write(responses / "GEC_bigdynamic.wav", np.array([0.6, 0.3, 0.05]))


def write(path: Path, samples: NDArray[np.float64]) -> None:
    """Write a WAV file of floating numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.astype(np.float32), RATE_HZ, subtype="FLOAT")
