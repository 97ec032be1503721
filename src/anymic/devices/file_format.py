"""Read back the state of a device profile, an identifier or a mean spectrum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from anymic._internal.reading import reason_of
from anymic.errors import DeviceError, version_fix


def whole_number(value: Any) -> int:
    """Return a whole number as a record has it; ValueError for any other value."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is not a whole number")
    return value


def number(value: Any) -> float:
    """Return a number as a record has it; ValueError for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


@contextmanager
def reading(
    record: Mapping[str, Any], name: str, version: int, *, where: str, kind: str, again: str
) -> Iterator[None]:
    """Check the format of a record, and raise a DeviceError where the block cannot use it.

    It is raised if the format or version differs, or a value is missing or does not fit.

    `name` and `version` are the right ones. Messages call the record `where`, such as "the
    identifier" or a path, which should be `kind`, such as "a device identifier"; `again` says how
    to make a new one, such as "fit it again".
    """
    if record.get("format") != name:
        raise DeviceError(f"{where} is not {kind}", expected=f'"format": "{name}"', fix=again)
    found = record.get("version")
    if found != version:
        raise DeviceError(
            f"{where} has version {found!r}",
            expected=f"{kind} of version {version}",
            fix=version_fix(found, version, otherwise=again),
        )
    try:
        yield
    except DeviceError:
        raise
    except KeyError as error:
        problem = f"{where} has no key {error}"
        raise DeviceError(problem, expected=f"a complete record of {kind}", fix=again) from error
    except Exception as error:  # of a value that does not fit
        problem = f"{where} has a value that does not fit ({reason_of(error)})"
        raise DeviceError(problem, expected=f"a valid record of {kind}", fix=again) from error
