"""What an audio file may plausibly state: beyond these limits it is refused before it is decoded.

A header of a few bytes can ask for any amount of memory or time. Each limit lies far beyond what
recorders make; one that your recordings do exceed is set by an environment variable, such as
``ANYMIC_LOWEST_RATE_HZ=10`` for seismic recordings.
"""

from __future__ import annotations

from typing import Final

from anymic._internal.limited_process import stated_limit

DEFAULTS: Final = {
    # Sampling rates. A file of a low rate grows by resampling: at 1 Hz, one megabyte to 100 GB.
    "lowest_rate_hz": 100,
    "highest_rate_hz": 10_000_000,
    # Chunks of a WAV or AIFF file; real files have fewer than twenty.
    "most_chunks": 1000,
    # Streams of a film: FFmpeg prepares a decoder for each, of about a megabyte.
    "most_streams": 100,
    # A pause inside a film becomes silence; a wrong time stamp is a pause of years.
    "longest_pause_s": 600,
}


def limit(name: str) -> int:
    """Return a limit: the default, or the value of the environment variable ANYMIC_<NAME>.

    Raises
    ------
    ConfigError
        If the variable is not a whole number above 0.
    """
    return stated_limit(name, DEFAULTS[name])


def how_to_raise(name: str) -> str:
    """Return the part of a fix that names the variable of a limit."""
    return f"set ANYMIC_{name.upper()} in the environment if it is right"
