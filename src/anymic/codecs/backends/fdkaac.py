"""HE-AAC by the program fdkaac, through pipes: no file is written."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
from numpy.typing import NDArray

from anymic.codecs.backend import Backend, CodecSpec, refused, to_int16
from anymic.codecs.table import register_builtin
from anymic.errors import AudioError

PROGRAM = "fdkaac"
REMEDY = (
    "install it: on Debian `apt-get install fdkaac` with the components contrib and non-free "
    "(`make fdkaac` does both), elsewhere https://github.com/nu774/fdkaac"
)
_HE_AAC_V1 = "5"  # MPEG-4 audio object type: AAC with spectral band replication
_ADTS = "2"
_PATIENCE_S = 600.0


class Fdkaac(Backend):
    """Encodes HE-AAC v1 (SBR, no parametric stereo) at a constant bitrate."""

    def problem(self, spec: CodecSpec) -> tuple[str, str]:
        """Return that the program is missing, or its library has no HE-AAC, which some lack."""
        path = shutil.which(PROGRAM)
        if path is None:
            return f"the program {PROGRAM} is not installed", REMEDY
        try:
            self.encode(spec, np.zeros(8192, np.float32), rate_hz=44100, kbps=32)
        except AudioError as error:
            return f"{path} does not encode HE-AAC here ({error.problem})", REMEDY
        return "", ""

    def encode(
        self, spec: CodecSpec, samples: NDArray[np.float32], *, rate_hz: int, kbps: float
    ) -> bytes:
        """Return an ADTS stream; an AudioError contains the last line of the program's output."""
        command = [PROGRAM, "-S", "-p", _HE_AAC_V1, "-b", str(round(kbps * 1000)), "-f", _ADTS]
        command += ["-R", "--raw-channels", "1", "--raw-rate", str(rate_hz)]
        command += ["--raw-format", "S16L", "-o", "-", "-"]
        try:
            done = subprocess.run(
                command,
                input=to_int16(samples).astype("<i2", copy=False).tobytes(),
                capture_output=True,
                timeout=_PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AudioError(f"{PROGRAM} does not run ({error})", fix=REMEDY) from None
        if done.returncode or not done.stdout:
            output = done.stderr.decode(errors="replace").strip() or "no output"
            raise refused(PROGRAM, rate_hz, kbps, output.split("\n")[-1].strip())
        return done.stdout


register_builtin(Fdkaac())
