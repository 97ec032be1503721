"""Accuracy by training and microphone, most of which the training does not know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic.bundle.installed import resolve
from anymic.data.checks import require_all_usable
from anymic.data.corpora.esc50 import esc50
from anymic.data.folds import cross_validation
from anymic.data.manifest import Manifest
from anymic.devices.simulation.chain import Device
from anymic.devices.simulation.device_set import DeviceSet, Share
from anymic.devices.simulation.random_devices import RandomDevices
from anymic.devices.simulation.random_responses import microphone_files
from anymic.devices.simulation.response import impulse_response
from anymic.devices.simulation.simulate import simulate
from anymic.errors import ConfigError, DeviceError, counted
from anymic_experiments.commands import ROOT
from anymic_experiments.conditions import Grid
from anymic_experiments.experiment import Experiment
from anymic_experiments.findings import Findings
from anymic_experiments.page import Section
from anymic_experiments.pooling import pool
from anymic_experiments.pretrained.tasks import Answers, Head, Row, gathered
from anymic_experiments.runs import Outcome
from anymic_experiments.unknown_devices.comparison import changed_by, compared
from anymic_experiments.unknown_devices.tasks import BlindAnswers, OtherAnswers, TunedAnswers

PLAIN = "none"  # the row that the others are compared with
BLIND, TUNED = "{}, blind", "fine-tuned copies"
ONE_RECORDING = "{}, blind, one recording"
# Where responses are compared: third octaves from 100 Hz to 6.3 kHz, at the lower of both rates.
THIRDS_HZ = tuple(1000 * 2 ** (number / 3) for number in range(-10, 9))
RATE_HZ, FINE = 16_000, 1 << 15


@dataclass(frozen=True)
class DeviceRow(Row):
    """A row of the table of pretrained embeddings."""

    devices: str = "none"  # those that the head is also trained on: none, measured or generated


@dataclass(frozen=True, kw_only=True)
class Drums:
    """The part on real microphones."""

    shortest_s: float  # takes with a shorter recording are left out
    folds: int
    rows: dict[str, DeviceRow]


@dataclass(frozen=True, kw_only=True)
class Settings(Grid):
    """The grid file."""

    takes: int
    copies: int
    farthest: int  # so many unknown devices, those farthest from A, have a table of their own
    pretrained_folds: int | None = None  # how many test in the part pretrained; null is `folds`
    rows: dict[str, DeviceRow]
    drums: Drums
    defaults: dict[str, str]
    with_takes: dict[str, str]


def prepare(experiment: Experiment[Settings]) -> Experiment[Settings]:
    """Pass ESC-10 through the microphones. What later parts need is refused before that."""
    options = experiment.options
    if options["esc50_16k"] is not None or options["drums"] is not None:
        resolve(options["extractor"])
    measured_responses(experiment)
    clips = esc50(options["esc50"], subset="esc10")
    folds = recorded(experiment, "networks", devices_of(experiment), clips)
    return replace(experiment, data=folds, simulated=True)


def devices_of(experiment: Experiment[Settings]) -> DeviceSet:
    """Return the simulated microphones."""
    file = ROOT / "unknown_devices" / experiment.grid.simulations["corpus"]
    return DeviceSet.read(file, responses=experiment.options["responses"])


def recorded(
    experiment: Experiment[Settings], name: str, devices: DeviceSet, clips: Manifest
) -> tuple[Path, ...]:
    """Pass clips through microphones into a folder of this name; return a manifest a fold."""
    made = simulate(clips, devices, experiment.out / name, workers=experiment.workers)
    require_all_usable(made.failures)
    asked = experiment.grid.folds or len(made.folds)
    if asked > len(made.folds):
        raise ConfigError(
            f"folds is {asked}, and the corpus has {counted(len(made.folds), 'fold')}",
            expected=f"at most {len(made.folds)}",
            fix="choose another number",
        )
    return tuple(made.folds.values())[:asked]


def measured_responses(experiment: Experiment[Settings]) -> Path:
    """Return a folder of the measured responses that clips are trained through.

    They are those that the package's statistics were fitted to, none of which is a column.
    """
    source, folder = Path(experiment.options["responses"]), experiment.out / "measured"
    missing = [name for name in microphone_files() if not (source / name).is_file()]
    if missing:
        raise DeviceError(
            f"{source} has no {missing[0]}"
            + (f", nor {len(missing) - 1} more" if missing[1:] else ""),
            expected="all impulse responses of MicIRP",
            fix="download them again",
        )
    return gathered((source / name for name in microphone_files()), folder)


def with_responses(experiment: Experiment[Settings]) -> Settings:
    """Return the grid in which the measured devices name their folder."""
    key = "random_devices.responses"
    settings = {key: str(experiment.out / "measured")}
    factors = {name: dict(levels) for name, levels in experiment.grid.factors.items()}
    level = factors["augmentation"]["measured"]
    factors["augmentation"]["measured"] = replace(level, settings=level.settings | settings)
    return replace(experiment.grid, factors=factors)


def left_out(experiment: Experiment[Any], part: str, names: Iterable[str]) -> list[str]:
    """Return the rows of a part that a pattern of --leave-out fits, with or without the part."""
    patterns = experiment.options["leave_out"] or ()
    return [
        name
        for name in names
        if any(fnmatchcase(text, one) for text in (name, f"{part}: {name}") for one in patterns)
    ]


def columns(experiment: Experiment[Settings]) -> dict[str, Any]:
    """Return what both tables on simulated microphones know of their columns."""
    grid, devices = experiment.grid, devices_of(experiment).devices
    files = {name: one.response and one.response.file for name, one in devices.items()}
    return {
        "known": [*grid.devices["reference"], *grid.devices["coloured"]],
        "unknown": list(grid.devices["unknown"]),
        "names": {name: Path(file).stem for name, file in files.items() if file},
        "measured": [Path(name).stem for name in microphone_files()],
    }


def levels_db(device: Device, responses: str) -> NDArray[np.float64]:
    """Return a device's levels in the third octaves `THIRDS_HZ`, in dB."""
    if device.response is None:
        return np.zeros(len(THIRDS_HZ))
    taps = impulse_response(device.response, RATE_HZ, responses).taps
    power = np.abs(np.fft.rfft(taps, FINE)) ** 2
    hz = np.fft.rfftfreq(FINE, 1 / RATE_HZ)
    inside = [(hz >= one * 2 ** (-1 / 6)) & (hz < one * 2 ** (1 / 6)) for one in THIRDS_HZ]
    return np.array([10 * np.log10(power[band].mean()) for band in inside])


