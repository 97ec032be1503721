"""Check the arrays and device names that spectrum correction is given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.errors import DeviceError

Domain = Literal["waveform", "stft", "magnitude"]
Unknown = Literal["error", "identity"]


class ArrayError(DeviceError, ValueError):
    """An array that cannot be corrected; also a ValueError, as scikit-learn's rules ask."""


def check_choices(domain: str, unknown: str) -> None:
    """Raise a DeviceError if `domain` or `unknown` has a value that does not exist."""
    for name, value, kind in (("domain", domain, Domain), ("unknown", unknown, Unknown)):
        choices = get_args(kind)
        if value not in choices:
            raise DeviceError(
                f"unknown value {name}={value!r}",
                expected="one of " + ", ".join(choices),
                fix="choose one of them",
            )


def checked_clips(values: ArrayLike, domain: Domain, *, fft_size: int) -> NDArray[Any]:
    """Return clips as an array, (clip, sample) or (clip, bin, frame).

    A single clip becomes an array of one. Integers become float64; no value changes. Raises an
    ArrayError if the type, the shape or a value does not fit the domain.

    Parameters
    ----------
    values : array-like
        ``waveform``: real, (clip, sample) or (sample,). ``stft``: complex, (clip, bin, frame) or
        (bin, frame). ``magnitude``: real, not negative, of the shapes of ``stft``.
    domain : str
    fft_size : int
        The number of bins is fft_size // 2 + 1.
    """
    sparse = hasattr(values, "tocsr")
    array = np.empty((), dtype=object) if sparse else np.asarray(values)
    axes = "(clip, sample)" if domain == "waveform" else "(clip, bin, frame)"
    if array.dtype.kind not in ("c" if domain == "stft" else "fiu"):
        # scikit-learn's checks search for "Complex data not supported".
        named = "Complex data" if array.dtype.kind == "c" else f"Data of type {array.dtype}"
        raise ArrayError(
            f"{'Sparse data' if sparse else named} not supported in the domain {domain}",
            expected=f"{'complex' if domain == 'stft' else 'real'} numbers {axes}, dense",
            fix="convert the array, or set `domain` to what it holds",
        )
    ndim = axes.count(",") + 1
    if array.ndim not in (ndim - 1, ndim) or not array.size:
        raise ArrayError(
            f"the array has shape {array.shape} in the domain {domain}",
            expected=f"{axes}, or one clip without the first axis; at least one value",
            fix="reshape the array, or set `domain` to what it holds",
        )
    array = array[None] if array.ndim < ndim else array
    if domain != "waveform" and array.shape[1] != fft_size // 2 + 1:
        raise ArrayError(
            f"the array has {array.shape[1]} bins",
            expected=f"{fft_size // 2 + 1} bins, as the FFT size is {fft_size}",
            fix="set `fft_size` to that of the spectra",
        )
    if not np.isfinite(array).all():
        raise ArrayError(
            "the array has NaN or infinite values",
            expected="finite numbers",
            fix="leave these clips out",
        )
    if domain == "magnitude" and (array < 0).any():
        raise ArrayError(
            "some magnitudes are negative",
            expected="linear magnitudes of at least 0",
            fix="take the absolute value of the STFT, without a logarithm",
        )
    return array.astype(np.float64) if array.dtype.kind in "iu" else array


def one_a_row(
    values: str | Iterable[str | None] | None, rows: int, *, what: str = "device"
) -> list[str]:
    """Return a name for each row; a single name stands for all rows, None becomes ""."""
    if isinstance(values, str) or values is None:
        return [values or ""] * rows
    names = ["" if name is None else str(name) for name in values]
    if len(names) != rows:
        raise ArrayError(
            f"there are {len(names)} {what} names for {rows} clips",
            expected=f"one {what} for all clips, or one for each",
            fix=f"pass `{what}` with {rows} names",
        )
    return names
