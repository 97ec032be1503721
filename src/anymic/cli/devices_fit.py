"""``anymic devices fit``: train an identifier of devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anymic.cli import options
from anymic.cli.printing import finish, print_json

if TYPE_CHECKING:
    from anymic.devices.identification.identifier import DeviceIdentifier


def devices_fit(
    data: Annotated[
        Path,
        typer.Argument(metavar="MANIFEST", help="A manifest with the column device."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the identifier.")],
    split: Annotated[
        list[str] | None,
        typer.Option(help="Only rows of this split; repeatable. [default: train, where there is]"),
    ] = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DEVICE",
            help="A device that is not to be named: an example of unknown devices; repeatable.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights and simulated devices.")] = 0,
    as_json: options.Outcome = False,
) -> None:
    """Train an identifier of devices that also recognizes unknown ones.

    It needs 10 to 40 uncorrected recordings of each device, at one sampling rate. Recordings of the
    devices --held-out are its examples of unknown devices, and measure how many of these it
    accepts; without any, simulated devices are used, which is far less reliable.

    Example: anymic devices fit clips.csv --out identifier --held-out D
    """
    from anymic.data.reading import as_manifest
    from anymic.data.splits import clips_of_split
    from anymic.devices.identification.identifier import DeviceIdentifier

    manifest = as_manifest(data)
    if split or "split" in manifest.table:
        manifest = clips_of_split(manifest, split or "train", purpose="fit an identifier on")
    identifier = DeviceIdentifier().fit(manifest, held_out=held_out or (), seed=seed)
    identifier.save(out)
    _show(identifier, out, as_json=as_json)
    finish(identifier.failures_)


def _show(identifier: DeviceIdentifier, out: Path, *, as_json: bool) -> None:
    record = identifier.record_
    if as_json:
        print_json({"identifier": str(out), "devices": list(identifier.devices), **record})
        return
    counts = ", ".join(f"{name} {clips}" for name, clips in record["clips"].items())
    share = f"{100 * record['true_accepts']:.0f} % of new clips, all devices together"
    print(f"{out}: {counts} clips; accepts {share}")
    if max(record["clips"].values()) > 2 * min(record["clips"].values()):
        print("devices with fewer clips may be accepted less often: record as many of each")
    if "false_accepts" in record:
        print(
            f"held-out devices: {100 * record['false_accepts']:.0f} % of their clips accepted,"
            f" area under the ROC curve {record['auroc']:.3f}"
        )
    else:
        print("no device was held out: the share of unknown devices that is accepted is not known")
    print(f"next: anymic devices identify FILES --identifier {out}")
