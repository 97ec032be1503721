"""Train a head on embeddings that another program made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from anymic import models
from anymic._internal.folder_lock import one_at_a_time
from anymic._internal.process_state import left_as_found
from anymic.data.embeddings import Vectors
from anymic.errors import ConfigError
from anymic.inference.embedding_head import VectorHead
from anymic.models.segments import fixed_segments
from anymic.models.tagger import Standardization
from anymic.training.config import TrainingConfig
from anymic.training.embedded import Embedded
from anymic.training.head_settings import LINEAR, require_head
from anymic.training.heads import SEGMENTS
from anymic.training.parts import Examples
from anymic.training.run import TrainingRun

SMALLEST_SCALE = 1e-6  # a feature that varies less is not scaled


@one_at_a_time
@left_as_found()
def fit_vectors(
    vectors: Vectors,
    config: TrainingConfig,
    out: str | Path,
    *,
    segments: int = SEGMENTS,
    hidden: int | None = None,
) -> VectorHead:
    """Train a head on embeddings and write it to `out`.

    Parameters
    ----------
    vectors : Vectors
    config, out, segments, hidden
        As for `anymic.training.heads.fit_head`.

    Raises
    ------
    ConfigError
        If `config.network` is no head, there is no segment, or the settings have random devices or
        codecs, for which audio is needed.
    ManifestError
        If there are no training clips, or one label only.
    """
    require_head(config.network, segments=segments, hidden=hidden)
    if config.random_devices is not None and config.random_devices.copies:
        raise ConfigError(
            "random devices cannot record embeddings",
            expected="the audio of the clips",
            fix="leave random_devices out, or train with the clips and the model that embeds them",
        )
    if config.codecs is not None:
        raise ConfigError(
            "embeddings cannot be passed through codecs",
            expected="the audio of the clips",
            fix="leave codecs out, or train with the clips and the model that embeds them",
        )
    run = TrainingRun(vectors.clips, config, out)
    sequences = dict(zip(vectors.clips.clip_ids(), vectors.sequences, strict=True))
    training = np.concatenate([sequences[clip] for clip in run.parts.training.clip_ids()])
    mean, scale = training.mean(axis=0, dtype=np.float64), training.std(axis=0, dtype=np.float64)
    scale[scale < SMALLEST_SCALE] = 1.0
    windows = [
        fixed_segments((sequences[clip] - mean) / scale, segments)
        for clip in run.parts.together.clip_ids()
    ]
    rows = np.repeat(np.arange(len(windows)), [len(each) for each in windows])
    features = np.concatenate(windows).transpose(0, 2, 1).astype(np.float16)
    data = Examples.of(run.parts, features, rows)
    arguments = {"inputs": len(mean), **({} if hidden is None else {"hidden": hidden})}
    # The features are standardized already: float16 does not hold every embedding.
    further = Standardization(len(mean))
    embeddings = Embedded(data, rows, np.array(run.parts.together.recordings()), run.config)
    with torch.random.fork_rng(devices=[]):  # one stream of draws, for the weights and for dropout
        torch.manual_seed(config.seed)
        network = models.build(config.network, classes=len(data.labels), **arguments)
        if config.network == LINEAR:
            result = embeddings.fit_linear(network, further)
            record = run.record(data, {**result, **run.thresholds(network, further, data)})
        else:
            record = run.train(network, further, data, seed=False)
            record |= embeddings.compare(network, further, record)
    record |= {"clips": len(run.parts.training), "examples": len(data.training)}
    head = VectorHead(
        network=network,
        name=config.network,
        arguments=arguments,
        labels=data.labels,
        segments=segments,
        mean=(mean + scale * further.mean.numpy()).astype(np.float32),
        scale=(scale * further.scale.numpy()).astype(np.float32),
        training=record,
        fitted_on=run.fitted_on(),
        file_hashes=run.file_hashes(),
        **run.answers(record),
    )
    head.save(out)
    return head
