"""Exported models in float32, int8 and float16: size, time, and accuracy and ECE by device.

    python benchmarks/quantization.py --fold run1 mics/fold1.csv --fold run2 mics/fold2.csv

A fold is a model and its table of clips: int8 takes the ranges of activations from clips of the
split train, and the clips of the split test are classified. Rows are pooled over folds. A
difference is that to float32 on the same clips, with its 95 % interval over recordings. ECE is the
expected calibration error. The time is processor time of one window in one thread, and the smallest
of five rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic import metrics
from anymic._internal.onnx_session import load_session
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.exporters.onnx_file import export
from anymic.exporters.quantization import Form
from anymic.exporters.small_file import export_small
from anymic.inference.windowing import Window, cut

FORMS = ("float32", *get_args(Form))
ROUNDS = 5


def files(model: Path, clips: Path, folder: Path) -> dict[str, Path]:
    """Export a model in every form."""
    found = {form: folder / f"{form}.onnx" for form in FORMS}
    export(model, found["float32"], transform="dft")
    for form in get_args(Form):
        export_small(model, found[form], form, data=clips if form == "int8" else None)
    return found


def windows(model: Bundle, clips: Manifest) -> Iterator[list[NDArray[np.float32]]]:
    """Yield the windows of each clip."""
    for path in clips.paths():
        yield [one.samples for one in cut(path, model.contract) if isinstance(one, Window)]


def answers(session: Any, samples: list[NDArray[np.float32]], device: int) -> NDArray[np.float64]:
    """Return the mean of the probabilities (label,) over windows."""
    inputs = {"samples": np.stack(samples), "device": np.full(len(samples), device, np.int64)}
    found: NDArray[np.float64] = session.run(["probabilities"], inputs)[0].mean(axis=0)
    return found


def seconds(session: Any, length: int) -> float:
    """Return the processor time of one window, the smallest of some rounds."""
    samples = np.random.default_rng(0).normal(scale=0.1, size=(1, length)).astype(np.float32)
    inputs, taken = {"samples": samples, "device": np.zeros(1, np.int64)}, []
    for _ in range(ROUNDS):
        begun = time.process_time()
        session.run(None, inputs)
        taken.append(time.process_time() - begun)
    return min(taken)


def classified(model: Path, table: Path, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a row a form (size, time), and a row a clip and form."""
    bundle, clips = Bundle.load(model), Manifest.read(table).where(split="test")
    clips = clips.where(device=[name for name in bundle.devices if name in clips.devices])
    places = files(model, table, folder)
    sessions = {form: load_session(place, threads=1) for form, place in places.items()}
    costs = [
        {"form": form, "bytes": places[form].stat().st_size,
         "ms": 1000 * seconds(session, bundle.contract.clip_samples)}
        for form, session in sessions.items()
    ]  # fmt: skip
    names = clips.table["device"].tolist()
    numbers = bundle.frontend.device_index(names).tolist()
    targets, groups, rows = clips.targets(bundle.labels), clips.recordings(), []
    for clip, samples in enumerate(windows(bundle, clips)):
        for form, session in sessions.items():
            p = answers(session, samples, numbers[clip])
            rows.append({"form": form, "device": names[clip], "group": groups[clip],
                         "target": targets[clip], "p": p})  # fmt: skip
    return pd.DataFrame(costs), pd.DataFrame(rows)


def percent(found: metrics.Interval, form: str) -> str:
    """Return a value with its interval, in per cent."""
    value, low, high = (format(100 * one, form) for one in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


def table(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a line of Markdown for each device, and all of them, and each form."""
    yield "| device | n | form | accuracy, % | difference, points | ECE |"
    yield "|---|---|---|---|---|---|"
    for device in (*sorted(set(rows["device"])), "all"):
        part = rows if device == "all" else rows[rows["device"] == device]
        plain = part[part["form"] == "float32"]
        right = {}
        for form in FORMS:
            own = part[part["form"] == form]
            p, targets = np.stack(own["p"].tolist()), own["target"].to_numpy()
            right[form] = (p.argmax(axis=1) == targets).astype(float)
            accuracy = metrics.accuracy(right[form], own["group"].tolist())
            ece = metrics.expected_calibration_error(p / p.sum(axis=1, keepdims=True), targets)
            change = ""
            if form != "float32":
                found = metrics.paired_difference(
                    right[form], right["float32"], plain["group"].tolist()
                )
                change = percent(found, "+.1f")
            shown = percent(accuracy, ".1f")
            yield f"| {device} | {len(own)} | {form} | {shown} | {change} | {ece:.3f} |"


def main() -> None:
    """Print the size and time of each form, and the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--fold", nargs=2, type=Path, action="append", required=True,
                        metavar=("MODEL", "CLIPS"))  # fmt: skip
    options = parser.parse_args()
    costs, rows = [], []
    for model, clips in options.fold:
        with tempfile.TemporaryDirectory() as folder:
            own_costs, own_rows = classified(model, clips, Path(folder))
        costs.append(own_costs)
        rows.append(own_rows)
    print("| form | size, bytes | time of a window, ms |\n|---|---|---|")
    for form, group in pd.concat(costs).groupby("form", sort=False):
        print(f"| {form} | {group['bytes'].max():,} | {group['ms'].min():.1f} |")
    print()
    print("\n".join(table(pd.concat(rows))))


if __name__ == "__main__":
    main()
