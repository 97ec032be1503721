"""The embedding of every segment of every clip, and what heads are given of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anymic._internal.files import write_arrays
from anymic.bundle import Bundle
from anymic.data.checks import require_all_usable
from anymic.data.manifest import Manifest
from anymic.inference.sequences import open_sequences
from anymic.models.segments import fixed_segments
from anymic.models.tagger import Tagger
from anymic.models.yamnet import YAMNet
from anymic.training.heads import untrained
from anymic_experiments.xu2018.cutting import Above, cut

BATCH = 500  # segments of which the upper layers calculate embeddings together


@dataclass(frozen=True, eq=False)
class Sequences:
    """The segments of clips: what a network, or its lower layers, calculates of each."""

    features: NDArray[np.float16]  # (segment, feature), clip by clip
    clips: NDArray[np.int64]  # (segment,): the row of its clip, ascending

    def of(self, row: int) -> NDArray[np.float16]:
        """Return the sequence of a clip: (segment, feature)."""
        first, last = np.searchsorted(self.clips, [row, row + 1])
        return self.features[first:last]

    def parts(self, row: int, segments: int | None) -> NDArray[np.floating]:
        """Return parts of so many segments (part, segment, feature); None: one, the whole."""
        sequence = self.of(row)
        return sequence[None] if segments is None else fixed_segments(sequence, segments)

    def standardized(self, chosen: NDArray[np.bool_]) -> Sequences:
        """Return all segments with the mean and the deviation of the chosen ones removed.

        There is one deviation for all features: a scale for each would raise the weak ones.
        """
        mean = self.features[chosen].mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = self.features - mean
        scale = float(np.sqrt(np.mean(np.square(centred[chosen]), dtype=np.float64)))
        return replace(self, features=(centred / (scale or 1.0)).astype(np.float16))

    def embedded(self, above: Above) -> Sequences:
        """Return what the upper layers calculate of what the lower ones did."""
        above.eval()
        with torch.inference_mode():
            each = [
                above.embed(torch.from_numpy(self.features[start : start + BATCH]).float())
                for start in range(0, len(self.features), BATCH)
            ]
        return replace(self, features=torch.cat(each).numpy().astype(np.float16))

    def write(self, path: Path) -> None:
        """Keep them in a file."""
        write_arrays(path, features=self.features, clips=self.clips)

    @classmethod
    def read(cls, path: Path) -> Sequences:
        """Return what `write` kept."""
        with np.load(path) as found:
            return cls(found["features"], found["clips"])


def sequences(
    manifest: Manifest, extractor: Bundle, cache: Path, *, layers: int | None = None
) -> Sequences:
    """Return the embeddings of all segments of clips, or the maps behind so many layers.

    They are cached by the content of the clips and the weights below, so that extractors with the
    same lower layers share their maps.

    Raises BundleError if a clip cannot be used.
    """
    bundle = untrained(extractor, ["a", "b"], "linear_head", segments=1)
    if layers is not None:
        tagger, network = bundle.network, extractor.network
        assert isinstance(tagger, Tagger)
        assert isinstance(network, YAMNet)
        below, _ = cut(network, layers)
        bundle = replace(
            bundle,
            network=Tagger(
                below,
                tagger.head,
                segment_frames=tagger.segment_frames,
                segment_hop_frames=tagger.segment_hop_frames,
                inputs=below.embedding_size,
            ),
        )
    found = open_sequences(manifest, bundle, cache)
    require_all_usable(found.failures)
    return Sequences(found.features[:, :, 0], found.rows)


def padded(parts: Sequence[NDArray[np.floating]]) -> NDArray[np.float16]:
    """Return parts (segment, feature) as (part, feature, segment), the shorter ones with NaN."""
    longest = max(len(one) for one in parts)
    result = np.full((len(parts), parts[0].shape[1], longest), np.nan, dtype=np.float16)
    for place, one in zip(result, parts, strict=True):
        place[:, : len(one)] = one.T
    return result
