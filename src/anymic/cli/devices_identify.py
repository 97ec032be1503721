"""``anymic devices identify``: name the device of each recording."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from anymic._internal.terminal import print_line
from anymic.cli.printing import exit_if_failed, print_json
from anymic.errors import Failure

if TYPE_CHECKING:
    from anymic.devices.identification.identifier import Identification


def devices_identify(
    paths: list[str],
    *,
    identifier: Path,
    together: bool = False,
    as_json: bool = False,
) -> None:
    """Name the device of each recording, or with --together the one device of all.

    Rows are tab-separated: file, device or "unknown", and the probability of that device among the
    known ones (for an unknown one: of the nearest, which is in brackets). With --together: device,
    number of recordings, probability. The exit status is 1 if some files failed.

    Example: anymic devices identify recordings/ --identifier identifier
    """
    from anymic.devices.identification.identify import identify, identify_together

    rows: list[dict[str, object]] = []
    lines: Iterable[tuple[str, Identification | Failure]]
    if together:
        all_files = identify_together(identifier, paths)
        lines = [(failure.path, failure) for failure in all_files.failures]
    else:
        lines = identify(identifier, paths)
    files = failed = 0
    for path, found in lines:
        files += 1
        if isinstance(found, Failure):
            failed += 1
            rows.append({"path": path, "failed": found.reason})
            line = f"{path}\tfailed\t{found.reason}"
        else:
            rows.append({"path": path, **_row(found)})
            line = f"{path}\t{_name(found)}\t{found.probability:.3f}"
        if not as_json:
            print_line(line, file=sys.stderr if together else sys.stdout)
    if together and all_files.found is not None:
        one, files = all_files.found, files + all_files.recordings
        rows.append({"recordings": all_files.recordings, **_row(one)})
        if not as_json:
            print_line(f"{_name(one)}\t{all_files.recordings} recordings\t{one.probability:.3f}")
    if as_json:
        print_json(rows)
    exit_if_failed(failed, files)


def _row(found: Identification) -> dict[str, object]:
    """Return the result without the share of each device, whose keys are not all names."""
    return {key: value for key, value in vars(found).items() if key != "shares"}


def _name(found: Identification) -> str:
    return found.device or f"unknown ({found.nearest})"