def deviation_db(device: Device, responses: str) -> float:
    """Return the standard deviation of a device's levels in third octaves, in dB; 0 is flat."""
    return float(np.std(levels_db(device, responses)))


def farthest_of(experiment: Experiment[Settings]) -> dict[str, float]:
    """Return the unknown devices whose responses deviate most from that of A, with how much.

    They are chosen by their responses alone: on a microphone that is nearly flat nothing is lost.
    """
    grid, devices = experiment.grid, devices_of(experiment).devices
    folder = str(experiment.options["responses"])
    found = {name: deviation_db(devices[name], folder) for name in grid.devices["unknown"]}
    most = sorted(found, key=lambda name: -found[name])[: grid.farthest]
    return {name: found[name] for name in found if name in most}


def networks(experiment: Experiment[Settings]) -> list[Section]:
    """Compare the trainings of a network: as they are, with blind gains, and fine-tuned.

    There is no section where every row is left out.
    """
    grid, folds, seeds = with_responses(experiment), experiment.data, experiment.seeds
    every = grid.runs("networks", folds=folds, seeds=seeds, scale=experiment.scale)
    rows = list(dict.fromkeys(run.condition for run in every))
    omitted = left_out(experiment, "networks", [*rows, *map(BLIND.format, rows), TUNED])
    runs = [run for run in every if run.condition not in omitted]
    if not runs:
        return []
    experiment.finish(runs)
    other: dict[str, list[OtherAnswers]] = {}
    for run in runs:
        other.setdefault(BLIND.format(run.condition), []).append(BlindAnswers(run))
        if run.condition == PLAIN:
            tuned = TunedAnswers(run, grid.devices["coloured"])
            other.setdefault(TUNED, []).append(tuned)
    other = {name: tasks for name, tasks in other.items() if name not in omitted}
    experiment.finish((task for own in other.values() for task in own), doing="classifying")
    places = experiment.places
    outcomes = [run.outcome(places) for run in runs]
    outcomes += [task.outcome(name, places) for name, own in other.items() for task in own]
    return [section("networks", experiment, outcomes, omitted=omitted, folds=len(folds))]


def section(
    part: str,
    experiment: Experiment[Settings],
    outcomes: Iterable[Outcome],
    *,
    omitted: Sequence[str],
    folds: int,
) -> Section:
    """Return the tables of a part, without the rows that are left out."""
    pooled = pool(outcomes)
    grid, farthest, rows = experiment.grid, farthest_of(experiment), []
    for name in pooled.conditions:
        rows += compared(pooled, name, PLAIN, grid.devices["unknown"], farthest=tuple(farthest))
    kept = set(pooled.conditions)
    takes, default = grid.with_takes[part], grid.defaults[part]
    (reference,), pairs = grid.devices["reference"], _alone(pooled.conditions)
    for name, other in pairs:
        rows += changed_by(
            pooled, name, other, reference=reference, unknown=grid.devices["unknown"]
        )
    others = [*_comparisons(part, default, takes), *pairs]
    for name, other in dict.fromkeys(others):
        if {name, other} <= kept and other != PLAIN:  # with that one they are compared above
            own = compared(pooled, name, other, grid.devices["unknown"])
            rows += [one for one in own if one.metric == "accuracy_difference"]
    facts = columns(experiment) | {"rows": list(pooled.conditions), "left_out": list(omitted)}
    return Section(
        part, Findings(rows), facts | {"folds": folds, "farthest": farthest, "pairs": pairs}
    )


