"""Files of measured responses: how they are written, and what their gains are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anymic.devices.correction.response_file import ends_note, profile_of_response, read_response
from anymic.errors import DeviceError

HZ = np.array([20.0, 31.5, 50.0, 90.0, 170.0, 330.0, 650.0, 1000.0, 2000.0, 4000.0, 7000.0, 9e3])
LEVEL_DB = np.array([-9.5, -6.25, -3.0, -1.5, 0.0, 0.25, 0.5, 0.5, 1.0, 3.5, -2.0, -12.0])


def lines(form: str, *, comma: str = ".") -> str:
    rows = [form.format(hz, level, 30.0) for hz, level in zip(HZ, LEVEL_DB, strict=True)]
    return "\n".join(rows).replace(".", comma) + "\n"


WRITTEN = {
    "frd": ("* REW V5\n* phase in degrees\n" + lines("{} {} {}")).encode(),
    "sens factor": ('"Sens Factor =-1.234dB, SERNO: 7001234"\n' + lines("{}\t{}")).encode(),
    "header": ("Freq(Hz), SPL(dB)\n" + lines("{}, {}")).encode(),
    "commas": lines("{},{}").encode(),
    "quoted": lines('"{}","{}"').encode(),
    "comments": ("# a\n; b\n// c\n\n" + lines("  {}   {}  ")).encode(),
    "decimal commas": ("Frequenz\tPegel\n" + lines("{}\t{}", comma=",")).encode(),
    "decimal commas, semicolons": lines("{};{};{}", comma=",").encode(),
    "utf-16": lines("{}\t{}").encode("utf-16"),
    "utf-16 without a mark": lines("{}\t{}").encode("utf-16-le"),
    "utf-8 with a mark": lines("{} {}").encode("utf-8-sig"),
    "latin-1": ("* 0\xb0 on axis\n" + lines("{} {}")).encode("latin-1"),
    "minus sign": lines("{} {}").replace("-", "\N{MINUS SIGN}").encode(),
    "windows": lines("{} {}").replace("\n", "\r\n").encode(),
    "from 0 Hz on": ("0 -99.0\n" + lines("{} {}")).encode(),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_every_way_of_writing_a_response_gives_the_same(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "mic.cal"
    path.write_bytes(WRITTEN[kind])
    found = read_response(path)
    np.testing.assert_array_equal(found.hz, HZ)
    np.testing.assert_allclose(found.level_db, LEVEL_DB - 0.5)  # 0 dB at 1 kHz
    assert found.notes == ()


@pytest.mark.parametrize(
    ("hz", "beyond"),
    [
        ("50 7839", "above 7839 Hz"),  # 0.49 of 16 kHz is 7840 Hz
        ("51 7840", "below 51 Hz"),
        ("51 7839", "below 51 Hz and above 7839 Hz"),
        ("50 7840", ""),
    ],
)
def test_ends_beyond_which_nothing_was_measured_are_noted(
    hz: str, beyond: str, tmp_path: Path
) -> None:
    path = tmp_path / "mic.frd"
    low, high = hz.split()
    path.write_text(f"{low} 0\n1000 0\n{high} 0\n")
    expected = (f"the response is held constant {beyond}",) if beyond else ()
    assert ends_note(read_response(path), 16_000) == expected


def test_another_order_and_gaps_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "mic.txt"
    path.write_text("10000 2\n1000 0\n100 -4\n50 -5\n")
    found = read_response(path)
    assert found.hz.tolist() == [50, 100, 1000, 10000]
    order, gaps = found.notes
    assert "sorted" in order
    assert "2 steps of more than an octave; the widest is from" in gaps


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"20 -1\n1000 oops\n", "Line 2 of .*'1000 oops'"),
        (b"20 -1\n-30 2\n", "Line 2"),
        (b"20 -1\n30 nan\n", "Line 2"),
        (b"20\n30\n", "Line 1"),
        (b"20 -1\n1000 1\n1000 2\n", "two levels at 1000 Hz"),
        (b"20 -1\n20 -1\n", "has 1 point of a response"),
        (b"1000 -1\n2000 500\n", "501 dB from that at 1 kHz"),
        (b"", "has 0 points of a response"),
        (bytes(range(256)), "has 0 points of a response"),
    ],
)
def test_what_is_no_response_is_refused_in_one_line(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mic.cal"
    path.write_bytes(content)
    with pytest.raises(DeviceError, match=message) as caught:
        read_response(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(DeviceError, match="No file"):
        read_response(tmp_path / "missing.cal")


def test_gains_are_the_opposite_of_the_response(tmp_path: Path) -> None:
    path = tmp_path / "mic.cal"
    path.write_bytes(WRITTEN["frd"])
    profile = profile_of_response(path, "B", rate_hz=32000, fft_size=1024, hop_samples=256)
    gains_db = 20 * np.log10(profile.gains_for("B"))
    hz = profile.frequencies_hz()
    assert profile.devices["B"].source == "response"
    assert profile.reference == ("flat",)

    def at(frequency: float) -> float:
        return float(gains_db[np.argmin(np.abs(hz - frequency))])

    assert at(1000) == pytest.approx(0.0)
    assert at(4000) == pytest.approx(-3.0)
    # Interpolated over log frequency, and held constant beyond the ends.
    middle = np.interp(np.log(hz[90]), np.log(HZ), 0.5 - LEVEL_DB)
    assert gains_db[90] == pytest.approx(middle)
    assert at(0) == pytest.approx(10.0)
    assert at(16000) == pytest.approx(12.5)


def test_gains_lead_to_the_response_of_the_reference(tmp_path: Path) -> None:
    def written(name: str, level_db: NDArray[np.float64]) -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{a} {b}\n" for a, b in zip(HZ, level_db, strict=True)))
        return path

    own, other = written("own.cal", LEVEL_DB), written("other.cal", 2 * LEVEL_DB)
    profile = profile_of_response(
        own, "B", rate_hz=8000, reference="A", reference_response=other, limit_db=3.0
    )
    assert profile.reference == ("A",)
    gains_db = 20 * np.log10(profile.gains_for("B"))
    wanted = np.interp(np.log(profile.frequencies_hz()[1:]), np.log(HZ), LEVEL_DB - 0.5)
    np.testing.assert_allclose(gains_db[1:], np.clip(wanted, -3, 3), atol=1e-9)
    same = profile_of_response(own, "B", rate_hz=8000, reference_response=own)
    np.testing.assert_array_equal(same.gains_for("B"), np.ones(1025))
