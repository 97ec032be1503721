"""What one request, and all of them together, may use."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from anymic.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """What one request, and all of them together, may use.

    Attributes
    ----------
    body_mb : float
        Megabytes (10^6 bytes) of a request's body.
    body_s : float
        Seconds in which a body must have arrived.
    clip_s : float
        Seconds of a recording.
    decoding_s : float
        Seconds of a processor for decoding one recording; four times as many by the clock.
    decoding_mb : int
        Megabytes (2^20 bytes) of address space of a process that decodes.
    decoders : int
        Processes that decode.
    waiting_mb : float
        Megabytes (10^6 bytes) of decoded recordings that are held at the same time, beside one
        that alone is larger; the next ones wait in their decoders.
    concurrent : int
        Requests that are processed at the same time; others are refused.
    per_minute : float
        Requests of one address in a minute; infinite for no limit.
    wait_ms : float
        Longest wait of a recording for others that share its batch.
    batch : int
        Most recordings in a batch.
    end_s : float
        Seconds for requests to finish when the service ends.

    Raises
    ------
    ConfigError
        If a limit is not above 0, or a number that must be whole is not.
    """

    body_mb: float = 50.0
    body_s: float = 30.0
    clip_s: float = 600.0
    decoding_s: float = 10.0
    decoding_mb: int = 1024
    decoders: int = 2
    waiting_mb: float = 256.0
    concurrent: int = 64
    per_minute: float = math.inf
    wait_ms: float = 5.0
    batch: int = 32
    end_s: float = 10.0

    def __post_init__(self) -> None:
        """Check the values."""
        for one in fields(self):
            value = getattr(self, one.name)
            whole = one.type != "int" or isinstance(value, int)
            least = 0 if one.name == "wait_ms" else 1e-9
            if not (value >= least and whole):
                raise ConfigError(
                    f"the limit {one.name} is {value}",
                    expected="a number above 0" + " that is whole" * (one.type == "int"),
                    fix="correct it, or leave it out for the default",
                )

    @property
    def body_bytes(self) -> int:
        """Most bytes of a body."""
        return round(1e6 * self.body_mb)
