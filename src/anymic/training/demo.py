"""A demonstration of spectrum correction on synthetic scenes, in about a minute.

Three devices record ten urban scenes (`anymic.data.corpora.scenes`): A, which is flat, all
training clips; B, a phone, and C, with strong bass, ten training clips each, aligned with A's.
`basic1` is trained without spectrum correction and with it. Every device records every test clip.

The settings are the presets `scenes`, of the devices and of training. The correction is that of
Nguyen 2020: ratio of means, towards the mean of all three devices. With reference A, and with
geometric means, two seeds gave the same within the intervals, so the choice matters little here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anymic._internal.folder_lock import one_at_a_time
from anymic.data.checks import require_all_usable
from anymic.data.corpora.scenes import Settings, scenes
from anymic.data.manifest import Manifest
from anymic.devices.simulation.simulate import simulate
from anymic.evaluation.report.rows import Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anymic.bundle import Bundle
    from anymic.evaluation.report import ReportFigure

NONE, CORRECTED = "no correction", "spectrum correction"
FOLDERS = {NONE: "uncorrected", CORRECTED: "corrected"}

TRIAL = "With other settings or fewer scenes than the demo's own, these numbers mean little."
# Arguments of `run_demo` for a trial of all its steps in seconds.
QUICK: dict[str, Any] = {
    "changes": {"epochs": 1, "batch_size": 20},  # divides the 220 clips that train
    "corpus": {"test_locations": 1, "takes": 1},
}


@dataclass(frozen=True)
class Demo:
    """The results of the demonstration, and its files.

    Attributes
    ----------
    rows : list of Row
        Those of `report.evaluate` under {"correction": NONE} and {"correction": CORRECTED}, of
        `report.compare` of the two, and the recovered_share of the loss of B and C against A.
    finding : str
        The result in a few sentences.
    paths : dict of str to Path
        "html", "json", the figures by name, "manifest", and the bundles by folder name.
    seconds : dict of str to float
        The time of each step.
    """

    rows: list[Row]
    finding: str
    paths: dict[str, Path]
    seconds: dict[str, float]


@one_at_a_time
def run_demo(
    out: str | Path,
    *,
    seed: int = 0,
    progress: bool = True,
    changes: Mapping[str, object] | None = None,
    corpus: Mapping[str, Any] | None = None,
    command: str = "anymic.training.demo.run_demo",
) -> Demo:
    """Make the scenes, train without and with correction, evaluate, and write the report.

    Written below `out`: scenes/ and devices/ (audio, which later runs use again),
    models/uncorrected and models/corrected (bundles), report.html, report.json and figures/.

    Parameters
    ----------
    out : path
        A folder for the demonstration only.
    seed : int
        The seed of the scenes and of training.
    progress : bool
        Whether to print each step on stderr.
    changes : mapping, optional
        Settings of the training preset `scenes` to replace, as in `training.load_config`.
    corpus : mapping, optional
        Settings of the scenes to replace. With any of these the finding begins with `TRIAL`.
    command : str
        The command, for the report.

    Raises
    ------
    DependencyError
        If a package of the extra "train" is missing: before anything is made.
    ManifestError
        If `out` holds other scenes.
    """
    from anymic.evaluation.report import run_header, write_report
    from anymic.training import fit, load_config
    from anymic.training.loop.trainer import check_trainer

    check_trainer({})  # what training needs is missed before scenes are made
    out = Path(out)
    clock = _Clock(progress)
    config = load_config("scenes", changes={**(changes or {}), "seed": seed})
    with clock.step("making ten urban scenes"):
        settings = Settings(seed=seed, **(corpus or {}))
        clean = scenes(out / "scenes", settings, progress=progress)
    with clock.step("recording them with devices A, B and C"):
        recorded = simulate(clean, "scenes", out / "devices", progress=progress).manifest
    bundles = {}
    for name, correction in ((NONE, None), (CORRECTED, config.correction)):
        with clock.step(f"training basic1 with {name}"):
            bundles[name] = fit(
                recorded,
                replace(config, correction=correction),
                out / "models" / FOLDERS[name],
                progress=progress,
                cache=out / "features",
            )
    with clock.step("evaluating"):
        test = recorded.where(split="test")
        probabilities = {
            name: _probabilities(bundle, test, out / "features") for name, bundle in bundles.items()
        }
        rows, finding = _results(probabilities, test, bundles[NONE].labels, seed)
        if changes or corpus:
            finding = f"{TRIAL} {finding}"
    with clock.step("writing the report"):
        train_devices = recorded.where(split="train").table["device"]
        header = run_header(
            command=command,
            seed=seed,
            data=recorded.digest(),
            train_clips=train_devices.value_counts().sort_index().to_dict(),
            test_clips=test.table["device"].value_counts().sort_index().to_dict(),
            training=bundles[CORRECTED].training["settings"],
        )
        paths = write_report(
            out,
            rows,
            title="Ten urban scenes, three devices",
            header=header,
            figures=_figures(rows, probabilities[CORRECTED], test, bundles[CORRECTED]),
            finding=finding,
        )
    paths["manifest"] = out / "devices" / "manifest.csv"
    paths |= {folder: out / "models" / folder for folder in FOLDERS.values()}
    return Demo(rows, finding, paths, clock.seconds)


def _probabilities(bundle: Bundle, test: Manifest, cache: Path) -> NDArray[np.float64]:
    from anymic.inference.predictor import Predictor

    # float16, as for training: the published numbers rest on it (from float32 one clip of 600 is
    # classified otherwise).
    predicted = Predictor(bundle).predict_manifest(test, cache=cache, cache_dtype="float16")
    require_all_usable(predicted.failures, which=" of the split test")
    return predicted.probabilities


def _results(
    probabilities: Mapping[str, NDArray[np.float64]],
    test: Manifest,
    labels: tuple[str, ...],
    seed: int,
) -> tuple[list[Row], str]:
    """Return the rows of both conditions, their comparison, and the finding."""
    from anymic.evaluation.report import compare, evaluate, summary
    from anymic.evaluation.report.rows import row
    from anymic.metrics.recovery import recovered_share

    targets = test.targets(labels)
    devices = test.table["device"].to_numpy(dtype=str)
    groups = test.table["group"].to_numpy(dtype=str)
    options: dict[str, Any] = {"devices": devices, "groups": groups, "seed": seed}
    rows: list[Row] = []
    for name, p in probabilities.items():
        found = evaluate(p, targets, labels=labels, reference="A", **options)
        rows += [replace(row, condition={"correction": name, **row.condition}) for row in found]
    correct = {name: p.argmax(axis=1) == targets for name, p in probabilities.items()}
    rows += compare(correct, against=NONE, key="correction", **options)
    share = recovered_share(correct[CORRECTED], correct[NONE], devices, groups)
    rows.append(row("recovered_share", share, correction=CORRECTED))
    finding = (
        f"{summary(rows)} B and C recover {100 * share.value:.0f} % "
        f"[{100 * share.low:.0f}, {100 * share.high:.0f}] of what they lose to A."
    )
    return rows, finding


def _figures(
    rows: list[Row], probabilities: NDArray[np.float64], test: Manifest, bundle: Bundle
) -> list[ReportFigure]:
    from anymic.evaluation.report import ReportFigure, figures
    from anymic.evaluation.result import CAPTIONS
    from anymic.metrics import confusion_matrix

    targets = test.targets(bundle.labels)
    guesses = np.asarray(probabilities.argmax(axis=1))
    counts = confusion_matrix(targets, guesses, classes=len(bundle.labels))
    drawn = [
        ("accuracy_by_device", figures.accuracy_by_device(rows), "Devices"),
        ("accuracy_by_class", figures.accuracy_by_class(rows), "Classes"),
        ("confusion", figures.confusion(counts, bundle.labels), "Classes"),
    ]
    if bundle.profile is not None:
        drawn.append(("device_gains", figures.gains_figure(bundle.profile), "Corrections"))
    captions = {**CAPTIONS, "confusion": f"With spectrum correction. {CAPTIONS['confusion']}"}
    return [ReportFigure(*one, captions.get(one[0], "")) for one in drawn]


class _Clock:
    """Prints each step, and measures its time."""

    def __init__(self, progress: bool) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        if self.progress:
            print(f"{name} ...", file=sys.stderr, flush=True)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
        if self.progress:
            print(f"  {self.seconds[name]:.0f} s", file=sys.stderr, flush=True)
