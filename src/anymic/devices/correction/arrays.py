"""What spectrum correction accepts as an array: its domain, its shape, and a device a row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.errors import DeviceError

Domain = Literal["waveform", "stft", "magnitude"]
Unknown = Literal["error", "identity"]
DOMAINS = ("waveform", "stft", "magnitude")
UNKNOWN = ("error", "identity")
_AXES = {"waveform": "(clip, sample)", "stft": "(clip, bin, frame)"}


class ArrayError(DeviceError, ValueError):
    """An array that cannot be corrected; also a ValueError, as scikit-learn's rules ask."""


def check_choices(domain: str, unknown: str) -> None:
    """Refuse a domain or a rule for unknown devices that does not exist.

    Raises
    ------
    DeviceError
        If one is none of `DOMAINS` or of `UNKNOWN`.
    """
    for name, value, choices in (("domain", domain, DOMAINS), ("unknown", unknown, UNKNOWN)):
        if value not in choices:
            raise DeviceError(
                f"unknown value {name}={value!r}",
                expected="one of " + ", ".join(choices),
                fix="choose one of them",
            )


def checked_clips(values: ArrayLike, domain: Domain, *, fft_size: int) -> NDArray[Any]:
    """Return clips as an array of the domain's kind and number of axes.

    Parameters
    ----------
    values : array-like
        ``waveform``: real, (clip, sample) or (sample,). ``stft``: complex, (clip, bin, frame) or
        (bin, frame). ``magnitude``: real, not negative, of the shapes of ``stft``.
    domain : str
    fft_size : int
        Says how many bins there are: fft_size // 2 + 1.

    Returns
    -------
    array, (clip, sample) or (clip, bin, frame)
        A single clip becomes an array of one. Integers become float64; no value changes.

    Raises
    ------
    ArrayError
        If the type, the shape or a value does not fit the domain.
    """
    array = np.asarray(values) if not hasattr(values, "tocsr") else np.empty((), dtype=object)
    kind = {"waveform": "fiu", "stft": "c", "magnitude": "fiu"}[domain]
    axes = _AXES.get(domain, _AXES["stft"])
    if array.dtype.kind not in kind:
        raise ArrayError(
            f"{_type_of(values, array)} not supported in the domain {domain}",
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
    """Return one name a row; a single name stands for all rows, None becomes "".

    Raises
    ------
    ArrayError
        If the number of names is not that of the rows.
    """
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


def _type_of(values: object, array: NDArray[Any]) -> str:
    if hasattr(values, "tocsr"):
        return "Sparse data"
    return "Complex data" if array.dtype.kind == "c" else f"Data of type {array.dtype}"
