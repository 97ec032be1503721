"""Mel filters, and a product with them that skips their zeros."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anymic._internal.optional import extra
from anymic.errors import ConfigError
from anymic.features.frontend_config import FrontendConfig

BANDS_PER_BLOCK = 16


def mel_filters(config: FrontendConfig) -> Tensor:
    """Return the mel filters (band, bin), float32, linear: librosa's, or triangles over mel.

    Raises a ConfigError if a band is so narrow that it contains no frequency bin.
    """
    with extra("train"):
        import librosa

    htk = config.mel_scale == "htk"
    if config.mel_triangles == "mel":
        low, high = librosa.hz_to_mel([config.low_hz, config.highest_hz], htk=htk)
        edges = np.linspace(low, high, config.bands + 2)[:, None]
        bins_hz = np.linspace(0.0, config.rate_hz / 2, config.bins)
        filters = _triangles(librosa.hz_to_mel(bins_hz, htk=htk), edges)
    else:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Empty filters")
            filters = librosa.filters.mel(
                sr=config.rate_hz,
                n_fft=config.fft_size,
                n_mels=config.bands,
                fmin=config.low_hz,
                fmax=config.high_hz,
                htk=htk,
                norm=config.mel_norm,
            )
    empty = int((filters.sum(axis=1) == 0).sum())
    if empty:
        raise ConfigError(
            f"{empty} of {config.bands} mel bands have no frequency bin",
            expected=f"bands of {config.rate_hz / config.fft_size:.1f} Hz or wider",
            fix="use fewer bands or a larger fft_size",
        )
    return torch.from_numpy(filters)


def _triangles(mel: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return filters of height 1 whose sides are linear in mel, at equal distances.

    With edges e in mel and m(f) the mel of a bin, band k weights a bin by
    max(0, min((m - e[k]) / (e[k+1] - e[k]), (e[k+2] - m) / (e[k+2] - e[k+1]))): the front-end of
    VGGish as published with it (Hershey 2017), and `tf.signal.linear_to_mel_weight_matrix`.
    """
    rising = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


class BandedProduct(nn.Module):
    """spectrum @ filters.T, by blocks of neighbouring bands, for filters (band, bin).

    A mel filter is zero outside a short range of bins, so a block of neighbouring bands needs only
    a slice of the spectrum. It is about five times as fast as the dense product.
    """

    def __init__(self, filters: Tensor) -> None:
        super().__init__()
        self.ranges: list[tuple[int, int]] = []
        blocks: tuple[Tensor, ...] = torch.split(filters, BANDS_PER_BLOCK)
        for index, block in enumerate(blocks):
            used = torch.nonzero(block.abs().sum(dim=0)).flatten()
            first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
            self.ranges.append((first, last))
            self.register_buffer(
                f"block_{index}", block[:, first:last].T.contiguous(), persistent=False
            )

    def forward(self, spectrum: Tensor) -> Tensor:
        """Return the bands (..., band) of a spectrum (..., bin)."""
        parts = [spectrum[..., first:last] @ block for block, (first, last) in self._blocks()]
        return torch.cat(parts, dim=-1)

    def for_gains(self, gains: Tensor) -> list[Tensor]:
        """Return weights for `weighted`: the filters times factors (member, bin) of a spectrum."""
        return [
            (block[:, None, :] * gains[:, first:last].T[:, :, None]).flatten(1)
            for block, (first, last) in self._blocks()
        ]

    def weighted(self, spectrum: Tensor, weights: list[Tensor]) -> Iterator[Tensor]:
        """Yield blocks (frame, member, band) of the bands of a spectrum (frame, bin).

        They equal `forward` of the spectrum times the factors of each member.
        """
        for weight, (block, (first, last)) in zip(weights, self._blocks(), strict=True):
            yield (spectrum[:, first:last] @ weight).view(len(spectrum), -1, block.shape[1])

    def _blocks(self) -> list[tuple[Tensor, tuple[int, int]]]:
        return [(self.get_buffer(f"block_{index}"), bins) for index, bins in enumerate(self.ranges)]
