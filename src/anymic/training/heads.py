"""Train a head on the embeddings of a model; the embeddings are computed once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from anymic import models
from anymic._internal.files import key_of, note_damaged, write_arrays
from anymic._internal.folder_lock import one_at_a_time
from anymic._internal.process_state import left_as_found
from anymic._internal.reading import parsing, read_arrays
from anymic._internal.settings import to_mapping
from anymic.bundle import Bundle
from anymic.data.checks import require_usable
from anymic.data.manifest import Manifest
from anymic.errors import (
    AnymicError,
    BundleError,
    ConfigError,
    Failure,
)
from anymic.features import Standardizer
from anymic.features.feature_store import FeatureStore
from anymic.features.patches import patch_distance_s, patch_length_s
from anymic.inference.embedder import SequenceEmbedder
from anymic.models.tagger import Tagger
from anymic.training.config import TrainingConfig
from anymic.training.parts import Examples
from anymic.training.run import TrainingRun, fresh_network

if TYPE_CHECKING:
    import pandas as pd

SEGMENT_S = 0.96  # for networks without patches
SEGMENTS = 6  # Xu 2018, table 4: the best number


@one_at_a_time
@left_as_found()
def fit_head(
    manifest: Manifest | pd.DataFrame,
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

    The bundle classifies windows of this many segments: a shorter clip is repeated, a longer one is
    split into windows whose probabilities are averaged. The training sequences are cut and computed
    by the same code as in prediction; a clip of several windows gives as many examples. They are
    stored in `cache`, where every head with the same number of segments finds them.

    Parameters
    ----------
    manifest : Manifest or pandas.DataFrame
        Clips of any length. Its splits, or validation clips set aside, as for `training.fit`.
    embedder : Bundle
        A model whose network embeds, such as an imported VGGish; a head classifies its embeddings
        of each segment. It is not changed, nor trained.
    config : TrainingConfig
        `network` is the head: dense_head, lstm_head or attention_head. Front-end, correction, clip
        length and codecs are the embedder's; those of the settings are not used.
    out : path
    segments : int
        Number of segments in a window.
    hidden : int, optional
        Width of the head; by default 600, as in the paper.
    progress : callable, optional
        Called with the number of clips embedded since the last call.
    cache, trainer
        As for `anymic.training.fit`.

    Raises
    ------
    BundleError
        If the model's network does not embed.
    ConfigError
        If `config.network` is no head, or there is no segment.
    ManifestError
        If there are no training clips, one label only, or a label of which none can be used.
    """
    require_head(config.network, segments=segments)
    run = TrainingRun(manifest, config, out, cache=cache, trainer=trainer)
    labels = run.parts.training.labels
    bundle = untrained(
        embedder, labels, config.network, segments=segments, hidden=hidden, seed=config.seed
    )
    found = open_sequences(run.parts.together, bundle, run.cache, progress=progress)
    run.failures += found.failures
    data = Examples.of(run.parts.ordered(), found.features, found.rows, failures=found.failures)
    tagger = cast(Tagger, bundle.network)
    uses = run.fitted_on(embedder.fitted_on)
    if config.standardize:
        learned = Standardizer().fit(data.features[row] for row in data.training)
        tagger.standardization.mean.copy_(torch.from_numpy(learned.mean_))
        tagger.standardization.scale.copy_(torch.from_numpy(learned.scale_))
        uses["standardization"] = uses["weights"]
    record = run.train(tagger.head, tagger.standardization, data)
    record |= {
        "clips": len(run.parts.training),
        "examples": len(data.training),
        "embedder": embedder.training,
    }
    trained = replace(
        bundle,
        training=record,
        fitted_on=uses,
        file_hashes=run.file_hashes(embedder.file_hashes),
        temperature=config.temperature,
    )
    run.save(trained)
    return trained


