"""``anymic devices identify``: name the device of each recording."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anymic.cli import options

if TYPE_CHECKING:
    from anymic.devices.identification.identifier import Identification


def devices_identify(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders, or patterns such as 'in/*.wav'."),
    ],
    identifier: Annotated[Path, typer.Option(help="The folder that `anymic devices fit` wrote.")],
    together: Annotated[
        bool, typer.Option("--together", help="All are recordings of one device: name that one.")
    ] = False,
    as_json: options.Rows = False,
) -> None:
    """Name the device that each recording is of, or with --together the one that all are of.

    Rows are tab-separated: file, device or "unknown", and the probability of that device among the
    known ones (for an unknown one: of the nearest, which is in brackets). With --together: device,
    number of recordings, probability. The exit status is 1 if some files failed.

    Example: anymic devices identify recordings/ --identifier identifier
    """
    from anymic import audio
    from anymic.data.files import find_files
    from anymic.devices.identification.identifier import DeviceIdentifier
    from anymic.errors import AnymicError, Failure

    known = DeviceIdentifier.load(identifier)
    rows: list[dict[str, object]] = []
    described = []
    failed = 0
    for place in find_files(paths):
        try:
            if isinstance(place, Failure):
                raise AnymicError(place.reason)
            described.append(known.describe(audio.read(place)))
        except AnymicError as error:
            failed += 1
            path = place.path if isinstance(place, Failure) else str(place)
            reason = place.reason if isinstance(place, Failure) else str(error)
            rows.append({"path": path, "failed": reason})
            if not as_json:
                print(f"{path}\tfailed\t{reason}", file=sys.stderr if together else sys.stdout)
            continue
        if not together:
            found = known.identify_features(described[-1][None])[0]
            rows.append({"path": str(place), **vars(found)})
            if not as_json:
                print(f"{place}\t{_name(found)}\t{found.probability:.3f}", flush=True)
    total = len(described) + failed
    if together and described:
        found = known.identify_features_together(described)
        rows.append({"recordings": len(described), **vars(found)})
        if not as_json:
            print(f"{_name(found)}\t{len(described)} recordings\t{found.probability:.3f}")
    if as_json:
        print(json.dumps(rows, indent=2))
    if failed:
        print(f"{failed} of {total} files failed", file=sys.stderr)
        raise typer.Exit(1)


def _name(found: Identification) -> str:
    return found.device or f"unknown ({found.nearest})"
