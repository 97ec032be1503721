"""``anymic import yamnet``: make a model of the weights of YAMNet."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.inputs import require_both, require_place
from anymic.cli.printing import Outcome
from anymic.errors import ConfigError, counted

NAME = "yamnet"


def import_yamnet(
    weights: Path | None = None,
    *,
    out: Path | None = None,
    download: bool = False,
    quantized: bool = False,
) -> Outcome:
    """Install YAMNet, a network that was trained on the 521 sounds of AudioSet.

    It describes 0.96 s of sound by 1024 numbers, from which classifiers are trained with few clips
    (`anymic train`), and names AudioSet's classes itself (`anymic predict x.wav --model yamnet`).
    The weights are those of a file, or are downloaded from their publishers (Apache-2.0) and
    verified. The model then answers a synthetic sound, so that other weights are refused. No code
    in a file is run.

    Without --out it is installed for this user: in the folder of the environment variable
    ANYMIC_MODELS, else in ~/.cache/anymic/models. Every --model then takes the name yamnet.

    Example: anymic import yamnet --download
    """
    from anymic.bundle.installed import models_folder
    from anymic.importers import yamnet

    if download == (weights is not None):
        raise ConfigError(
            ("more than one" if download else "no") + " source of weights is given",
            expected="one of WEIGHTS and --download",
            fix="see anymic import yamnet --help",
        )
    require_both("--quantized", quantized, "--download", download)
    place = out or models_folder() / NAME
    require_place(place)
    if weights is None:
        weights = yamnet.fetch(models_folder() / "downloads", quantized=quantized)
    bundle = yamnet.import_yamnet(weights)
    bundle.save(place)
    count = sum(value.numel() for value in bundle.network.parameters())
    outcome = {"out": str(place), "weights": count, "from": bundle.training["imported"]}
    lines = [f"{place}  YAMNet, {count:,} weights, {counted(len(bundle.labels), 'label')}"]
    lines.append(f"next: anymic predict FILES --model {NAME if out is None else out}")
    return Outcome(outcome, lines)
