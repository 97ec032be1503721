"""What a training starts from: a pretrained extractor where one is installed, or random weights."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic._internal.progress import progress_bar
from anymic.bundle import Bundle
from anymic.bundle.installed import installed, resolve
from anymic.data.manifest import Manifest
from anymic.data.tables import some
from anymic.errors import ConfigError
from anymic.training.config import TrainingConfig, as_config, load_config
from anymic.training.fitting import fit
from anymic.training.head_settings import (
    USED_BY_LOGISTIC,
    copies_note,
    head_config,
    heads,
    require_used,
)
from anymic.training.heads import fit_head
from anymic.training.held_out import REPORT, HeldOut, Measured, fit_and_measure

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

EXTRACTORS = ("yamnet",)  # taken by themselves where they are installed, the best one first
NONE = "none"
OF_BOTH = USED_BY_LOGISTIC  # settings of every head and of a network
PRESET = "small"  # from random weights
MOST_CLIPS = 20_000  # of logistic regression, whose time grows faster than that of other heads


@dataclass(frozen=True, eq=False)
class Start:
    """What a training starts from.

    Attributes
    ----------
    config : TrainingConfig
        Of the head, where there is an extractor; else of the network.
    extractor : Bundle or None
        The model whose embeddings a head classifies; None for random weights.
    notes : tuple of str
        Sentences that say what was chosen, and what would have been better.
    """

    config: TrainingConfig
    extractor: Bundle | None = None
    notes: tuple[str, ...] = ()

    def fit(
        self, clips: Manifest, out: str | Path, options: FitOptions, *, held_out: HeldOut
    ) -> Measured:
        """Train on clips and write the model to `out`; measure it where clips are to be set aside.

        With an extractor, `training["notes"]` of the bundle lists what was chosen.
        """
        # Once, however many folds there are.
        options = replace(options, on_start=options.on_start and functools.cache(options.on_start))
        once = functools.partial(self._fit, options=options)
        if not held_out.wanted:
            return Measured(once(clips, Path(out)), None, "")
        return fit_and_measure(
            once,
            clips,
            out,
            held_out=replace(held_out, group_from=None),
            seed=self.config.seed,
            progress=options.progress,
        )

    def _fit(self, clips: Manifest, out: Path, *, options: FitOptions) -> Bundle:
        if self.extractor is None:
            return fit(clips, self.config, out, **vars(options))
        if options.ray is not None:
            raise ConfigError(
                "a cluster is given for a head on embeddings",
                expected="a network, whose features it computes",
                fix="leave it out, add a preset, or compute embeddings on the cluster with"
                " `anymic embed`, and train a head on them with `anymic train-head`",
            )
        with progress_bar(len(clips), "embedding", shown=options.progress) as advance:
            return fit_head(
                clips,
                self.extractor,
                self.config,
                out,
                cache=options.cache,
                progress=advance,
                trainer=options.trainer,
                on_start=options.on_start,
                notes=self.notes,
            )


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How a training runs, apart from what it starts from: the arguments of `training.fit`.

    A head on embeddings uses `progress`, `cache`, `trainer` and `on_start` alone.
    """

    network: nn.Module | None = None
    resume: bool = False
    progress: bool = True
    cache: str | Path | None = None
    trainer: Mapping[str, Any] | None = None
    ray: str | None = None
    on_start: Callable[[], object] | None = None


