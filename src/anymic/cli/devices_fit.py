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

    It needs 10 to 40 uncorrected recordings of each device, at one sampling rate. Unknown devices
    are simulated: clips with random responses like those of measured microphones. Recordings of the
    devices --held-out are further examples of unknown devices, and measure how many of these it
    accepts. The shares printed are of clips of other recordings than those it was trained on.

    Example: anymic devices fit clips.csv --out identifier
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
    from anymic.metrics.intervals import accuracy

    yield f"{out}: {', '.join(f'{name} {count}' for name, count in record['clips'].items())} clips"
    yield "accepted, of clips of recordings that were left out:"
    for name, found in record["accepts"].items():
        count, clips = found["accepted"], found["clips"]
        if not clips:
            yield f"  {name}: not known, all of its clips are of one recording"
            continue
        share = accuracy([True] * count + [False] * (clips - count))
        low, high = 100 * share.low, 100 * share.high
        yield f"  {name}: {100 * share.value:.0f} % [{low:.0f}, {high:.0f}] of {clips}"
    for kind, name in (("simulated", "simulated unknown devices"), ("unknown", "held-out devices")):
        if f"{kind}_accepts" in record:
            low, high = (100 * bound for bound in record[f"{kind}_interval"])
            accepted = f"{100 * record[f'{kind}_accepts']:.0f} % [{low:.0f}, {high:.0f}]"
            clips, area = record[f"{kind}_clips"], record[f"{kind}_auroc"]
            yield f"  {name}: {accepted} of {clips}; area under the ROC curve {area:.3f}"
    yield f"next: anymic devices identify FILES --identifier {out}"
