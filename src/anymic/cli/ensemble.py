"""``anymic ensemble``: make one model of several that vote."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from anymic._internal.progress import progress_bar
from anymic.cli.inputs import require_both, require_choice
from anymic.cli.printing import Outcome
from anymic.errors import BundleError, ConfigError, part_of

if TYPE_CHECKING:
    from anymic.bundle import Bundle
    from anymic.bundle.voting import Voting
    from anymic.data.manifest import Manifest
    from anymic.training.ensemble_builder import Candidate


def ensemble(
    runs: list[Path],
    *,
    out: Path,
    voting: str = "soft",
    select: str | None = None,
    data: Path | None = None,
    split: str | None = None,
    cache: Path | None = None,
) -> Outcome:
    """Make one model of several that vote.

    Networks, front-ends and device profiles may differ; labels and the length and rate of clips may
    not. Members with the same front-end share its features, and those of one architecture run
    together. The result is used as any other model is, by predict, evaluate and devices policy.

    Calibrated voting needs --data: every member classifies the validation clips that were set aside
    when it was trained (each has its own), and isotonic regression on these answers calibrates its
    probabilities. Clips that a member was trained on are refused.

    The exit status is 1 if some files could not be used; they are listed.

    Example: anymic ensemble run/members/* --voting calibrated --select 'accuracy>=0.70'
    --data manifest.csv --out run/ensemble
    """
    from anymic.bundle import Ensemble
    from anymic.bundle.voting import Voting
    from anymic.training.ensemble_builder import Builder, complexity, least_accuracy

    require_choice("--voting", voting, get_args(Voting))
    chosen = cast("Voting", voting)
    if select is not None:
        least_accuracy(select)
    manifest, calibration = _clips(data, split, chosen)
    models = _load(runs)
    Ensemble(tuple(models.values()))  # those that cannot vote together are refused first
    total = len(models) if chosen == "calibrated" else 0
    with progress_bar(total, "predicting") as advance:
        builder = Builder(manifest, calibration=calibration, cache=cache, progress=advance)
        candidates = builder.candidates(models)
        found = builder.build(candidates, voting=chosen, select=select)
    found.save(out)
    size = complexity(found)
    plain = {
        "model": str(out),
        "voting": found.voting,
        "labels": list(found.labels),
        "devices": list(found.devices),
        "parameters": size.parameters,
        "multiply_accumulates": size.multiply_accumulates,
        **found.training,
    }
    lines = [
        *_votes(candidates, found.training["left_out"]),
        f"{out}: {part_of(len(found.members), len(candidates), 'member')}, {found.voting}"
        " voting,"
        f" {size.parameters:,} parameters, {size.multiply_accumulates / 1e9:.2f} G"
        " multiply-accumulates a clip",
        f"next: anymic evaluate {out} --data MANIFEST, anymic predict FILES --model {out}",
    ]
    return Outcome(plain, lines, builder.failures.values())


def _clips(
    data: Path | None, split: str | None, voting: Voting
) -> tuple[Manifest | None, Manifest | None]:
    """Return the manifest, and its clips to calibrate on where a split names them."""
    from anymic.data.reading import as_manifest
    from anymic.data.splits import clips_of_split

    if voting == "calibrated" and data is None:
        raise ConfigError(
            "--voting calibrated is given without --data",
            expected="the manifest of the training, with the validation clips",
            fix="pass --data",
        )
    both = voting == "calibrated" and data is not None
    require_both(f"--split {split}", split, "--voting calibrated and --data", both)
    manifest = None if data is None else as_manifest(data, several=None)
    if manifest is None or split is None:
        return manifest, None
    return manifest, clips_of_split(manifest, split, purpose="calibrate on")


def _load(runs: list[Path]) -> dict[str, Bundle]:
    from anymic import bundle as bundles
    from anymic.bundle import Ensemble

    models: dict[str, Bundle] = {}
    places = set()
    for run in runs:
        if run.resolve() in places:
            raise BundleError(
                f"the model {run} is given twice", expected="each model once", fix="leave one out"
            )
        places.add(run.resolve())
        model = bundles.load(run)
        if isinstance(model, Ensemble):
            raise BundleError(
                f"the model {run} is an ensemble",
                expected="single models",
                fix=f"pass its members, {run / 'members' / '*'}",
            )
        models[str(run)] = model
    return models


def _votes(candidates: list[Candidate], left_out: Collection[str]) -> Iterator[str]:
    for one in candidates:
        accuracy = "" if one.accuracy is None else f"{one.accuracy:.3f}"
        kept = "left out" if one.name in left_out else "votes"
        yield "\t".join((one.name, one.bundle.network_name, accuracy, kept))
