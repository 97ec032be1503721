"""HE-AAC through the program fdkaac, by pipes: no file is written."""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anymic.errors import AudioError

PROGRAM = "fdkaac"
REMEDY = (
    "install it: on Debian `apt-get install fdkaac` with the components contrib and non-free "
    "(`make fdkaac` does both), elsewhere https://github.com/nu774/fdkaac"
)
_HE_AAC_V1 = "5"  # MPEG-4 audio object type: AAC with spectral band replication
_ADTS = "2"
_PATIENCE_S = 600.0


@lru_cache(maxsize=1)
def problem() -> str:
    """Say why HE-AAC cannot be encoded here; "" where it can. It is tried, once a process.

    The program may be there and its library without HE-AAC, as in distributions that leave out
    what was patented.
    """
    path = shutil.which(PROGRAM)
    if path is None:
        return f"the program {PROGRAM} is not installed"
    try:
        encode(np.zeros(8192, np.int16), rate_hz=44100, kbps=32)
    except AudioError as error:
        return f"{path} does not encode HE-AAC here ({error.problem})"
    return ""


def encode(samples: NDArray[np.int16], *, rate_hz: int, kbps: float) -> bytes:
    """Encode one channel as HE-AAC v1 (SBR, no parametric stereo) at a constant bitrate.

    Parameters
    ----------
    samples : (sample,) int16
    rate_hz : int
    kbps : float

    Returns
    -------
    bytes
        An ADTS stream.

    Raises
    ------
    AudioError
        The program fails; its own last words are in the message.
    """
    command = [PROGRAM, "-S", "-p", _HE_AAC_V1, "-b", str(round(kbps * 1000)), "-f", _ADTS]
    command += ["-R", "--raw-channels", "1", "--raw-rate", str(rate_hz), "--raw-format", "S16L"]
    command += ["-o", "-", "-"]
    try:
        done = subprocess.run(
            command,
            input=samples.astype("<i2", copy=False).tobytes(),
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        said, status = done.stderr.decode(errors="replace").split("\n"), done.returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AudioError(f"{PROGRAM} that does not run ({error})", fix=REMEDY) from None
    if status or not done.stdout:
        last = next((line.strip() for line in reversed(said) if line.strip()), "no output")
        raise AudioError(
            f"{PROGRAM} that refuses {rate_hz} Hz at {kbps:g} kbps ({last})",
            expected="a rate and bitrate that it encodes",
            fix="choose others; `anymic codec list` names them",
        )
    return done.stdout