def _alone(rows: Iterable[str]) -> list[tuple[str, str]]:
    """Return the rows with blind gains from one recording, and those without that they add to."""
    kept, found = list(rows), []
    for name in kept:
        for suffix in (BLIND.format(""), ONE_RECORDING.format("")):
            plain = name.removesuffix(suffix) if name != suffix.removeprefix(", ") else PLAIN
            if plain != name and plain in kept:
                found.append((name, plain))
    return found


def _comparisons(part: str, default: str, takes: str) -> list[tuple[str, str]]:
    """Return further pairs of rows of which a part's text states the difference."""
    if part == "networks":
        return [(takes, "correction A"), (takes, default)]
    return [(takes, default)]


def heads_of(
    experiment: Experiment[Settings], paths: Sequence[Path], device: str | Mapping[Path, Any]
) -> dict[str, list[Head]]:
    """Return the heads of every fold and seed, by the devices that they are trained on."""
    folder, copies = str(experiment.out / "measured"), experiment.grid.copies
    settings = {
        "none": None,
        "measured": RandomDevices(copies=copies, responses=folder),
        "generated": RandomDevices(copies=copies),
    }
    return {
        name: [
            Head(
                path,
                device if isinstance(device, str) else device[path],
                experiment.options["extractor"],
                seed,
                random_devices=random,
            )
            for seed in experiment.seeds
            for path in paths
        ]
        for name, random in settings.items()
    }


def answers(
    experiment: Experiment[Settings],
    rows: Mapping[str, DeviceRow],
    heads: Mapping[str, Sequence[Head]],
) -> list[Outcome]:
    """Train the heads that rows need, and return the answers of every row."""
    used = dict.fromkeys(row.devices for row in rows.values())
    experiment.finish(head for name in used for head in heads[name])
    tasks = {
        name: [Answers(head, row) for head in heads[row.devices]] for name, row in rows.items()
    }
    experiment.finish((task for own in tasks.values() for task in own), doing="classifying")
    places = experiment.places
    return [task.outcome(name, places) for name, own in tasks.items() for task in own]


def pretrained_folds(experiment: Experiment[Settings]) -> tuple[Path, ...]:
    """Pass ESC-50 through the microphones, all of which record takes of the training clips."""
    grid, devices = experiment.grid, devices_of(experiment)
    (reference,) = grid.devices["reference"]
    takes: dict[str, Share] = dict.fromkeys(devices.devices, grid.takes)
    takes |= {reference: "all"}
    devices = replace(devices, recorded={**devices.recorded, "train": takes})
    clips = esc50(experiment.options["esc50_16k"])
    paths = recorded(experiment, "pretrained", devices, clips)
    return paths[: grid.pretrained_folds]


def pretrained(experiment: Experiment[Settings]) -> list[Section]:
    """Compare heads on pretrained embeddings.

    There is no section where their clips are not given, or every row is left out.
    """
    grid = experiment.grid
    omitted = left_out(experiment, "pretrained", grid.rows)
    rows = {name: row for name, row in grid.rows.items() if name not in omitted}
    if experiment.options["esc50_16k"] is None or not rows:
        return []
    paths = pretrained_folds(experiment)
    (reference,) = grid.devices["reference"]
    found = answers(experiment, rows, heads_of(experiment, paths, reference))
    return [section("pretrained", experiment, found, omitted=omitted, folds=len(paths))]


def drums(experiment: Experiment[Settings]) -> list[Section]:
    """Train on all real microphones but one; nothing where their recordings are not given."""
    settings, file = experiment.grid.drums, experiment.options["drums"]
    if file is None:
        return []
    every = Manifest.read(file)
    lengths = np.array([audio.probe(path).duration_s or 0 for path in every.paths()])
    short = every.table["take"][lengths < settings.shortest_s]
    corpus = every.rows(~every.table["take"].isin(short).to_numpy())
    others: dict[Path, tuple[str, ...]] = {}
    for number, fold in enumerate(cross_validation(corpus, settings.folds, seed=0), start=1):
        for device in corpus.devices:
            testing = fold.table["split"].to_numpy() == "test"
            own = fold.table["device"].to_numpy() == device
            path = experiment.out / "drums" / f"fold{number}" / f"{device}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            fold.rows(testing == own).write(path)
            others[path] = tuple(name for name in corpus.devices if name != device)
    rows = settings.rows
    pooled = pool(answers(experiment, rows, heads_of(experiment, list(others), others)))
    found = [one for name in rows for one in compared(pooled, name, PLAIN, corpus.devices)]
    facts = {"rows": list(rows), "devices": list(corpus.devices), "folds": settings.folds}
    facts |= {"labels": len(corpus.labels), "left_out": short.nunique()}
    return [Section("drums", Findings(found), facts)]


SECTIONS = {"networks": networks, "pretrained": pretrained, "drums": drums}
