"""Test clips heard in every way: device stated, identified, mistaken; unknown, blind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anymic._internal.files import write_arrays
from anymic._internal.machine import processors
from anymic._internal.processes import do_all
from anymic.bundle import Bundle, InputContract
from anymic.data.checks import require_all_usable
from anymic.data.manifest import Manifest, concatenate
from anymic.devices.correction.blind import MeanSpectrum
from anymic.devices.identification.identifier import DeviceIdentifier
from anymic.inference.predictor import Predictor
from anymic_experiments.kosmider2019.grid import REAL_REFERENCE, SUBMITTED
from anymic_experiments.runs import Run

KNOWN = ("A", "B", "C")
VERSION = 1  # raise it when the same networks begin to hear otherwise
ROUTING_VERSION = 2  # raise it when identifiers begin to name otherwise
CLIPS = 40  # that the identifier learns each device from
BATCHES = (1, 10, 80)  # recordings of one device that blind gains are estimated from
STATED, IDENTIFIED, WRONG = "device stated", "device identified", "taken for another device"
HEARD_AS_IS, ROUTED = "heard as it is", "identified or blind, clip by clip"
VIRTUAL, REAL = "B+C", "A"
REFERENCES = {SUBMITTED.name: VIRTUAL, REAL_REFERENCE: REAL}
ALL_KNOWN, STRANGERS = "A, B and C", "never met"


def blind(recordings: int) -> str:
    """Return the name of hearing with gains from so many recordings of the device."""
    return f"blind, {recordings} recording" + ("s" if recordings > 1 else "")


@dataclass(frozen=True, eq=False)
class Answers:
    """How often each test clip was right, by reference and way of hearing.

    Attributes
    ----------
    hits : dict of (reference, way) to array (clip,)
        Folds and seeds behind each other. A, B and C are heard in some ways, strangers in others.
    devices, groups : dict of str to array (clip,)
        By way: the device and the recording of each clip.
    """

    hits: dict[tuple[str, str], NDArray[np.float64]]
    devices: dict[str, NDArray[np.str_]]
    groups: dict[str, NDArray[np.str_]]


@dataclass(frozen=True, eq=False)
class Hearing:
    """A run whose network is to hear the test clips of a fold."""

    run: Run
    fold: Path
    identifier: DeviceIdentifier


def hear(
    runs: Sequence[Run],
    places: Path,
    identification: Mapping[Path, Path],
    *,
    progress: bool = True,
) -> Answers:
    """Let trained networks hear every test clip in every way.

    Parameters
    ----------
    runs : sequence of Run
        Of the submitted network, with the virtual and with the real reference.
    places : Path
        The folder of the runs, where their bundles are, and where their answers are kept.
    identification : mapping of Path to Path
        From each run's manifest to that of the same fold, heard by more devices.
    progress : bool
    """
    folds = [identification[run.manifest] for run in runs]
    missing = [
        (run, fold)
        for run, fold in zip(runs, folds, strict=True)
        if not all(kept.is_file() for kept in _kept(run, places, fold))
    ]
    identifiers = {fold: _identifier(Manifest.read(fold)) for _, fold in missing}
    jobs = [Hearing(run, fold, identifiers[fold]) for run, fold in missing]
    work = partial(_hear, places=places)
    do_all(work, jobs, workers=processors(), progress=progress, doing="hearing")
    each = [_heard(run, places, fold) for run, fold in zip(runs, folds, strict=True)]
    hits: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    facts: dict[str, list[pd.DataFrame]] = {}
    for run, ways in zip(runs, each, strict=True):
        reference = REFERENCES[run.condition]
        for way, (manifest, right) in ways.items():
            hits.setdefault((reference, way), []).append(right)
            if reference == VIRTUAL:
                facts.setdefault(way, []).append(manifest.table)
    tables = {way: pd.concat(parts) for way, parts in facts.items()}
    return Answers(
        {key: np.concatenate(parts) for key, parts in hits.items()},
        {way: table["device"].to_numpy(dtype=str) for way, table in tables.items()},
        {way: table["group"].to_numpy(dtype=str) for way, table in tables.items()},
    )


def _identifier(fold: Manifest) -> DeviceIdentifier:
    """Fit on `CLIPS` training clips of each known device; others show where to stop."""
    training = fold.where(split="train")
    held_out = [name for name in training.devices if name not in KNOWN]
    chosen = [
        training.where(device=name).rows(np.arange(CLIPS) * (count // CLIPS))
        for name in (*KNOWN, *held_out)
        if (count := len(training.where(device=name)))
    ]
    return DeviceIdentifier().fit(concatenate(chosen), held_out=held_out)


Heard = dict[str, tuple[Manifest, NDArray[np.float64]]]


def _kept(run: Run, places: Path, fold: Path) -> tuple[Path, Path]:
    """Return where the answers of ways without an identifier are kept, and of those with one."""
    digest = Manifest.read(fold).digest()[:8]
    folder = places / run.key
    return (
        folder / f"heard-{VERSION}-{digest}.npz",
        folder / f"routed-{ROUTING_VERSION}-{digest}.npz",
    )


def _hear(job: Hearing, places: Path) -> None:
    """Let a network hear the clips in the ways whose answers are not kept yet, and keep them."""
    run = job.run
    known, strangers = _tested(job.fold)
    plain, routed = _kept(run, places, job.fold)
    if not plain.is_file():
        _keep(plain, _listen(run, places, known, strangers))
    if not routed.is_file():
        _keep(routed, _route(run, places, known, strangers, job.identifier))


def _heard(run: Run, places: Path, fold: Path) -> Heard:
    """Return, by way, the clips heard and whether each was right."""
    known, strangers = _tested(fold)
    found: dict[str, NDArray[np.float64]] = {}
    for kept in _kept(run, places, fold):
        with np.load(kept) as answers:
            found |= {way: answers[way] for way in answers.files}
    ours = (STATED, IDENTIFIED, WRONG)
    return {way: (known if way in ours else strangers, right) for way, right in found.items()}


def _tested(fold: Path) -> tuple[Manifest, Manifest]:
    """Return the test clips of known devices, and those of strangers."""
    test = Manifest.read(fold).where(split="test")
    strangers = [name for name in test.devices if name not in KNOWN]
    return test.where(device=list(KNOWN)), test.where(device=strangers)


def _keep(place: Path, answers: Mapping[str, NDArray[np.float64]]) -> None:
    write_arrays(place, **answers)


def _listen(
    run: Run, places: Path, known: Manifest, strangers: Manifest
) -> dict[str, NDArray[np.float64]]:
    """Return, by way that asks no identifier, whether each clip was right."""
    plain = Bundle.load(places / run.key)
    deaf = _deaf(run, plain)
    ways = {
        STATED: _right(plain, known),
        WRONG: _wrong(plain, known),
        HEARD_AS_IS: _right(plain, strangers),
    }
    for recordings in BATCHES:
        ways[blind(recordings)] = _right(deaf, _in_batches(strangers, recordings))
    return ways


def _route(
    run: Run, places: Path, known: Manifest, strangers: Manifest, identifier: DeviceIdentifier
) -> dict[str, NDArray[np.float64]]:
    """Return whether each clip of unstated device was right."""
    routed = replace(_deaf(run, Bundle.load(places / run.key)), identifier=identifier)
    return {
        IDENTIFIED: _right(routed, _unstated(known)),
        ROUTED: _right(routed, _unstated(strangers)),
    }


def _deaf(run: Run, plain: Bundle) -> Bundle:
    """Return the bundle with blind gains for what is unknown, and no identifier."""
    corpus = Manifest.read(run.manifest)
    trained = set(plain.fitted_on["weights"])
    rows = [row for row, clip in enumerate(corpus.clip_ids()) if clip in trained]
    spectrum = MeanSpectrum.measure(corpus.rows(rows), plain.profile)
    return replace(plain, spectrum=spectrum, contract=_unknown(plain, "blind"))


def _unstated(manifest: Manifest) -> Manifest:
    return manifest.with_columns(device=np.full(len(manifest), ""))


def _unknown(bundle: Bundle, policy: Literal["identity", "blind", "refuse"]) -> InputContract:
    return replace(bundle.contract, unknown_device=policy)


def _right(bundle: Bundle, manifest: Manifest) -> NDArray[np.float64]:
    heard = Predictor(bundle).predict_manifest(manifest)
    require_all_usable(heard.failures, what="test clips")
    names = np.array(bundle.labels)[heard.probabilities.argmax(axis=1)]
    right: NDArray[np.float64] = (names == manifest.table["label"].to_numpy()).astype(float)
    return right


def _wrong(bundle: Bundle, manifest: Manifest) -> NDArray[np.float64]:
    """Return the mean over the two devices that each clip is not of."""
    turned = {1: dict(zip(KNOWN, KNOWN[1:] + KNOWN[:1], strict=True))}
    turned[2] = {name: turned[1][other] for name, other in turned[1].items()}
    devices = manifest.table["device"]
    each = [
        _right(bundle, manifest.with_columns(device=devices.map(names)))
        for names in turned.values()
    ]
    mean: NDArray[np.float64] = np.mean(each, axis=0)
    return mean


def _in_batches(manifest: Manifest, recordings: int) -> Manifest:
    """Call so many random recordings of a device by one unknown name, the next by another."""
    names = manifest.table["device"].to_numpy(dtype=object).copy()
    for device in manifest.devices:
        rows = np.flatnonzero(manifest.table["device"] == device)
        order = np.random.default_rng(0).permutation(len(rows))
        names[rows[order]] = [f"{device} {place // recordings}" for place in range(len(rows))]
    return manifest.with_columns(device=names)
