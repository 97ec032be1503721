"""The measured response of a microphone, from a .cal, .txt or .frd file, as a device profile."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic._internal.reading import MOST_JSON_BYTES
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.errors import DeviceError, counted

FLAT = "flat"  # the reference of a profile that corrects a device to a flat response
LEVEL_HZ = 1000.0  # a response is 0 dB here
WIDEST_OCTAVES = 1.0  # a wider step between two lines is noted
MOST_DB = 150.0  # a response of more than this from that at 1 kHz is no response in dB
LIMIT_DB = 40.0

_COMMENTS = ("*", "#", ";", "//")
_WANTED = "lines of a frequency in Hz and a level in dB, such as `1000 -0.5`"
_DECIMAL = re.compile(r"[+-]?\d+(,\d+)?([eE][+-]?\d+)?|[+-]?\d*\.?\d+([eE][+-]?\d+)?")


@dataclass(frozen=True, eq=False)
class Response:
    """The magnitude response of a microphone, 0 dB at 1 kHz.

    Attributes
    ----------
    hz : (point,) float64
        Ascending, above 0.
    level_db : (point,) float64
        What the microphone adds to the level of a sound.
    notes : tuple of str
        What was read differently than it is written.
    """

    hz: NDArray[np.float64]
    level_db: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def at(self, hz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the levels in dB at frequencies, interpolated over log frequency.

        Below the first and above the last point the level is that of the point.
        """
        above_zero = np.maximum(hz, self.hz[0])
        return np.asarray(np.interp(np.log(above_zero), np.log(self.hz), self.level_db))


def read_response(path: str | Path) -> Response:
    """Read a file of a measured response: .cal, .txt, .frd and the like.

    A line has a frequency in Hz, the level in dB, and perhaps the phase, which is not used. They
    are separated by blanks, tabs, commas or semicolons; decimal commas are read where blanks, tabs
    or semicolons separate. Lines that begin with * # ; // or a quotation mark are comments, and
    lines without numbers before the first point are headers. The text is UTF-8, UTF-16 or Latin-1.
    The level at 1 kHz is subtracted. Points in another order are sorted; this and steps of more
    than an octave are noted.

    Raises
    ------
    DeviceError
        If there is no such file, it is no text, a line after the first point has no numbers, a
        frequency is there twice with different levels, or there are fewer than two points.
    """
    path = Path(path)
    points: list[tuple[float, float]] = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        numbers = _numbers(line)
        if numbers is None:
            continue
        if len(numbers) >= 2 and np.isfinite(numbers[:2]).all() and numbers[0] >= 0:
            points += [(numbers[0], numbers[1])] * (numbers[0] > 0)
        elif points or numbers:
            raise _wrong(f"line {number} of {path} is {line.strip()!r}")
    if (count := len({hz for hz, _ in points})) < 2:
        raise _wrong(f"{path} has {counted(count, 'point')} of a response")
    return _checked(path, np.array(points))


def _text(path: Path) -> str:
    if not path.is_file():
        raise DeviceError(f"no file {path}", expected=_WANTED, fix="check the path")
    with path.open("rb") as file:
        data = file.read(MOST_JSON_BYTES + 1)
    if len(data) > MOST_JSON_BYTES:
        raise _wrong(f"{path} has more than {MOST_JSON_BYTES >> 20} MB")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data[:200]:  # UTF-16 without a mark: of ASCII, every second byte is 0
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _numbers(line: str) -> list[float] | None:
    """Return the numbers of a line, none if it has other words; None for a comment."""
    plain = line.replace("\N{MINUS SIGN}", "-").replace('"', " ").strip()
    if not plain or plain.startswith(_COMMENTS):
        return None
    parts = re.split(r"[\s;]+", plain.strip("; "))
    if len(parts) > 1 and all(map(_DECIMAL.fullmatch, parts)):
        parts = [part.replace(",", ".") for part in parts]
    else:
        parts = [part for part in re.split(r"[\s,;]+", plain) if part]
    try:
        return [float(part) for part in parts]
    except ValueError:
        return None if line.lstrip().startswith('"') else []


def _checked(path: Path, points: NDArray[np.float64]) -> Response:
    """Sort the points, refuse contradictions, and set the level at 1 kHz to 0 dB."""
    notes = []
    if (np.diff(points[:, 0]) < 0).any():
        notes.append(f"{path.name}: the lines are not in the order of frequency, and are sorted")
    points = np.unique(points, axis=0)
    twice = points[1:, 0][np.diff(points[:, 0]) == 0]
    if len(twice):
        raise _wrong(f"{path} has two levels at {twice[0]:g} Hz")
    hz, level_db = points.T
    steps = np.diff(np.log2(hz))
    if gaps := int((steps > WIDEST_OCTAVES).sum()):
        at = int(steps.argmax())
        notes.append(
            f"{path.name}: the response is interpolated over {counted(gaps, 'step')} of more than "
            f"an octave; the widest is from {hz[at]:g} to {hz[at + 1]:g} Hz"
        )
    response = Response(hz, level_db)
    level_db = level_db - response.at(np.array([LEVEL_HZ]))
    if (most := float(np.abs(level_db).max())) > MOST_DB:
        raise _wrong(f"{path} has a level {most:.0f} dB from that at 1 kHz")
    return Response(hz, level_db, tuple(notes))


def _wrong(problem: str) -> DeviceError:
    return DeviceError(problem, expected=_WANTED, fix="export the response as text")


def profile_of_response(
    response: str | Path | Response,
    device: str,
    *,
    rate_hz: int,
    fft_size: int = 2048,
    hop_samples: int = 512,
    limit_db: float = LIMIT_DB,
    reference: str = FLAT,
    reference_response: str | Path | Response | None = None,
) -> DeviceProfile:
    """Return the profile of a device whose response was measured.

    The response is what the microphone adds to a sound in dB, so its gains are the opposite:
    gain = response of the reference - response of the device, each relative to 1 kHz, and at most
    `limit_db` up or down.

    Parameters
    ----------
    response : path or Response
        See `read_response`.
    device : str
        Its name.
    rate_hz, fft_size, hop_samples : int
        The analysis that the gains are for.
    limit_db : float
    reference : str
        The name of the reference device.
    reference_response : path or Response, optional
        Its response; by default it is flat.

    Raises
    ------
    DeviceError
        As for `read_response`.
    """
    own, other = (
        one if isinstance(one, Response) else read_response(one)
        for one in (response, _flat() if reference_response is None else reference_response)
    )
    hz = np.linspace(0.0, rate_hz / 2, fft_size // 2 + 1)
    gains_db = np.clip(other.at(hz) - own.at(hz), -limit_db, limit_db)
    gains = DeviceGains(10 ** (gains_db / 20), 0, np.zeros(len(hz)), "response")
    return DeviceProfile(
        rate_hz=rate_hz,
        fft_size=fft_size,
        hop_samples=hop_samples,
        reference=(reference,),
        estimator="response",
        devices={device: gains},
        limit_db=limit_db,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def ends_note(response: Response, rate_hz: int) -> tuple[str, ...]:
    """Return notes on the ends beyond which a response is held constant, if there are any."""
    low, high = float(response.hz[0]), float(response.hz[-1])
    parts = [f"below {low:g} Hz"] * (low > 50) + [f"above {high:g} Hz"] * (high < 0.49 * rate_hz)
    return (f"the response is held constant {' and '.join(parts)}",) if parts else ()


def _flat() -> Response:
    return Response(np.array([1.0, LEVEL_HZ]), np.zeros(2))
