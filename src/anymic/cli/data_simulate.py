"""`anymic data simulate`: pass a corpus through devices."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.derived import derived_outcome, variant_lines
from anymic.cli.printing import Outcome


def data_simulate(
    manifest: Path,
    *,
    devices: str,
    out: Path,
    responses: Path | None = None,
    workers: int | None = None,
    ray: str | None = None,
) -> Outcome:
    """Make a corpus of several devices from a clean one.

    Each device changes the clips by its response, gain, compression and noise. The YAML sets which
    clips a device records: all, a count, or a share. Devices with few clips record the same ones
    (aligned takes). OUT/audio (FLAC), OUT/manifest.csv and, for a corpus with folds, one
    OUT/foldK.csv for each fold are written, ready to train on. The same settings give the same
    bytes; an interrupted run continues where it stopped.

    With --ray, a Ray cluster does the work: see docs/recordings.md.

    Example: anymic data simulate esc10.csv --devices microphones --responses micirp --out mics
    """
    from anymic.data.reading import as_manifest
    from anymic.devices.simulation.simulate import simulate as run

    result = run(
        as_manifest(manifest, several=None),
        devices,
        out,
        responses=responses,
        workers=workers,
        ray=ray,
    )
    counts = result.manifest.table["device"].value_counts()
    found = [
        (name, int(counts.get(name, 0)), over) for name, over in result.over_full_scale.items()
    ]
    plain = {name: {"clips": clips, "clips_over_full_scale": over} for name, clips, over in found}
    lines = variant_lines("device", "clips", found)
    return derived_outcome(result, out, lines=lines, plain={"devices": plain})