def choose_start(
    manifest: Manifest,
    config: TrainingConfig | str | None = None,
    *,
    extractor: str | Path | Bundle | None = None,
    head: str | None = None,
    changes: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> Start:
    """Choose what a training starts from.

    Where neither settings, nor an extractor, nor a head are given, this is the installed extractor,
    or else the preset "small". With settings, and without an extractor or a head, it is a network
    from random weights. Settings of every head (`targets`, `validation_share`, `random_devices`,
    `codecs` and `seed`) alone do not count.

    Parameters
    ----------
    manifest : Manifest
        Its number of clips chooses the head: "logistic" up to 20,000, then "dense".
    config : TrainingConfig or str, optional
        With an extractor, the settings of the head's training.
    extractor : str, path or Bundle, optional
        The name of an installed model, the folder of one, or "none" for random weights.
    head : str, optional
        A key of `anymic.training.head_settings.heads`: logistic, dense, attention or lstm.
    changes : mapping, optional
        Settings to replace in `config`, or in those of the head or the preset that is chosen.
    seed : int, optional
        By default that of the settings.

    Raises
    ------
    ConfigError
        If there is no such head, no extractor for it, or it does not use one of `changes`.
    BundleError
        If the extractor cannot be loaded.
    """
    if head is not None:
        _check_head(head, extractor)
    changes = dict(changes or {}) | ({} if seed is None else {"seed": seed})
    given = extractor is not None and extractor != NONE
    stated = sorted({key.split(".")[0] for key in changes} - OF_BOTH)
    if not given and head is None:
        if config is not None:
            return Start(as_config(config, changes))
        if stated:
            return _from_scratch(chosen=extractor is None, changes=changes, stated=stated)
    found = _extractor(None if extractor == NONE else extractor, wanted=extractor != NONE)
    if found is None:
        if head is not None:
            raise ConfigError(
                f"a head ({head}) is given, and no extractor is installed",
                expected="an extractor, whose embeddings the head classifies",
                fix="import one with `anymic import yamnet`, or leave the head out",
            )
        return _from_scratch(chosen=extractor is None, changes=changes)
    bundle, name = found
    said = []
    if not given:
        said.append(f"extractor: {name}, which is installed; its weights do not change")
    if head is None and config is None:
        head = "logistic" if len(manifest) <= MOST_CLIPS else "dense"
        rule = "at most" if head == "logistic" else "more than"
        said.append(f"head: {head}, for {rule} {MOST_CLIPS:,} clips (here {len(manifest):,})")
    if config is None:
        assert head is not None
        settings = head_config(heads()[head], clips=len(manifest), changes=changes)
    else:
        settings = as_config(config, changes)
        settings = settings if head is None else replace(settings, network=heads()[head])
        require_used(settings.network, changes)
    return Start(settings, bundle, (*said, *copies_note(settings)))


def train(
    manifest: Manifest | pd.DataFrame | str | Path,
    config: TrainingConfig | str | None = None,
    out: str | Path | None = None,
    *,
    extractor: str | Path | Bundle | None = None,
    head: str | None = None,
    changes: Mapping[str, Any] | None = None,
    seed: int | None = None,
    network: nn.Module | None = None,
    resume: bool = False,
    progress: bool = True,
    cache: str | Path | None = None,
    trainer: Mapping[str, Any] | None = None,
    ray: str | None = None,
    test_share: float | None = None,
    folds: int | None = None,
    group_from: str | None = None,
) -> Bundle:
    """Train a classifier and write it to `out` as a bundle.

    Without `config` it is a head on the embeddings of the pretrained extractor that is installed,
    or, where none is, a small network from random weights. What was chosen is printed on stderr
    with `progress`; with an extractor it stands in `training["notes"]` of the bundle, too.

    Parameters
    ----------
    manifest : Manifest, DataFrame or path
        A path is a CSV file or a folder of one folder per label.
    config : TrainingConfig or str, optional
        The settings of a network that is trained from random weights; with `extractor` or `head`
        those of the head.
    out : path
        The folder of the model.
    extractor, head, changes, seed
        See `choose_start`.
    network, resume, progress, trainer, ray
        See `anymic.training.fit`; an own network is trained in place of everything else.
    cache : path, optional
        Folder for features or embeddings; several trainings may share it.
    test_share, folds, group_from
        Set clips aside and measure the model on them, beside a simple baseline: see
        `anymic.training.held_out.HeldOut` and `fit_and_measure`. The report is `out`/report.

    Returns
    -------
    Bundle
        `training["held_out"]` has the result on the clips that were set aside.

    Raises
    ------
    ConfigError
        As `choose_start` and `anymic.training.fit`.

    Examples
    --------
    >>> import anymic
    >>> changes = {"epochs": 1, "batch_size": 8}
    >>> bundle = anymic.train(
    ...     "sounds/", "small", "trained", extractor="none", changes=changes, progress=False
    ... )
    >>> bundle.labels
    ('bus', 'park', 'street_traffic')
    """
    if out is None:
        raise ConfigError(
            "no folder for the model is given", expected="a path as `out`", fix="add out='run'"
        )
    held_out = HeldOut(test_share, folds, group_from, several=several_labels(config, changes))
    clips = held_out.grouped(manifest)
    if network is None:
        start = choose_start(
            clips, config, extractor=extractor, head=head, changes=changes, seed=seed
        )
    else:
        start = Start(as_config(PRESET if config is None else config, changes))

    def announce() -> None:
        if progress and start.notes and sys.stderr is not None:
            print(*start.notes, sep="\n", file=sys.stderr, flush=True)

    options = FitOptions(
        network=network,
        resume=resume,
        progress=progress,
        cache=cache,
        trainer=trainer,
        ray=ray,
        on_start=announce,
    )
    found = start.fit(clips, out, options, held_out=held_out)
    if found.evaluation is not None:
        found.evaluation.write(Path(out) / REPORT)
    return found.bundle


def several_labels(
    config: TrainingConfig | str | None, changes: Mapping[str, Any] | None = None
) -> bool:
    """Return whether the settings of a training say that a clip may have several labels."""
    return as_config(PRESET if config is None else config, changes).several


def _extractor(
    wanted_one: str | Path | Bundle | None, *, wanted: bool
) -> tuple[Bundle, str] | None:
    """Return the extractor that is given, else the first that is installed; None without one."""
    if isinstance(wanted_one, Bundle):
        return wanted_one, wanted_one.network_name
    if wanted_one is not None:
        return Bundle.load(resolve(wanted_one)), str(wanted_one)
    for name in EXTRACTORS if wanted else ():
        if (place := installed(name)) is not None:
            return Bundle.load(place), name
    return None


def _check_head(head: str, extractor: str | Path | Bundle | None) -> None:
    if head not in heads():
        raise ConfigError(
            f"the head is {head!r}", expected=f"one of {', '.join(heads())}", fix="choose one"
        )
    if extractor == NONE:
        raise ConfigError(
            f"a head ({head}) is given, and no extractor",
            expected="an extractor, whose embeddings the head classifies",
            fix="leave the head out, or name an extractor",
        )


def _from_scratch(*, chosen: bool, changes: Mapping[str, Any], stated: Sequence[str] = ()) -> Start:
    notes = [f"a network from random weights, with the settings of the preset {PRESET}"]
    unused = next((name for name in EXTRACTORS if installed(name) is not None), None)
    if chosen and stated and unused is not None:
        notes.append(
            f"{unused}, which is installed, is not used, because {some(stated)} is set;"
            " name it as the extractor to train a head on its embeddings"
        )
    elif chosen and not stated:
        notes.append(
            "no pretrained extractor is installed; with one, a training needs fewer clips and less"
            " time for better results: anymic import yamnet"
        )
    return Start(load_config(PRESET, changes=changes), None, tuple(notes))
