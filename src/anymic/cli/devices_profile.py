"""``anymic devices profile``: estimate a device profile from aligned recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic._internal.terminal import cell
from anymic.cli.inputs import require_both, require_png
from anymic.cli.printing import Outcome, failures_as_json, note
from anymic.errors import ConfigError, Failure, counted

if TYPE_CHECKING:
    from anymic.devices.correction.new_device import Analysis
    from anymic.devices.correction.profile import DeviceProfile


def devices_profile(
    manifest: Path | None = None,
    *,
    response: Path | None = None,
    reference_response: Path | None = None,
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
    subtract_noise: bool = False,
    plot: Path | None = None,
) -> Outcome:
    """Estimate the gains of each device from clips recorded side by side.

    Rows of the manifest with equal `take` were recorded at the same moment; 10 to 30 takes for each
    device are enough. The profile is for `anymic correct`, and for `anymic devices add`.

    In place of a manifest, --response is a file of the microphone's measured response (.cal, .txt,
    .frd: lines of Hz and dB), of which the gains are the opposite, 0 dB at 1 kHz; the reference is
    flat, or has a --reference-response. The rate is then --rate (44100).

    Example: anymic devices profile takes.csv --reference A --out profile.json --plot gains.png
    """
    import warnings

    from anymic.data.reading import without_labels
    from anymic.data.splits import clips_of_split
    from anymic.devices.correction.new_device import Analysis
    from anymic.devices.correction.spectrum_correction import SpectrumCorrection

    require_png(plot)
    require_both("--reference-response", reference_response, "--response", response)
    if (manifest is None) == (response is None):
        raise ConfigError(
            "neither a MANIFEST nor --response is given"
            if manifest is None
            else "a MANIFEST is given with --response",
            expected="one of them",
            fix="see anymic devices profile --help",
        )
    if response is not None:
        return _of_response(
            response,
            device or [],
            Analysis(rate or 44100, fft, hop),
            out=out,
            plot=plot,
            reference=reference,
            reference_response=reference_response,
            limit_db=limit_db,
        )
    table = without_labels(manifest)  # type: ignore[arg-type]  # it is given
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
        subtract_noise=subtract_noise,
        fft_size=fft,
        hop_samples=hop,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the notes, which are printed below
        correction.fit(table, devices=device, rate_hz=rate)
    return _outcome(correction.profile_, correction.notes_, correction.failures_, out, plot)


def _of_response(
    response: Path,
    devices: list[str],
    analysis: Analysis,
    *,
    out: Path,
    plot: Path | None,
    **settings: Any,
) -> Outcome:
    from anymic.devices.correction.new_device import from_response

    if len(devices) != 1:
        raise ConfigError(
            f"{len(devices)} devices are named for one response",
            expected="--device NAME",
            fix="pass --device once",
        )
    found = from_response(response, analysis, devices[0], **settings)
    return _outcome(found.profile, found.notes, (), out, plot)


def _outcome(
    profile: DeviceProfile,
    notes: Sequence[str],
    failures: Sequence[Failure],
    out: Path,
    plot: Path | None,
) -> Outcome:
    """Write the profile and the figure."""
    from rich.table import Table

    profile.write(out)
    if plot is not None:
        from anymic.evaluation.report.figures import gains_figure
        from anymic.evaluation.report.style import save_png

        save_png(gains_figure(profile), plot)
    summaries = {name: device.summary() for name, device in profile.devices.items()}
    plain = {
        "profile": str(out),
        "plot": str(plot) if plot else None,
        "reference": list(profile.reference),
        "estimator": profile.estimator,
        "rate_hz": profile.rate_hz,
        "fft_size": profile.fft_size,
        "devices": summaries,
        "notes": list(notes),
        "failures": failures_as_json(failures),
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
            cell(name),
            str(summary["clips"]),
            *("-" if number is None else f"{number:.1f} dB" for number in numbers),
        )
    line = f"{out}: {counted(len(profile.devices), 'device')}" + (f"; {plot}" if plot else "")
    return Outcome(plain, [table, line], failures, notes=notes)
