"""``anymic devices``: which device a recording is of, and what a model does about it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anymic.cli import devices_add, devices_route

if TYPE_CHECKING:
    from anymic.devices.identify import DeviceIdentifier

app = typer.Typer(
    help="Recognize devices, and tell a model about them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def fit(
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
            help="A device that is not learned, to measure how often strangers pass; repeatable.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights and imitations.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Learn to name the device of a recording, and to say when it is none of the known ones.

    Ten to forty uncorrected recordings of each device, at one sampling rate. What strangers sound
    like is learned from imitations; --held-out DEVICE measures it on real ones.

    Example: anymic devices fit clips.csv --out identifier --held-out D
    """
    from anymic.cli.inputs import read_manifest
    from anymic.devices.identify import DeviceIdentifier
    from anymic.errors import ManifestError

    manifest = read_manifest(data)
    if "split" in manifest.table:
        manifest = manifest.where(split=split or ["train"])
    elif split:
        raise ManifestError(
            "--split, and no such column", wanted="the column split", remedy="leave --split out"
        )
    identifier = DeviceIdentifier().fit(manifest, held_out=held_out or (), seed=seed)
    identifier.save(out)
    _show(identifier, out, as_json=as_json)
    if identifier.failures_:
        raise typer.Exit(1)


def _show(identifier: DeviceIdentifier, out: Path, *, as_json: bool) -> None:
    for failure in identifier.failures_:
        print(f"failed: {failure.path}: {failure.reason}", file=sys.stderr)
    record = identifier.record_
    if as_json:
        outcome = {"identifier": str(out), "devices": list(identifier.devices), **record}
        print(json.dumps(outcome, indent=2))
        return
    counts = ", ".join(f"{name} {clips}" for name, clips in record["clips"].items())
    print(f"{out}: {counts} clips; accepts {100 * record['true_accepts']:.0f} % of unheard ones")
    if "false_accepts" in record:
        print(
            f"held-out devices: {100 * record['false_accepts']:.0f} % pass,"
            f" area under the ROC curve {record['auroc']:.3f}"
        )
    print(f"next: anymic devices identify FILES --identifier {out}")


@app.command()
def identify(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders, or patterns such as 'in/*.wav'."),
    ],
    identifier: Annotated[Path, typer.Option(help="The folder that `anymic devices fit` wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Name the device that each recording is of.

    Rows are tab-separated: file, device or "unknown", and the probability of that device among the
    known ones (for an unknown one: of the nearest, which is in brackets). The exit status is 1 if
    some files failed.

    Example: anymic devices identify recordings/ --identifier identifier
    """
    from anymic import audio
    from anymic.cli.inputs import find_files
    from anymic.devices.identify import DeviceIdentifier
    from anymic.errors import AnymicError, Failure

    known = DeviceIdentifier.load(identifier)
    rows: list[dict[str, object]] = []
    failed = 0
    for place in find_files(paths):
        try:
            if isinstance(place, Failure):
                raise AnymicError(place.reason)
            found = known.identify(audio.read(place))
        except AnymicError as error:
            failed += 1
            path = place.path if isinstance(place, Failure) else str(place)
            reason = place.reason if isinstance(place, Failure) else str(error)
            rows.append({"path": path, "failed": reason})
            if not as_json:
                print(f"{path}\tfailed\t{reason}")
            continue
        rows.append({"path": str(place), **vars(found)})
        if not as_json:
            name = found.device or f"unknown ({found.nearest})"
            print(f"{place}\t{name}\t{found.probability:.3f}", flush=True)
    if as_json:
        print(json.dumps(rows, indent=2))
    if failed:
        print(f"{failed} of {len(rows)} files failed", file=sys.stderr)
        raise typer.Exit(1)


app.command()(devices_route.route)
app.command()(devices_add.add)
