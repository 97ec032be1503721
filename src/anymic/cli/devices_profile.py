"""``anymic devices profile``: estimate a device profile from aligned recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anymic._internal.terminal import cell
from anymic.cli.inputs import require_png
from anymic.cli.printing import Outcome, failures_as_json, note

if TYPE_CHECKING:
    from anymic.devices.correction.spectrum_correction import SpectrumCorrection


def devices_profile(
    manifest: Path,
    *,
    reference: str = "A",
    out: Path = Path("profile.json"),
    estimator: str = "ratio_of_means",
    device: list[str] | None = None,
    split: list[str] | None = None,
    rate: int | None = None,
    fft: int = 2048,
    hop: int = 512,
    floor_db: float = -100.0,
    limit_db: float = 40.0,
    silence_db: float = -40.0,
    plot: Path | None = None,
) -> Outcome:
    """Estimate the gains of each device from clips recorded side by side.

    Rows of the manifest with equal `take` were recorded at the same moment; 10 to 30 takes for each
    device are enough. The profile is for `anymic correct`, and for `anymic devices add`.

    Example: anymic devices profile takes.csv --reference A --out profile.json --plot gains.png
    """
    import warnings

    from anymic.data.reading import as_manifest
    from anymic.data.splits import clips_of_split
    from anymic.devices.correction.spectrum_correction import SpectrumCorrection

    require_png(plot)
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
    return _outcome(correction, out, plot)


def _outcome(correction: SpectrumCorrection, out: Path, plot: Path | None) -> Outcome:
    from rich.table import Table

    profile = correction.profile_
    summaries = {name: device.summary() for name, device in profile.devices.items()}
    plain = {
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
    table = Table(
        title=cell(
            f"towards {'+'.join(profile.reference)}, {profile.estimator}, "
            f"{profile.rate_hz} Hz, FFT {profile.fft_size}"
        )
    )
    table.add_column("device")
    for head in ("clips", "lowest gain", "median gain", "highest gain", "median spread"):
        table.add_column(head, justify="right")
    for name, summary in summaries.items():
        numbers = [summary[key] for key in ("lowest_db", "median_db", "highest_db", "spread_db")]
        table.add_row(
            cell(name), str(summary["clips"]), *(f"{number:.1f} dB" for number in numbers)
        )
    line = f"{out}: {len(profile.devices)} devices" + (f"; {plot}" if plot else "")
    return Outcome(plain, [table, line], correction.failures_, notes=correction.notes_)
