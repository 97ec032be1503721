"""``anymic devices fit``: train an identifier of devices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anymic.cli.printing import Outcome


def devices_fit(
    data: Path,
    *,
    out: Path,
    split: list[str] | None = None,
    held_out: list[str] | None = None,
    seed: int = 0,
) -> Outcome:
    """Train an identifier of devices that also recognizes unknown ones.

    It needs 10 to 40 uncorrected recordings of each device, at one sampling rate. Recordings of the
    devices --held-out are its examples of unknown devices, and measure how many of these it
    accepts; without any, simulated devices are used, which is far less reliable.

    Example: anymic devices fit clips.csv --out identifier --held-out D
    """
    from anymic.data.reading import as_manifest
    from anymic.data.splits import clips_of_split
    from anymic.devices.identification.identifier import DeviceIdentifier

    manifest = as_manifest(data, several=None)
    if split or "split" in manifest.table:
        manifest = clips_of_split(manifest, split or "train", purpose="fit an identifier on")
    identifier = DeviceIdentifier().fit(manifest, held_out=held_out or (), seed=seed)
    identifier.save(out)
    record = identifier.record_
    plain = {"identifier": str(out), "devices": list(identifier.devices), **record}
    return Outcome(plain, _lines(record, out), identifier.failures_)


def _lines(record: dict[str, Any], out: Path) -> Iterator[str]:
    clips = record["clips"]
    counts = ", ".join(f"{name} {count}" for name, count in clips.items())
    share = f"{100 * record['true_accepts']:.0f} % of new clips, all devices together"
    yield f"{out}: {counts} clips; accepts {share}"
    if max(clips.values()) > 2 * min(clips.values()):
        yield "devices with fewer clips may be accepted less often: record as many of each"
    if "false_accepts" in record:
        yield (
            f"held-out devices: {100 * record['false_accepts']:.0f} % of their clips accepted,"
            f" area under the ROC curve {record['auroc']:.3f}"
        )
    else:
        yield "no device was held out: the share of unknown devices that is accepted is not known"
    yield f"next: anymic devices identify FILES --identifier {out}"
