"""The short-time Fourier transform as nodes of a graph, written in one of several ways."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from anymic.exporters.graph import Graph
from anymic.features import FrontendConfig

# factored: two products with small matrices. dense: one product with a matrix of sines.
# dft: the operator of ONNX.
Transform = Literal["factored", "dense", "dft"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)
MOST_BYTES = 300_000  # of the matrix of the dense product


def fitting(config: FrontendConfig) -> tuple[Transform, ...]:
    """Return the ways that suit a front-end.

    The matrix of a dense product must not be large, and onnxruntime's operator is exact only for
    sizes that are powers of two.
    """
    suits = {
        "factored": True,
        "dense": 8 * config.frame_samples * config.bins <= MOST_BYTES,
        "dft": config.fft_size & (config.fft_size - 1) == 0,
    }
    return tuple(one for one in TRANSFORMS if suits[one])


def magnitudes(
    graph: Graph,
    samples: str,
    config: FrontendConfig,
    window: NDArray[np.float32],
    transform: Transform,
) -> str:
    """Add the magnitudes (batch, frame, bin) of samples (batch, sample); see `Frontend`."""
    if transform == "dense":
        cut = frames(graph, samples, config, config.frame_samples)
        return _dense(graph, cut, config, window)
    padded = np.zeros(config.fft_size, np.float32)
    padded[: len(window)] = window
    windowed = graph.add("Mul", frames(graph, samples, config, config.fft_size), padded)
    if transform == "dft":
        spectrum = graph.add("DFT", graph.add("Unsqueeze", windowed, [3]), axis=2, onesided=1)
        return graph.add("ReduceL2", spectrum, [3], keepdims=0)
    return _factored(graph, windowed, config)


def frames(graph: Graph, samples: str, config: FrontendConfig, size: int) -> str:
    """Add frames (batch, frame, size), one every `hop_samples`, of samples (batch, sample).

    They are gathered from blocks of as many samples as divide the distance and the size.
    """
    half = config.frame_samples // 2 if config.centred else 0
    block = math.gcd(config.hop_samples, size)
    after = half + size + block  # zeros, more than any frame needs
    padded = graph.add("Pad", samples, [0, half, 0, after])
    length = graph.size(samples, 1)
    blocks = graph.add("Div", graph.add("Add", length, [half + after]), [block])
    whole = graph.slice(padded, [0], graph.add("Mul", blocks, [block]), 1)
    cut = graph.reshape(whole, 0, -1, block)
    rest = length if config.centred else graph.add("Sub", length, [config.frame_samples])
    count = graph.add("Add", graph.add("Div", rest, [config.hop_samples]), [1])
    numbers = graph.add("Range", 0, graph.add("Squeeze", count, [0]), 1)
    starts = graph.add("Mul", graph.add("Unsqueeze", numbers, [1]), [config.hop_samples // block])
    places = graph.add("Add", starts, np.arange(size // block)[None])
    return graph.reshape(graph.add("Gather", cut, places, axis=1), 0, 0, size)


def _dense(graph: Graph, cut: str, config: FrontendConfig, window: NDArray[np.float32]) -> str:
    angles = np.outer(np.arange(config.frame_samples), np.arange(config.bins))
    waves = np.exp(-2j * np.pi * (angles % config.fft_size) / config.fft_size)
    waves *= window.astype(np.float64)[:, None]
    matrix = np.concatenate([waves.real, waves.imag], axis=1).astype(np.float32)
    return graph.add("Sqrt", _power(graph, graph.add("MatMul", cut, matrix), axis=2))


def _factored(graph: Graph, windowed: str, config: FrontendConfig) -> str:
    """Add the transform of frames (batch, frame, sample) as products with small matrices.

    With size = rows * columns, n = columns * a + b and k = c + rows * d,

        X[k] = sum over b of W(size)^(b c) W(columns)^(b d)
               * (sum over a of x[n] W(rows)^(a c)),  W(m) = exp(-2 pi i / m)

    (Cooley and Tukey 1965). Of real samples only c <= rows / 2 is needed: |X[size - k]| = |X[k]|.
    """
    size = config.fft_size
    rows = min(
        (one for one in range(1, size + 1) if size % one == 0),
        key=lambda one: abs(math.log(one / math.sqrt(2 * size))),
    )
    columns, half = size // rows, rows // 2 + 1
    a, b = np.arange(rows), np.arange(columns)
    c, d = np.arange(half), np.arange(columns)

    def waves(
        first: NDArray[np.int64], second: NDArray[np.int64], m: int
    ) -> NDArray[np.complex128]:
        return np.asarray(np.exp(-2j * np.pi * (np.outer(first, second) % m) / m))

    over_rows = waves(c, a, rows)
    first = np.concatenate([over_rows.real, over_rows.imag]).astype(np.float32)
    sums = graph.add("MatMul", first, graph.reshape(windowed, 0, 0, rows, columns))
    real, imaginary = graph.add_several("Split", 2, sums, axis=2, num_outputs=2)
    turn = waves(c, b, size)
    cosine, sine = turn.real.astype(np.float32), turn.imag.astype(np.float32)
    turned_real = graph.add(
        "Sub", graph.add("Mul", real, cosine), graph.add("Mul", imaginary, sine)
    )
    turned_imaginary = graph.add(
        "Add", graph.add("Mul", real, sine), graph.add("Mul", imaginary, cosine)
    )
    over = waves(b, d, columns)
    second = np.block([[over.real, over.imag], [-over.imag, over.real]]).astype(np.float32)
    both = graph.add("Concat", turned_real, turned_imaginary, axis=3)
    power = _power(graph, graph.add("MatMul", both, second), axis=3)
    k = np.arange(config.bins)
    k = np.where(k % rows < half, k, size - k)
    places = (k % rows) * columns + k // rows
    flat = graph.reshape(power, 0, 0, half * columns)
    return graph.add("Sqrt", graph.add("Gather", flat, places, axis=2))


def _power(graph: Graph, parts: str, *, axis: int) -> str:
    """Add the sum of the squares of the two halves of an axis, the real and imaginary parts."""
    real, imaginary = graph.add_several("Split", 2, parts, axis=axis, num_outputs=2)
    return graph.add("Add", graph.add("Mul", real, real), graph.add("Mul", imaginary, imaginary))
