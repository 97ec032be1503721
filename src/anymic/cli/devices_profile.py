"""``anymic devices profile``: estimate a device profile from aligned recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anymic.cli import options
from anymic.cli.printing import failures_as_json, finish, note, print_json
from anymic.errors import DeviceError

if TYPE_CHECKING:
    from anymic.devices.correction.spectrum_correction import SpectrumCorrection


def devices_profile(
    manifest: Annotated[
        Path, typer.Argument(help="A CSV with path, label, device and, for aligned clips, take.")
    ],
    reference: Annotated[
        str,
        typer.Option(
            help="The device to correct towards; the mean of several as B,C; all for all."
        ),
    ] = "A",
    out: Annotated[Path, typer.Option(help="The device profile to write.")] = Path("profile.json"),
    estimator: Annotated[
        str,
        typer.Option(help="ratio_of_means, mean_of_ratios, geometric or geometric_unaligned."),
    ] = "ratio_of_means",
    device: Annotated[
        list[str] | None, typer.Option(help="Only this device; may be repeated. [default: all]")
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Only clips of this split; may be repeated. [default: all]"),
    ] = None,
    rate: Annotated[
        int | None, typer.Option(help="Resample to this rate in Hz. [default: the clips' own]")
    ] = None,
    fft: Annotated[int, typer.Option(help="FFT size in samples.")] = 2048,
    hop: Annotated[int, typer.Option(help="Hop in samples.")] = 512,
    floor_db: Annotated[float, typer.Option(help="Lower limit of the spectra.")] = -100.0,
    limit_db: Annotated[float, typer.Option(help="Limit of the gains, up and down.")] = 40.0,
    silence_db: Annotated[
        float, typer.Option(help="Frames this far below a clip's loudest are left out.")
    ] = -40.0,
    plot: Annotated[Path | None, typer.Option(help="Draw the gains into this PNG.")] = None,
    as_json: options.Outcome = False,
) -> None:
    """Estimate the gains of each device from clips recorded side by side.

    Rows of the manifest with equal `take` were recorded at the same moment; 10 to 30 takes for each
    device are enough. The profile is for `anymic correct`, and for `anymic devices add`.

    Example: anymic devices profile takes.csv --reference A --out profile.json --plot gains.png
    """
    import warnings

    from anymic.data.reading import as_manifest
    from anymic.data.splits import clips_of_split
    from anymic.devices.correction.spectrum_correction import SpectrumCorrection

    if plot is not None and plot.suffix.lower() != ".png":
        raise DeviceError(f"{plot} cannot be drawn", expected="a .png file", fix="change the name")
    table = as_manifest(manifest)
    if split:
        table = clips_of_split(table, split, purpose="estimate gains from")
    elif "split" in table.table and table.table["split"].nunique() > 1:
        note("clips of all splits are used; pass --split train to use one")
    names = [name.strip() for name in reference.split(",") if name.strip()]
    correction = SpectrumCorrection(
        reference="all" if names == ["all"] else names,
        estimator=estimator,
        floor_db=floor_db,
        limit_db=limit_db,
        silence_db=silence_db,
        fft_size=fft,
        hop_samples=hop,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the notes, which are printed below
        correction.fit(table, devices=device, rate_hz=rate)
    correction.profile_.write(out)
    if plot is not None:
        from anymic.evaluation.report.figures import gains_figure
        from anymic.evaluation.report.style import save_png

        save_png(gains_figure(correction.profile_), plot)
    _show(correction, out, plot, as_json=as_json)
    finish(correction.failures_)


def _show(correction: SpectrumCorrection, out: Path, plot: Path | None, *, as_json: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    profile = correction.profile_
    summaries = {name: device.summary() for name, device in profile.devices.items()}
    if as_json:
        print_json(
            {
                "profile": str(out),
                "plot": str(plot) if plot else None,
                "reference": list(profile.reference),
                "estimator": profile.estimator,
                "rate_hz": profile.rate_hz,
                "fft_size": profile.fft_size,
                "devices": summaries,
                "notes": list(correction.notes_),
                "failures": failures_as_json(correction.failures_),
            }
        )
        return
    note(*correction.notes_)
    table = Table(
        title=f"towards {'+'.join(profile.reference)}, {profile.estimator}, "
        f"{profile.rate_hz} Hz, FFT {profile.fft_size}"
    )
    table.add_column("device")
    for head in ("clips", "lowest gain", "median gain", "highest gain", "median spread"):
        table.add_column(head, justify="right")
    for name, summary in summaries.items():
        numbers = [summary[key] for key in ("lowest_db", "median_db", "highest_db", "spread_db")]
        table.add_row(name, str(summary["clips"]), *(f"{number:.1f} dB" for number in numbers))
    Console().print(table)
    print(f"{out}: {len(profile.devices)} devices" + (f"; {plot}" if plot else ""))
