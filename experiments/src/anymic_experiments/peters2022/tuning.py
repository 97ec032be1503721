"""Many fine-tunings as one resumable piece of work."""

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
from anymic._internal.processes import do_all
from anymic._internal.settings import to_mapping
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.training import TrainingConfig, finetune
from anymic.training.finetuning import ANSWERS, REPORT_EPOCHS, weights_digest
from anymic_experiments.runs import TRAINING_VERSION, Outcome, Run


@dataclass(frozen=True)
class Tuning:
    """One fine-tuning and its measurements.

    Attributes
    ----------
    condition : str
        What is compared: "segment 7", say.
    start : Path
        The model's folder.
    manifest : Path
        A CSV whose `split` names the clips to train on and to measure on.
    segments : str
        See `anymic.models.choose_segments`.
    config : TrainingConfig
    """

    condition: str
    start: Path
    manifest: Path
    segments: str
    config: TrainingConfig

    @property
    def key(self) -> str:
        """A name for its folder: it changes with the model's weights, the settings or the clips."""
        plain = to_mapping(TrainingConfig())
        chosen = {k: v for k, v in to_mapping(self.config).items() if v != plain[k]}
        weights = weights_digest(Bundle.load(self.start))
        facts = [TRAINING_VERSION, weights, self.segments, chosen]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        digest.update(Manifest.read(self.manifest).digest().encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a network answered while it was fine-tuned.

    Attributes
    ----------
    tuning : Tuning
    probabilities : dict of int to array (clip, class)
        By epoch; 0 is the model as it was.
    targets : array (clip,)
    labels : tuple of str
    codecs, groups : array (clip,) of str
        What each clip was heard through, "clean" or such as "mp3 32", and its recording.
    """

    tuning: Tuning
    probabilities: dict[int, NDArray[np.float32]]
    targets: NDArray[np.int64]
    labels: tuple[str, ...]
    codecs: NDArray[np.str_]
    groups: NDArray[np.str_]

    def after(self, epoch: int, condition: str) -> Outcome:
        """Return its answers after an epoch, by codec, under the name of what is compared."""
        return Outcome(
            Run(condition, self.tuning.config, self.tuning.manifest),
            self.probabilities[epoch].astype(np.float64),
            self.targets,
            self.labels,
            self.codecs,
            self.groups,
        )


def tune_all(
    tunings: Sequence[Tuning], out: str | Path, *, workers: int = 2, progress: bool = True
) -> list[Tuned]:
    """Fine-tune and measure, each once: what is found finished in `out` is not repeated.

    Parameters
    ----------
    tunings : sequence of Tuning
    out : path
        Folder of all: a folder each, named by `Tuning.key`, and the features they share.
    workers : int
        Processes at a time; each gets its share of the processors.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    list of Tuned
        In the order of `tunings`.
    """
    out = Path(out)
    places = {tuning: out / tuning.key for tuning in tunings}
    missing = [each for each, place in places.items() if not (place / ANSWERS).is_file()]
    do_all(partial(_finish, out=out), missing, workers=workers, progress=progress)
    return [_tuned(tuning, places[tuning]) for tuning in tunings]


def _finish(tuning: Tuning, out: Path) -> None:
    machine.keep_memory()
    place = out / tuning.key
    finetune(
        Bundle.load(tuning.start),
        Manifest.read(tuning.manifest),
        place,
        config=tuning.config,
        segments=tuning.segments,
        report_epochs=REPORT_EPOCHS,
        resume=place.is_dir(),
        progress=False,
        cache=out / "features",
    )
    shutil.rmtree(place / "checkpoints", ignore_errors=True)


def _tuned(tuning: Tuning, place: Path) -> Tuned:
    with np.load(place / ANSWERS) as found:
        epochs = found["epochs"].tolist()
        return Tuned(
            tuning,
            dict(zip(epochs, found["probabilities"], strict=True)),
            targets=found["targets"],
            labels=tuple(found["labels"].tolist()),
            codecs=found["codecs"],
            groups=found["groups"],
        )
