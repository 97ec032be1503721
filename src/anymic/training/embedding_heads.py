"""A head on embeddings that are brought along, trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anymic import models
from anymic._internal.settings import to_mapping
from anymic.data.embeddings import Vectors
from anymic.inference.embedding_head import VectorHead
from anymic.models.segments import fixed_segments
from anymic.training.config import TrainingConfig
from anymic.training.heads import SEGMENTS, require_head, stand_in
from anymic.training.loop.trainer import train
from anymic.training.parts import Examples, split


def fit_vectors(
    vectors: Vectors,
    config: TrainingConfig,
    out: str | Path,
    *,
    segments: int = SEGMENTS,
    hidden: int | None = None,
) -> VectorHead:
    """Train a head on embeddings and write it to `out`, as `anymic.training.heads.fit_head` does.

    Raises
    ------
    ConfigError
        If `config.network` is no head, or there is no segment.
    ManifestError
        If there are no training clips, or one label only.
    """
    require_head(config.network, segments=segments)
    parts = split(vectors.clips, config)
    labels = parts.training.labels
    place = {clip: row for row, clip in enumerate(vectors.clips.clip_ids())}
    rows = [np.array([place[clip] for clip in part.clip_ids()]) for part in parts]
    heard = np.concatenate([vectors.sequences[row] for row in rows[0]]).astype(np.float64)
    mean, scale = heard.mean(axis=0), heard.std(axis=0)
    scale[scale < 1e-6] = 1.0  # a feature that never changes tells nothing, and stays finite
    examples: list[NDArray[np.float16]] = []
    targets: list[int] = []
    files: list[str] = []
    where: list[NDArray[np.int64]] = []
    for part, own in zip(parts, rows, strict=True):
        numbers = part.targets(labels)
        begin = len(targets)
        for target, path, row in zip(numbers, part.table["path"], own, strict=True):
            cut = fixed_segments((vectors.sequences[row] - mean) / scale, segments)
            examples.extend(cut.transpose(0, 2, 1).astype(np.float16))
            targets += [target] * len(cut)
            files += [path] * len(cut)
        where.append(np.arange(begin, len(targets), dtype=np.int64))
    where.append(np.empty(0, dtype=np.int64))  # where nothing validates
    every = np.array(targets, dtype=np.int64)
    data = Examples(
        np.stack(examples),
        tuple(labels),
        where[0],
        every[where[0]],
        where[1],
        every[where[1]],
        training_files=tuple(files[row] for row in where[0]),
    )
    arguments = {"inputs": len(mean), **({} if hidden is None else {"hidden": hidden})}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = models.build(config.network, classes=len(labels), **arguments)
        # Dropout draws from torch's own generator, too.
        record = train(network, stand_in(len(mean)), data, config, Path(out), False, False, {})
    head = VectorHead(
        network=network,
        name=config.network,
        arguments=arguments,
        labels=tuple(labels),
        segments=segments,
        mean=mean.astype(np.float32),
        scale=scale.astype(np.float32),
        training={
            "settings": to_mapping(config),
            "clips": len(rows[0]),
            "examples": len(where[0]),
            **record,
        },
        fitted_on={
            use: tuple(part.clip_ids())
            for use, part in zip(("weights", "validation"), parts, strict=False)
        },
    )
    head.save(out)
    return head
