"""Train the members of an ensemble on one corpus, each on its own random split."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic._internal.folder_lock import one_at_a_time
from anymic._internal.process_state import left_as_found
from anymic._internal.processes import in_processes, visible_gpus
from anymic._internal.processors import processors
from anymic._internal.progress import on_terminal, track
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.data.splits import development
from anymic.errors import ConfigError
from anymic.features import Frontend
from anymic.features.feature_store import open_features
from anymic.training.config import TrainingConfig
from anymic.training.fitting import fit
from anymic.training.from_data import divides, in_windows, settle
from anymic.training.parts import in_one_order
from anymic.training.run import TrainingRun

if TYPE_CHECKING:
    import pandas as pd

MEMBERS = "members"


@one_at_a_time
@left_as_found()
def fit_members(
    manifest: Manifest | pd.DataFrame,
    config: TrainingConfig,
    out: str | Path,
    *,
    members: int,
    workers: int | None = None,
    progress: bool = True,
    cache: str | Path | None = None,
    trainer: Mapping[str, Any] | None = None,
    ray: str | None = None,
) -> list[Path]:
    """Train models that differ in their seed, and so in weights, order and validation clips.

    The clips whose split is "train" or "validation" (all, without a column `split`) are divided
    again for each member, by whole groups. Members that are complete are not trained again, and
    interrupted ones continue.

    Parameters
    ----------
    manifest : Manifest or pandas.DataFrame
    config : TrainingConfig
        Those of the first member; the next members have the next seeds.
    out : path
        Folder for members/00, members/01, ..., each a bundle with its logs.
    members : int
    workers : int, optional
        Number of trainings at a time, each in its own process; by default one for each GPU, else
        one for each core.
    progress : bool
        Show a progress bar of the members, or print a line each where stderr is no terminal.
    cache : path, optional
        Folder for the features that all members share, by default `out`/features. With spectrum
        correction each member has its own gains and so its own features, which are deleted after
        its training.
    trainer, ray
        As for `fit`; a cluster computes the features that all members share.

    Returns
    -------
    list of Path
        The bundles, in order.

    Raises
    ------
    ManifestError
        As for `fit`.
    ConfigError
        If the folder holds members with other settings or clips, or as for `fit`.
    """
    if members < 1 or (workers is not None and workers < 1):
        raise ConfigError(
            f"members is {members}, and workers is {workers}",
            expected="at least one of each",
        )
    pool = development(as_manifest(manifest, several=config.several))
    settled, _ = settle(config, pool)
    if divides(config):
        pool = in_windows(pool, settled.length.clip_s)
    digits = max(2, len(str(members - 1)))
    places = [Path(out) / MEMBERS / f"{number:0{digits}}" for number in range(members)]
    shared = None if config.correction else Path(cache or Path(out) / "features")
    jobs: list[dict[str, Any]] = []
    for number, place in enumerate(places):
        own = replace(settled, seed=config.seed + number)
        # Before anything is trained: a folder with another training, and clips that cannot be
        # divided, are refused.
        begun = TrainingRun(pool, own, place).has_begun()
        if begun and (place / "bundle.json").is_file():
            _remove_own_features(place, shared)  # of a run that was killed just before it
        else:
            job = {"manifest": pool, "config": own, "out": place, "resume": place.is_dir()}
            jobs.append({**job, "progress": False, "cache": shared, "trainer": dict(trainer or {})})
    if shared is not None and jobs:
        frontend = Frontend(settled.frontend)
        open_features(in_one_order(pool), frontend, shared, length=settled.length, ray=ray)
    may_use_gpus = (trainer or {}).get("accelerator", "auto") in ("auto", "gpu", "cuda")
    gpus = visible_gpus() if may_use_gpus else []
    at_once = min(workers or len(gpus) or processors(), max(1, len(jobs)))
    done = in_processes(_train, jobs, workers=at_once, gpus=gpus)
    for job, _ in track(done, len(jobs), "training", shown=progress):
        if progress and not on_terminal():
            print(f"trained {job['out']}", file=sys.stderr, flush=True)
    return places


def _train(job: dict[str, Any]) -> None:
    fit(**job)
    _remove_own_features(job["out"], job["cache"])


def _remove_own_features(place: Path, shared: Path | None) -> None:
    if shared is None:
        shutil.rmtree(place / "features", ignore_errors=True)
