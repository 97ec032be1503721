"""The table of codecs: every codec by its name, and whether it is available here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from anymic._internal.registry import Registry
from anymic._internal.settings import read_yaml
from anymic.codecs.backend import Backend, Bitrates, CodecSpec
from anymic.errors import DependencyError

ORIGINAL = "wav"
"""The name of the original clip, which is not encoded."""

CODECS: Registry[CodecSpec] = Registry("codec", package="anymic.codecs.backends")
"""Every codec by its name; each backend's file registers its own."""


def register_codec(spec: CodecSpec) -> CodecSpec:
    """Add a codec to the table, and return it.

    Parameters
    ----------
    spec : CodecSpec
        Its `backend` is an instance of a subclass of `anymic.codecs.Backend`.

    Returns
    -------
    CodecSpec
        The same as `spec`.

    Raises
    ------
    ConfigError
        If another codec has that name.

    Examples
    --------
    >>> import anymic, numpy as np
    >>> from anymic.codecs import Backend, Bitrates, CodecSpec
    >>> class EightBits(Backend):
    ...     def encode(self, spec, samples, *, rate_hz, kbps):
    ...         return np.rint(127 * samples.clip(-1, 1)).astype(np.int8).tobytes()
    ...
    ...     def decode(self, spec, data):
    ...         return np.frombuffer(data, np.int8).astype(np.float32) / 127, 8000
    >>> spec = CodecSpec(
    ...     "example-eight-bits",
    ...     "eight bits a sample",
    ...     container="raw",
    ...     encoder="numpy",
    ...     backend=EightBits(),
    ...     bitrates=(Bitrates(rates_hz=(8000,), kbps=(64,)),),
    ... )
    >>> anymic.register_codec(spec).name
    'example-eight-bits'
    """
    backend = spec.backend
    CODECS.add(spec.name, spec, module=type(backend).__module__ if backend else __name__)
    return spec


register_codec(CodecSpec(ORIGINAL, "the original, not encoded", "", "", None, ()))
_BUILTIN = read_yaml(Path(__file__).with_name("builtin.yaml"))
CHAINS: dict[str, dict[str, Any]] = read_yaml(Path(__file__).with_name("chains.yaml"))
"""Chains by their names: a title, and the codecs of each."""
THEN = " > "
"""Between the codecs of a chain."""
_CHAIN_ROWS: list[Callable[[str], CodecSpec]] = []


def makes_chain_rows(function: Callable[[str], CodecSpec]) -> Callable[[str], CodecSpec]:
    """Decorate the function that returns the row of a chain: it needs `Codec`, which needs rows."""
    _CHAIN_ROWS[:] = [function]
    return function


def row_of(name: str) -> CodecSpec:
    """Return the row of a codec, or the one that a chain would have; ConfigError if unknown."""
    if name in CHAINS or THEN.strip() in name:
        return _CHAIN_ROWS[0](name)
    return CODECS.get(name)


def register_builtin(backend: Backend) -> None:
    """Add the codecs that `builtin.yaml` lists for the module of a backend."""
    for name, facts in _BUILTIN[type(backend).__module__.rpartition(".")[2]].items():
        bitrates = tuple(
            Bitrates(tuple(each["rates_hz"]), tuple(each["kbps"]), each.get("between", False))
            for each in facts["bitrates"]
        )
        options = tuple((key, str(value)) for key, value in facts.get("options", {}).items())
        own = {"backend": backend, "bitrates": bitrates, "options": options}
        register_codec(CodecSpec(name, **{**facts, **own}))


@cache
def problem(spec: CodecSpec) -> tuple[str, str]:
    """Return why a codec is not available here and what to do; empty texts if it is."""
    return ("", "") if spec.backend is None else spec.backend.problem(spec)


def require(specs: Iterable[CodecSpec]) -> None:
    """Make sure that codecs are available here; a DependencyError names those that are not."""
    missing = {spec.name: problem(spec) for spec in specs if problem(spec)[0]}
    if missing:
        raise DependencyError(
            "; ".join(
                f"codec {name} is not available here: {reason}"
                for name, (reason, _) in missing.items()
            ),
            fix="; ".join(dict.fromkeys(remedy for _, remedy in missing.values())),
        )


def describe(spec: CodecSpec) -> dict[str, Any]:
    """Return the description of a codec and its availability here as plain values."""
    reason, remedy = problem(spec)
    return {
        "codec": spec.name,
        "title": spec.title,
        "container": spec.container,
        "encoder": spec.encoder,
        "offers": [vars(each) for each in spec.bitrates],
        "rates_hz": list(spec.rates_hz),
        "kbps": list(spec.kbps),
        "available": not reason,
        "reason": reason,
        "remedy": remedy,
    }


def listed(numbers: Iterable[float]) -> str:
    """Return numbers as a list in words, integers without a point."""
    return ", ".join(f"{number:g}" for number in numbers)