@left_as_found()
def untrained(
    embedder: Bundle,
    labels: list[str],
    head: str,
    *,
    segments: int,
    hidden: int | None = None,
    seed: int = 0,
) -> Bundle:
    """Return a bundle of the embedder and a head with random weights.

    A segment has the frames of the embedder's patch (96, or 0.96 s, for a VGGish). For a network
    without patches it has the number of frames nearest to 0.96 s, or more where the network needs
    more.

    Raises
    ------
    BundleError
        If the model's network does not embed.
    """
    _require(embedder, lambda spec: spec.embeds, "a network that embeds")
    config = embedder.frontend.config
    network = embedder.network
    if (patch := models.NETWORKS.get(embedder.network_name).patch) is not None:
        own_frames = patch[1]
    else:
        assert isinstance(network, models.Network)
        nearest = round(SEGMENT_S * config.rate_hz / config.hop_samples)
        own_frames = max(nearest, network.smallest_input)
    options = {key: value for key, value in embedder.network_arguments.items() if key != "head"}
    own = {} if hidden is None else {"hidden": hidden}
    arguments: dict[str, Any] = {
        "embedder": {"name": embedder.network_name, **options},
        "head": {"name": head, **own},
        "segment_frames": own_frames,
    }
    tagger = cast(
        Tagger, fresh_network("tagger", classes=len(labels), seed=seed, arguments=arguments)
    )
    weights = network.state_dict()
    tagger.embedder.load_state_dict(
        {  # the layers behind the embedding, which are not used, have another shape
            name: weights[name] if weights[name].shape == value.shape else value
            for name, value in tagger.embedder.state_dict().items()
        }
    )
    frames = segments * own_frames
    distance_s = patch_distance_s(config, frames=frames)
    # Centred frames need less than their distance; the rest is not used.
    length_s = max(patch_length_s(config, frames=frames + config.lost_frames), distance_s)
    return replace(
        embedder,
        network=tagger,
        labels=tuple(labels),
        contract=replace(embedder.contract, clip_s=length_s, hop_s=distance_s, shorter="repeat"),
        network_name="tagger",
        network_arguments=arguments,
        calibration=None,
    )


@left_as_found()
def with_labels(embedder: Bundle, labels: Sequence[str], *, seed: int = 0) -> Bundle:
    """Return a VGGish with a layer of 100 and a layer of these labels, to be fine-tuned.

    The embedding is that of the given model, the two layers have random weights (Xu 2018, section
    2.2). `anymic.training.finetune` trains it on patches (`anymic.data.pieces`).

    Raises
    ------
    BundleError
        If the model is no VGGish.
    """
    _require(embedder, lambda spec: spec.without_labels, "a VGGish")
    network = fresh_network(
        embedder.network_name,
        classes=len(labels),
        seed=seed,
        arguments=embedder.network_arguments,
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
            f"the head is {name!r} on {segments} segments",
            expected=f"one of {', '.join(heads)}, on 1 or more segments",
            fix="choose another head or number of segments",
        )


def _require(embedder: Bundle, fits: Callable[[models.NetworkSpec], bool], what: str) -> None:
    names = [spec.name for spec in models.NETWORKS.specs() if fits(spec)]
    if embedder.network_name not in names:
        raise BundleError(
            f"the network of the model is {embedder.network_name}",
            expected=f"{what} ({', '.join(names)})",
            fix="import a VGGish with `anymic import vggish`, or train one of these",
        )


def open_sequences(
    manifest: Manifest,
    bundle: Bundle,
    cache: Path,
    *,
    progress: Callable[[int], None] | None = None,
) -> FeatureStore:
    """Return the sequences of embeddings of every clip, computed once and stored in `cache`.

    The features are (example, feature, segment), float16; a clip may have several examples. They
    depend on the embedder, its front-end, the contract and the clips, but not on the head. A
    damaged file is made again, with a warning.
    """
    path = cache / f"{_key(manifest, bundle)}.npz"
    found = _read(path)
    if found is None:
        if path.exists():
            note_damaged(path)
        embedded = SequenceEmbedder(bundle).embed_manifest(manifest, progress=progress)
        require_usable(embedded.features, embedded.failures)
        width = len(cast(Tagger, bundle.network).standardization.mean)
        apart = embedded.features.reshape(len(embedded.features), -1, width).transpose(0, 2, 1)
        failures = [[one.path, one.reason] for one in embedded.failures]
        write_arrays(
            path,
            features=apart.astype(np.float16),
            rows=embedded.rows,
            failures=np.array(json.dumps(failures)),
        )
        found = _read(path)
        if found is None:
            raise AnymicError(f"the cache {path} cannot be read", fix="check the disk")
    elif progress is not None:
        progress(len(manifest))
    return found


def _read(path: Path) -> FeatureStore | None:
    """Read stored sequences, with their checksums; None if they are missing or damaged."""
    try:
        with parsing(path, BundleError, expected="sequences of embeddings", fix=""):
            found = read_arrays(path)
            failed = tuple(Failure(*one) for one in json.loads(str(found["failures"])))
            return FeatureStore(found["features"], found["rows"], failed)
    except BundleError:
        return None


def _key(manifest: Manifest, bundle: Bundle) -> str:
    weights = [
        name.encode() + value.cpu().contiguous().numpy().tobytes()
        for module in (cast(Tagger, bundle.network).embedder, bundle.frontend)
        for name, value in module.state_dict().items()
    ]
    settings = [to_mapping(bundle.frontend.config), to_mapping(bundle.contract)]
    return key_of(settings, *weights, manifest.state())
