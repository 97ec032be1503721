"""The heads by name, and the settings of a head's training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anymic import models
from anymic._internal.settings import to_mapping
from anymic.errors import ConfigError, counted
from anymic.training.config import TrainingConfig, load_config

LINEAR = "linear_head"
PRESET = "head"
COPIES = 2  # of each clip, through random devices; benchmarks/random_devices.py
MOST_COPIED = 5000  # clips: embeddings and the fit of more take long
# Settings that a head does not use: its features are embeddings, and its name is chosen apart.
OF_NETWORKS = {"network", "width", "frontend", "correction", "clip_s", "from_data"}
OF_NETWORKS |= {"other_rates", "shorter", "longer"}
USED_BY_LOGISTIC = {"seed", "targets", "validation_share", "random_devices", "codecs"}


def heads() -> dict[str, str]:
    """Return the registered name of every head by its short name: "lstm" is "lstm_head"."""
    names = sorted(spec.name for spec in models.NETWORKS.specs() if spec.head)
    return {"logistic" if name == LINEAR else name.removesuffix("_head"): name for name in names}


def head_config(
    head: str, *, clips: int = 0, seed: int = 0, changes: Mapping[str, Any] | None = None
) -> TrainingConfig:
    """Return the usual settings of a head's training: those of the preset "head".

    Logistic regression sets no clips aside, because it chooses its regularization by
    cross-validation; with several labels a clip it does, to choose the thresholds of the labels. It
    is also trained on `COPIES` copies of each clip through random devices, which need audio, unless
    there are more than `MOST_COPIED` clips.

    Parameters
    ----------
    head : str
        Its registered name.
    clips : int
        How many there are.
    seed : int
    changes : mapping, optional
        Settings to replace, as for `anymic.training.load_config`.

    Raises
    ------
    ConfigError
        If the head does not use a setting that is replaced, or there is no such setting.
    """
    require_used(head, changes or {})
    usual: dict[str, Any] = {"network": head, "seed": seed}
    if head == LINEAR and clips <= MOST_COPIED:
        usual["random_devices"] = {"copies": COPIES}
    if head == LINEAR and (changes or {}).get("targets") != "several":
        usual["validation_share"] = 0
    return load_config(PRESET, changes={**usual, **(changes or {})})


def refuse_network_codecs(config: TrainingConfig) -> None:
    """Raise ConfigError for settings of codecs that only networks use."""
    codecs = config.codecs
    if codecs is not None and (codecs.consistency or codecs.masks):
        raise ConfigError(
            "a head on embeddings has no consistency between versions, nor masks",
            expected="codecs.consistency and codecs.masks for networks only",
            fix="leave them out",
        )


def copies_note(config: TrainingConfig) -> list[str]:
    """Return a sentence on the copies of training clips, or none where there are no copies."""
    devices = config.random_devices
    if devices is None or not devices.copies:
        return []
    own = "" if devices.responses is None else f" with the responses of {devices.responses}"
    return [
        f"each training clip also trains through {counted(devices.copies, 'random device')}{own}"
        " (random_devices.copies)"
    ]


def require_used(head: str, changes: Mapping[str, Any]) -> None:
    """Raise ConfigError for settings that a head does not use."""
    used = set(to_mapping(TrainingConfig())) - OF_NETWORKS
    used = USED_BY_LOGISTIC if head == LINEAR else used
    unused = [
        key
        for key in changes
        if (name := key.split(".")[0]) in TrainingConfig.__dataclass_fields__ and name not in used
    ]
    if unused:
        short = next(short for short, name in heads().items() if name == head)
        raise ConfigError(
            f"the head {short} does not use {', '.join(unused)}",
            expected=", ".join(sorted(used)) + ", where a setting is changed",
            fix="leave other settings out, or choose another head",
        )


def require_head(name: str, *, segments: int | None, hidden: int | None) -> None:
    """Raise ConfigError if a network is no head, or there is no segment to classify."""
    known = heads().values()
    if name not in known or (segments is not None and segments < 1):
        raise ConfigError(
            f"the head is {name!r} on {segments} segments",
            expected=f"one of {', '.join(known)}, on 1 or more segments",
            fix="choose another head or number of segments",
        )
    if name == LINEAR and hidden is not None:
        raise ConfigError(
            f"a linear head with a hidden width of {hidden}",
            expected="no width: it has one layer",
            fix="leave the width out, or choose another head",
        )
