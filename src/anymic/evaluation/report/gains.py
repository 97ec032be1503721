"""The figure of a device profile: gains over frequency, with their spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anymic.evaluation.report.style import (
    MUTED,
    bare,
    canvas,
    quiet_style,
    series,
    shared_labels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from anymic.devices.correction.profile import DeviceProfile

LOWEST_HZ = 30.0
TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)


def gains_figure(profile: DeviceProfile) -> Figure:
    """Draw the gain of every device in dB over frequency, one panel a device.

    The band around a line is plus and minus one standard deviation over clips. A single
    reference device has no panel, because its gains are 0 dB.
    """
    frequency_hz = profile.frequencies_hz()
    shown = frequency_hz >= min(LOWEST_HZ, frequency_hz[-1] / 2)
    drawn = [name for name in profile.devices if (name,) != profile.reference]
    drawn = drawn or list(profile.devices)
    down = -(-len(drawn) // (1 if len(drawn) <= 3 else 2))
    across = -(-len(drawn) // down)
    towards = " + ".join(profile.reference)
    with quiet_style():
        figure, grid = canvas(
            0.8 + 1.5 * down, nrows=down, ncols=across, squeeze=False, sharex=True, sharey=True
        )
        for axes in grid.flat[len(drawn) :]:
            axes.set_visible(False)
        for number, name in enumerate(drawn):
            axes, device = grid.flat[number], profile.devices[name]
            gain_db = 20 * np.log10(device.gains[shown])
            low_db, high_db = gain_db - device.spread_db[shown], gain_db + device.spread_db[shown]
            colour, _ = series(number)
            axes.axhline(0, color=MUTED, linewidth=0.8)
            axes.fill_between(
                frequency_hz[shown], low_db, high_db, color=colour, alpha=0.2, linewidth=0
            )
            axes.plot(frequency_hz[shown], gain_db, color=colour, linewidth=1.3)
            axes.set_title(f"{name} ({device.count} clips)", pad=4, fontsize=9.5)
            _hertz(axes, frequency_hz[shown][0], frequency_hz[-1])
            axes.tick_params(labelbottom=number + across >= len(drawn))
        title = f"Gains towards {towards} ({profile.estimator.replace('_', ' ')})"
        shared_labels(figure, title, "frequency (Hz)", "gain (dB)")
    return figure


def _hertz(axes: Axes, low_hz: float, high_hz: float) -> None:
    ticks = [tick for tick in TICKS_HZ if low_hz <= tick <= high_hz]
    axes.set_xscale("log")
    axes.set_xlim(low_hz, high_hz)
    axes.set_xticks(ticks, [f"{t // 1000} k" if t >= 1000 else str(t) for t in ticks])
    axes.set_xticks([], minor=True)
    bare(axes, grid="both")
    axes.tick_params(axis="y", labelcolor=MUTED, labelsize=8.5)
