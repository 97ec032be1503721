"""Statistics of measured microphone responses, from which responses are drawn at random.

    python benchmarks/microphone_statistics.py ../shared/data/micirp --without identification

Prints the table `src/anymic/devices/simulation/microphones.csv`, from which
`anymic.devices.simulation.random_responses` draws: in sixths of an octave the mean of the responses
in dB, the deviation that their principal components leave, and these components, each scaled by
its standard deviation; and for each delay of a ripple its deviation. `--without` leaves out the
microphones of a preset: no microphone that results are tested on may be in the table.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic._internal.settings import preset_file
from anymic.devices.simulation.device_set import DeviceSet
from anymic.devices.simulation.random_responses import ResponseStatistics, fit_statistics
from anymic.devices.simulation.response import ResponseSpec, impulse_response

RATE_HZ, FFT_SIZE, FINE = 44100, 2048, 1 << 17
Array = NDArray[np.float64]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("responses", type=Path)
    parser.add_argument("--without", action="append", default=[], help="preset of devices")
    arguments = parser.parse_args()
    without = [file for name in arguments.without for file in files_of(name)]
    used = other_files(arguments.responses, without)
    print(f"# Of {len(used)} responses of MicIRP (CC BY-SA 4.0); see random_responses.py:")
    for start in range(0, len(used), 4):
        print("# " + ", ".join(used[start : start + 4]))
    write(statistics_of(used, arguments.responses))


def files_of(preset: str) -> list[str]:
    """Return the files of the responses of a preset of devices."""
    devices = DeviceSet.read(preset_file(preset, example="microphones")).devices.values()
    return [one.response.file for one in devices if one.response and one.response.file]


def other_files(folder: Path, without: Sequence[str]) -> list[str]:
    """Return the names of the responses in a folder, in order, without some."""
    return sorted(path.name for path in folder.glob("*.wav") if path.name not in set(without))


def statistics_of(files: Sequence[str], folder: Path) -> ResponseStatistics:
    """Return the statistics of measured responses."""
    hz = np.arange(FFT_SIZE // 2 + 1) * RATE_HZ / FFT_SIZE
    return fit_statistics(np.array([levels_db(file, folder) for file in files]), hz)


def levels_db(file: str, folder: Path) -> Array:
    """Return the response of a file in dB, (bin,): the mean power around each bin."""
    taps = impulse_response(ResponseSpec(file=file), RATE_HZ, str(folder)).taps
    power = np.abs(np.fft.rfft(taps, FINE)) ** 2
    wide = FINE // FFT_SIZE
    around = np.convolve(np.pad(power, wide // 2, mode="reflect"), np.ones(wide + 1) / (wide + 1))
    return np.asarray(10 * np.log10(around[wide:-wide][::wide] + 1e-12))


def write(found: ResponseStatistics) -> None:
    """Write a table to stdout."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["kind", "place", "mean", "rest", *range(1, len(found.components_db) + 1)])
    for row, centre_hz in enumerate(found.centres_hz):
        values = (found.mean_db[row], found.rest_db[row], *found.components_db[:, row])
        writer.writerow(["band", f"{centre_hz:.1f}", *(f"{value:.2f}" for value in values)])
    for delay_s, deviation in zip(found.ripple_s, found.ripple_db, strict=True):
        writer.writerow(["ripple", f"{delay_s:.6f}", "", f"{deviation:.2f}"])


if __name__ == "__main__":
    main()
