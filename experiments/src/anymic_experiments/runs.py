"""Many training runs as one resumable piece of work: conditions x folds x seeds."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic._internal import machine
from anymic._internal.files import write_arrays
from anymic._internal.processes import do_all
from anymic._internal.settings import to_mapping
from anymic.codecs.conditions import codec_names
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError
from anymic.inference.predictor import Predictor
from anymic.training import TrainingConfig, fit

RESULT = "test.npz"
# Raise it when the same settings and clips begin to give other weights, rounding apart: a stored
# run is as good as one on another processor.
FIRST_FRONTEND = (  # the front-end's settings when the first runs were named: these never change
    *("rate_hz", "fft_size", "hop_samples", "bands", "low_hz", "high_hz"),
    *("mel_scale", "mel_norm", "power", "log_offset"),
)
TRAINING_VERSION = 1


@dataclass(frozen=True)
class Run:
    """One training and its test.

    Attributes
    ----------
    condition : str
        What is compared: "no correction", say.
    config : TrainingConfig
    manifest : Path
        A CSV whose `split` names the training and test clips.
    """

    condition: str
    config: TrainingConfig
    manifest: Path

    @property
    def key(self) -> str:
        """A name for the run's folder that changes with its settings or its clips."""
        # Only what differs from the defaults: a setting that is new changes no old run's name.
        plain = to_mapping(TrainingConfig())
        chosen = {k: v for k, v in to_mapping(self.config).items() if v != plain[k]}
        if chosen.get("correction", {}).get("domain") == "magnitude":  # new inside an old setting
            del chosen["correction"]["domain"]
        if "frontend" in chosen:  # so are all of its that were not there at first
            chosen["frontend"] = {
                name: value
                for name, value in chosen["frontend"].items()
                if name in FIRST_FRONTEND or value != plain["frontend"][name]
            }
        settings = json.dumps([TRAINING_VERSION, chosen], sort_keys=True)
        digest = hashlib.sha256(settings.encode())
        digest.update(Manifest.read(self.manifest).digest().encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """What a run predicted for its test clips.

    Attributes
    ----------
    run : Run
    probabilities : array (clip, class)
    targets : array (clip,)
        True class numbers.
    labels : tuple of str
    devices, groups : array (clip,) of str
        The device that heard each clip, in a corpus without devices the codec (such as "mp3 32",
        or "clean"); and the recording it was cut from.
    """

    run: Run
    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    labels: tuple[str, ...]
    devices: NDArray[np.str_]
    groups: NDArray[np.str_]


def train_all(
    runs: Sequence[Run], out: str | Path, *, workers: int = 2, progress: bool = True
) -> list[Outcome]:
    """Train and test every run, each once: what is found finished in `out` is not repeated.

    Parameters
    ----------
    runs : sequence of Run
    out : path
        Folder of all runs: a folder each, named by `Run.key`, and the features they share.
    workers : int
        Processes at a time; each gets its share of the processors.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    list of Outcome
        In the order of `runs`.

    Raises
    ------
    AnymicError
        If a test clip cannot be used.
    """
    out = Path(out)
    places = {run: out / run.key for run in runs}
    missing = [run for run, place in places.items() if not (place / RESULT).is_file()]
    do_all(partial(_finish, out=out), missing, workers=workers, progress=progress)
    return [_outcome(run, places[run]) for run in runs]


def _finish(run: Run, out: Path) -> None:
    """Train one run, test it, and write the result last, so that a half-done run is redone."""
    machine.keep_memory()
    place, cache = out / run.key, out / "features"
    manifest = Manifest.read(run.manifest)
    bundle = fit(manifest, run.config, place, resume=place.is_dir(), progress=False, cache=cache)
    test = manifest.where(split="test")
    predictions = Predictor(bundle).predict_manifest(test)
    if predictions.failures:
        failure = predictions.failures[0]
        raise AnymicError(
            f"{len(predictions.failures)} test clips that cannot be used ({failure.reason})",
            fix="check the corpus with `anymic data prepare`",
        )
    table = test.table
    heard_by = table["device"].to_numpy(dtype=str) if "device" in table else codec_names(test)
    facts = {
        "labels": np.array(bundle.labels),
        "targets": test.targets(bundle.labels),
        "devices": heard_by,
        "groups": table["group"].to_numpy(dtype=str),
    }
    write_arrays(place / RESULT, probabilities=predictions.probabilities, **facts)
    shutil.rmtree(place / "checkpoints", ignore_errors=True)


def _outcome(run: Run, place: Path) -> Outcome:
    with np.load(place / RESULT) as found:
        return Outcome(
            run,
            probabilities=found["probabilities"],
            targets=found["targets"],
            labels=tuple(found["labels"].tolist()),
            devices=found["devices"],
            groups=found["groups"],
        )
