"""The figure of a device profile: gains over frequency, with their spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anymic.report.style import bare, canvas, quiet_style, series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from anymic.devices.profile import DeviceProfile

LOWEST_HZ = 30.0
TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)


def gains_figure(profile: DeviceProfile) -> Figure:
    """Draw the gain of every device in dB over frequency.

    The band around a line is plus and minus one standard deviation over clips. A single
    reference device, whose gains are 1, is the line at 0 dB.
    """
    frequency_hz = profile.frequencies_hz()
    shown = frequency_hz >= min(LOWEST_HZ, frequency_hz[-1] / 2)
    drawn = [name for name in profile.devices if (name,) != profile.reference]
    with quiet_style():
        figure, axes = canvas(3.4)
        for number, name in enumerate(drawn):
            device = profile.devices[name]
            gain_db = 20 * np.log10(device.gains[shown])
            spread_db = device.spread_db[shown]
            colour, _ = series(number)
            axes.fill_between(
                frequency_hz[shown],
                gain_db - spread_db,
                gain_db + spread_db,
                color=colour,
                alpha=0.15,
                linewidth=0,
            )
            label = f"{name} ({device.count} clips)"
            axes.plot(frequency_hz[shown], gain_db, color=colour, linewidth=1.4, label=label)
        axes.set_xscale("log")
        ticks = [tick for tick in TICKS_HZ if tick <= frequency_hz[-1]]
        axes.set_xticks(ticks, [str(tick).replace("000", "k") for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.set_xlim(frequency_hz[shown][0], frequency_hz[-1])
        axes.set_ylim(-profile.limit_db - 2, profile.limit_db + 2)
        axes.set_xlabel("frequency in Hz")
        axes.set_ylabel("gain in dB")
        axes.set_title(
            f"Gains towards {'+'.join(profile.reference)} ({profile.estimator.replace('_', ' ')})"
        )
        bare(axes, grid="y")
        if drawn:
            axes.legend(loc="best")
    return figure  # type: ignore[no-any-return]
