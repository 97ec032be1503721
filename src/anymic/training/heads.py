"""Train a head on the embeddings of a model; the embeddings are computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from anymic import models
from anymic._internal.folder_lock import one_at_a_time
from anymic._internal.process_state import left_as_found
from anymic.bundle import Bundle
from anymic.data.manifest import Manifest
from anymic.errors import BundleError
from anymic.features import Standardizer
from anymic.features.patches import patch_distance_s, patch_length_s
from anymic.models.tagger import Tagger
from anymic.training.coded_sequences import with_coded
from anymic.training.config import TrainingConfig
from anymic.training.embedded import Embedded
from anymic.training.finetuning import weights_digest
from anymic.training.head_settings import (
    LINEAR,
    copies_note,
    refuse_network_codecs,
    require_head,
)
from anymic.training.parts import Examples
from anymic.training.run import TrainingRun, fresh_network
from anymic.training.windows import survey

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
    segments: int | None = None,
    hidden: int | None = None,
    cache: str | Path | None = None,
    progress: Callable[[int], None] | None = None,
    trainer: Mapping[str, Any] | None = None,
    on_start: Callable[[], object] | None = None,
    notes: Sequence[str] = (),
) -> Bundle:
    """Train a head on the embeddings of a model and write both to `out` as one bundle.

    The bundle classifies windows of one length: a shorter clip is repeated, a longer one is
    split into windows whose probabilities are averaged. The training sequences are cut and computed
    by the same code as in prediction; a clip of several windows gives as many examples, at most
    60. They are kept in `cache` (`anymic.inference.sequences`), where every other head finds them.
    With `config.random_devices` each training clip also trains as recorded by random devices, and
    with `config.codecs` as passed through codecs.

    Parameters
    ----------
    manifest : Manifest or pandas.DataFrame
        Clips of any length. Its splits, or validation clips set aside, as for `training.fit`.
    embedder : Bundle
        A model whose network embeds, such as an imported YAMNet; a head classifies its embeddings
        of each segment. It is not changed, nor trained.
    config : TrainingConfig
        `network` is the head: linear_head, dense_head, lstm_head or attention_head. A linear_head
        is fitted as logistic regression (`anymic.training.logistic`). Front-end, correction and
        clip length are the embedder's; those of the settings are not used.
    out : path
    segments : int, optional
        Number of segments in a window; by default as many as fit into the median of the clips'
        lengths, which is at most 10 s.
    hidden : int, optional
        Width of the head; by default 600, as in the paper.
    progress : callable, optional
        Called with the number of clips embedded since the last call.
    cache : path, optional
        Folder for embeddings; by default that of the user, which all trainings share.
    trainer, on_start
        As for `anymic.training.fit`.
    notes : sequence of str
        What else `training["notes"]` says, before what is done with other rates and lengths.

    Returns
    -------
    Bundle
        Where clips validate, `training["logistic"]` compares it with logistic regression on the
        same embeddings; an AnymicWarning states if that is better.

    Raises
    ------
    BundleError
        If the model's network does not embed.
    ConfigError
        If `config.network` is no head, there is no segment, or the codecs have settings that only
        networks use.
    ManifestError
        If there are no training clips, one label only, or a label of which none can be used, or a
        clip cannot be encoded.
    """
    require_head(config.network, segments=segments, hidden=hidden)
    refuse_network_codecs(config)
    run = TrainingRun(manifest, config, out, trainer=trainer)
    labels = run.parts.training.labels
    seen = survey(run.parts.training)
    bundle = untrained(
        embedder,
        labels,
        config.network,
        segments=segments,
        window_s=seen.window_s(0.0),
        hidden=hidden,
        seed=config.seed,
    )
    together = run.parts.together
    found = with_coded(
        together,
        bundle,
        config,
        training=run.parts.training.clip_ids(),
        cache=None if cache is None else Path(cache),
        progress=progress,
    )
    run.failures += found.failures
    data = Examples.of(run.parts.ordered(), found.features, found.rows, failures=found.failures)
    if on_start is not None:
        on_start()
    tagger = cast(Tagger, bundle.network)
    uses = run.fitted_on(embedder.fitted_on)
    embeddings = Embedded(
        data, found.rows, np.array(together.recordings()), config, copies=found.copies
    )
    if config.network == LINEAR:
        result = embeddings.fit_linear(tagger.head, tagger.standardization)
        result |= run.thresholds(tagger.head, tagger.standardization, data)
        record = run.record(data, result)
    else:
        if config.standardize:
            learned = Standardizer().fit(data.features[row] for row in data.training)
            tagger.standardization.mean.copy_(torch.from_numpy(learned.mean_))
            tagger.standardization.scale.copy_(torch.from_numpy(learned.scale_))
        record = run.train(tagger.head, tagger.standardization, data)
        record |= embeddings.compare(tagger.head, tagger.standardization, record)
    if config.standardize or config.network == LINEAR:
        uses["standardization"] = uses["weights"]
    contract = bundle.contract
    found_out = seen.notes(rate_hz=contract.rate_hz, window_s=contract.clip_s)
    record |= {
        "clips": len(run.parts.training),
        "examples": len(data.training),
        "embedder": embedder.training,
        "extractor": {"network": embedder.network_name, "weights_sha256": weights_digest(embedder)},
        "notes": list(dict.fromkeys([*notes, *found_out, *copies_note(config), *found.notes])),
    }
    trained = replace(
        bundle,
        training=record,
        fitted_on=uses,
        file_hashes=run.file_hashes(embedder.file_hashes),
        temperature=config.temperature,
        **run.answers(record),
    )
    return run.save(trained)


@left_as_found()
def untrained(
    embedder: Bundle,
    labels: list[str],
    head: str,
    *,
    segments: int | None = None,
    window_s: float | None = None,
    hidden: int | None = None,
    seed: int = 0,
) -> Bundle:
    """Return a bundle of the embedder and a head with random weights.

    Its windows have so many segments, 6 by default, or `window_s` seconds and at least a segment.

    A segment has the frames of the embedder's patch (96, or 0.96 s, for a VGGish), and its distance
    (48 for a YAMNet, whose segments overlap by half). For a network without patches it has the
    number of frames nearest to 0.96 s, or more where the network needs more.

    Raises
    ------
    BundleError
        If the model's network does not embed.
    """
    _require(embedder, lambda spec: spec.embeds, "a network that embeds")
    config = embedder.frontend.config
    network = embedder.network
    spec = models.NETWORKS.get(embedder.network_name).of(network)
    if spec.patch is not None:
        own_frames = spec.patch[1]
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
    if spec.patch_hop is not None:
        arguments["segment_hop_frames"] = spec.patch_hop
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
    count = (SEGMENTS if window_s is None else 1) if segments is None else segments
    hop_frames = spec.patch_distance or own_frames
    frames = (count - 1) * hop_frames + own_frames
    distance_s = patch_distance_s(config, frames=count * hop_frames)
    # Centred frames need less than their distance; the rest is not used.
    length_s = max(patch_length_s(config, frames=frames + config.lost_frames), distance_s)
    hop_s: float | None = distance_s
    if segments is None and window_s is not None and window_s > length_s:
        length_s, hop_s = window_s, None
    return replace(
        embedder,
        network=tagger,
        labels=tuple(labels),
        contract=replace(embedder.contract, clip_s=length_s, hop_s=hop_s, shorter="repeat"),
        network_name="tagger",
        network_arguments=arguments,
        calibration=None,
        targets="one",
        thresholds=None,
    )


@left_as_found()
def with_labels(embedder: Bundle, labels: Sequence[str], *, seed: int = 0) -> Bundle:
    """Return a VGGish or YAMNet with new layers for these labels, to be fine-tuned.

    The embedding is that of the given model. The new layers have random weights: a layer of 100
    and one of the labels after a VGGish (Xu 2018, section 2.2), the latter alone after a YAMNet.
    `anymic.training.finetune` trains it on patches (`anymic.data.pieces`).

    Raises
    ------
    BundleError
        If the model is neither.
    """
    _require(embedder, lambda spec: spec.without_labels, "a VGGish or YAMNet")
    arguments = {**embedder.network_arguments}
    arguments.pop("scores", None)  # of an ONNX network, whose own labels are others
    network = fresh_network(
        embedder.network_name,
        classes=len(labels),
        seed=seed,
        arguments=arguments,
    )
    known = embedder.network.state_dict()
    kept = {name: value for name, value in known.items() if not name.startswith("classifier.")}
    network.load_state_dict({**network.state_dict(), **kept})
    return replace(
        embedder,
        network=network,
        network_arguments=arguments,
        labels=tuple(labels),
        calibration=None,
        targets="one",
        thresholds=None,
    )


def _require(embedder: Bundle, fits: Callable[[models.NetworkSpec], bool], what: str) -> None:
    names = [spec.name for spec in models.NETWORKS.specs() if fits(spec)]
    if embedder.network_name not in names:
        raise BundleError(
            f"the network of the model is {embedder.network_name}",
            expected=f"{what} ({', '.join(names)})",
            fix="import one with `anymic import yamnet` or `vggish`, or train one of these",
        )
