"""A classifier on top of an embedding: its head trained on sequences that are computed once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import models
from anymic._internal.files import key_of, write_arrays
from anymic._internal.settings import to_mapping
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.errors import BundleError, ConfigError, Failure, ManifestError
from anymic.features import Frontend, FrontendConfig, Standardizer
from anymic.features.patches import patch_distance_s, patch_length_s
from anymic.inference.embedder import SequenceEmbedder
from anymic.models.tagger import Tagger
from anymic.training import TrainingConfig
from anymic.training.loop.trainer import train
from anymic.training.parts import Examples, Parts, split

SEGMENT_S = 0.96  # of the models that are no VGGish
SEGMENTS = 6  # Xu 2018, table 4: the best number


def fit_head(
    manifest: Manifest,
    embedder: Bundle,
    config: TrainingConfig,
    out: str | Path,
    *,
    segments: int = SEGMENTS,
    hidden: int | None = None,
    cache: str | Path | None = None,
    progress: Callable[[int], None] | None = None,
    trainer: Mapping[str, Any] | None = None,
) -> Bundle:
    """Train a head on the embeddings of a model and write both to `out` as one bundle.

    The bundle hears windows of so many segments: a shorter clip is repeated, a longer one is split
    into windows whose probabilities are averaged. The sequences that train are those that it will
    hear, cut and computed by the same code; a clip of several windows is as many examples. They
    are kept in `cache` and shared by every head of as many segments.

    Parameters
    ----------
    manifest : Manifest
        Clips of any length. Its splits, or validation clips set aside, as for `training.fit`.
    embedder : Bundle
        A VGGish, imported or trained, or a model of basic1, basic2 or fcnn, whose pooled features
        of each segment are heard. It is not changed, nor trained.
    config : TrainingConfig
        `network` is the head: dense_head, lstm_head or attention_head. Front-end, correction,
        clip length and codecs are the embedder's, and not looked at.
    out : path
    segments : int
        That the head hears at once.
    hidden : int, optional
        Width of the head; by default 600, as in the paper.
    cache : path, optional
        A folder; by default `out`/features.
    progress : callable, optional
        Told the number of clips heard since the last call.
    trainer : mapping, optional
        Arguments of `pytorch_lightning.Trainer`.

    Raises
    ------
    BundleError
        If the model is none of these.
    ConfigError
        If `config.network` is no head, or there is no segment.
    ManifestError
        If there are no training clips, one label only, or a label of which none can be used.
    """
    require_head(config.network, segments=segments)
    out = Path(out)
    parts = split(manifest, config)
    labels = parts.training.labels
    bundle = untrained(
        embedder, labels, config.network, segments=segments, hidden=hidden, seed=config.seed
    )
    sequences = open_sequences(
        parts.together, bundle, Path(cache or out / "features"), progress=progress
    )
    data = _examples(parts, sequences)
    tagger = bundle.network
    assert isinstance(tagger, Tagger)
    bands = stand_in(data.features.shape[1])
    if config.standardize:
        bands.standardize_by(Standardizer().fit(data.features[row] for row in data.training))
    with torch.random.fork_rng(devices=[]):  # dropout draws from torch's own generator
        torch.manual_seed(config.seed)
        record = train(tagger.head, bands, data, config, out, False, False, trainer or {})
    tagger.standardization.mean.copy_(bands.mean)
    tagger.standardization.scale.copy_(bands.scale)
    training = tuple(parts.training.clip_ids())
    uses = {use: tuple(clips) for use, clips in embedder.fitted_on.items()}
    uses["weights"] = tuple(dict.fromkeys((*uses.get("weights", ()), *training)))
    if config.standardize:
        uses["standardization"] = uses["weights"]
    if parts.validation is not None:
        seen = uses.get("validation", ())
        uses["validation"] = tuple(dict.fromkeys((*seen, *parts.validation.clip_ids())))
    trained = replace(
        bundle,
        training={
            "settings": to_mapping(config),
            "anymic": version("anymic"),
            "torch": torch.__version__,
            "clips": len(training),
            "examples": len(data.training),
            "embedder": embedder.training,
            "failures": [vars(failure) for failure in sequences.failures],
            **record,
        },
        fitted_on=uses,
        temperature=config.temperature,
    )
    trained.save(out)
    return trained


def untrained(
    embedder: Bundle,
    labels: list[str],
    head: str,
    *,
    segments: int,
    hidden: int | None = None,
    seed: int = 0,
) -> Bundle:
    """Return a bundle of the embedder and a head with fresh weights.

    A segment is 0.96 s, the 96 frames of a VGGish, or the nearest whole number of another model's
    frames; or more, where its network needs more.

    Raises
    ------
    BundleError
        If the model's network does not embed.
    """
    _require(embedder, lambda spec: spec.embeds, "a network that embeds")
    config = embedder.frontend.config
    own_frames = _segment_frames(embedder)
    heard = {key: value for key, value in embedder.network_arguments.items() if key != "head"}
    own = {} if hidden is None else {"hidden": hidden}
    arguments: dict[str, Any] = {
        "embedder": {"name": embedder.network_name, **heard},
        "head": {"name": head, **own},
        "segment_frames": own_frames,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = models.build("tagger", classes=len(labels), **arguments)
    assert isinstance(network, Tagger)
    weights = embedder.network.state_dict()
    network.embedder.load_state_dict(
        {  # the layers of its labels, which go unused, have another shape
            name: weights[name] if weights[name].shape == value.shape else value
            for name, value in network.embedder.state_dict().items()
        }
    )
    frames = segments * own_frames
    distance_s = patch_distance_s(config, frames=frames)
    # Centred frames need less than their distance; what is too much is not heard.
    length_s = max(patch_length_s(config, frames=frames + config.lost_frames), distance_s)
    return replace(
        embedder,
        network=network,
        labels=tuple(labels),
        contract=replace(
            embedder.contract,
            clip_s=length_s,
            hop_s=distance_s,
            shorter="repeat",
        ),
        network_name="tagger",
        network_arguments=arguments,
        calibration=None,
    )


def with_labels(embedder: Bundle, labels: Sequence[str], *, seed: int = 0) -> Bundle:
    """Return a VGGish with a layer of 100 and one of these labels behind it, to be fine-tuned.

    Its embedding is that of the given one, the two layers have fresh weights (Xu 2018, section
    2.2). `anymic.training.finetuning.finetune` trains it on patches (`anymic.data.pieces`).

    Raises
    ------
    BundleError
        If the model is no VGGish.
    """
    _require(embedder, lambda spec: spec.without_labels, "a VGGish")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = models.build(
            embedder.network_name, classes=len(labels), **embedder.network_arguments
        )
    known = embedder.network.state_dict()
    kept = {name: value for name, value in known.items() if not name.startswith("classifier.")}
    network.load_state_dict({**network.state_dict(), **kept})
    return replace(embedder, network=network, labels=tuple(labels), calibration=None)


def require_head(name: str, *, segments: int) -> None:
    """Raise ConfigError if a network is no head, or there is no segment to classify."""
    heads = [spec.name for spec in models.NETWORKS.specs() if spec.head]
    if name not in heads or segments < 1:
        raise ConfigError(
            f"the head {name!r} on {segments} segments",
            expected=f"one of {', '.join(heads)}, on 1 or more",
            fix="choose another head or number of segments",
        )


def _require(embedder: Bundle, fits: Callable[[models.NetworkSpec], bool], what: str) -> None:
    names = [spec.name for spec in models.NETWORKS.specs() if fits(spec)]
    if embedder.network_name not in names:
        raise BundleError(
            f"a model of {embedder.network_name}",
            expected=f"{what} ({', '.join(names)})",
            fix="import a VGGish with anymic import vggish, or train one of these",
        )


def _segment_frames(embedder: Bundle) -> int:
    patch = models.NETWORKS.get(embedder.network_name).patch
    if patch is not None:
        return patch[1]
    config, network = embedder.frontend.config, embedder.network
    assert isinstance(network, models.Network)
    return max(round(SEGMENT_S * config.rate_hz / config.hop_samples), network.smallest_input)


class Sequences:
    """Sequences of a manifest's clips.

    Attributes
    ----------
    features : array (example, feature, segment), float16
    rows : array (example,)
        The manifest's row of each.
    failures : tuple of Failure
    """

    def __init__(
        self,
        features: NDArray[np.float16],
        rows: NDArray[np.int64],
        failures: tuple[Failure, ...],
    ) -> None:
        self.features, self.rows, self.failures = features, rows, failures


def open_sequences(
    manifest: Manifest,
    bundle: Bundle,
    cache: Path,
    *,
    progress: Callable[[int], None] | None = None,
) -> Sequences:
    """Return the embeddings' sequences of every clip, computed once and kept in `cache`.

    They depend on the embedder, its front-end, the contract and the clips, and not on the head.
    """
    path = cache / f"{_key(manifest, bundle)}.npz"
    if not path.is_file():
        heard = SequenceEmbedder(bundle).embed_manifest(manifest, progress=progress)
        if not len(heard.features):
            reason = heard.failures[0].reason if heard.failures else "no clip was given"
            raise ManifestError(f"no clip that can be used ({reason})", fix="mend the files")
        network = bundle.network
        assert isinstance(network, Tagger)
        width = len(network.standardization.mean)
        apart = heard.features.reshape(len(heard.features), -1, width).transpose(0, 2, 1)
        failures = [[one.path, one.reason] for one in heard.failures]
        write_arrays(
            path,
            features=apart.astype(np.float16),
            rows=heard.rows,
            failures=np.array(json.dumps(failures)),
        )
    elif progress is not None:
        progress(len(manifest))
    with np.load(path, allow_pickle=False) as found:
        failed = tuple(Failure(*one) for one in json.loads(str(found["failures"])))
        return Sequences(found["features"], found["rows"], failed)


def _key(manifest: Manifest, bundle: Bundle) -> str:
    network = bundle.network
    assert isinstance(network, Tagger)
    weights = [
        name.encode() + value.cpu().contiguous().numpy().tobytes()
        for module in (network.embedder, bundle.frontend)
        for name, value in module.state_dict().items()
    ]
    settings = [to_mapping(bundle.frontend.config), to_mapping(bundle.contract)]
    return key_of(settings, *weights, manifest.state())


def _examples(parts: Parts, found: Sequences) -> Examples:
    """Divide the sequences as the parts divide their clips."""
    together, labels = parts.together, parts.training.labels
    ids = together.clip_ids()
    validating = set() if parts.validation is None else set(parts.validation.clip_ids())
    own = np.array([ids[row] in validating for row in found.rows])
    targets = together.targets(labels)[found.rows]
    training, validation = np.flatnonzero(~own), np.flatnonzero(own)
    lost = [label for number, label in enumerate(labels) if number not in set(targets[training])]
    if lost:
        raise ManifestError(
            f"no usable training clip of {', '.join(lost)}",
            expected="at least one a label",
            fix="mend the files",
        )
    files = together.table["path"].tolist()
    return Examples(
        found.features,
        tuple(labels),
        training.astype(np.int64),
        targets[training],
        validation.astype(np.int64),
        targets[validation],
        training_files=tuple(files[found.rows[row]] for row in training),
    )


def stand_in(width: int) -> Frontend:
    """Return what standardizes sequences as a front-end does features: band by band.

    Nothing else of it is used, so its filters need not be any.
    """
    config = FrontendConfig(fft_size=2 * width, hop_samples=width, bands=width)
    return Frontend(config, filters=torch.zeros(width, config.bins))
