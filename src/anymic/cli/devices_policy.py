"""``anymic devices policy``: what a model does with unstated and unknown devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anymic.cli.inputs import place_of, require_choice
from anymic.cli.printing import print_lines

if TYPE_CHECKING:
    from anymic.bundle import Bundle, Ensemble

POLICIES = {
    "identity": "not corrected",
    "blind": "corrected with gains estimated from their recordings",
    "refuse": "refused",
}


def devices_policy(
    model: Path,
    *,
    unknown: str | None = None,
    identifier: Path | None = None,
    data: Path | None = None,
    out: Path | None = None,
) -> None:
    """Set what a model does with clips of unstated and of unknown devices.

    A stated device that the model has gains for is always corrected with these. Where no device is
    stated, the identifier names it. If the device is still unknown, --unknown decides; blind gains
    lead to the mean spectrum of the training clips, which is measured here. No weight of the model
    changes. `anymic predict` and `anymic evaluate` then follow this policy.

    Example: anymic devices policy run --identifier identifier --data manifest.csv --unknown blind
    """
    from anymic import bundle as bundles
    from anymic.bundle.device_changes import with_device_policy
    from anymic.data.reading import as_manifest
    from anymic.devices.identification.identifier import DeviceIdentifier

    if unknown is not None:
        require_choice("--unknown", unknown, POLICIES)
    target = place_of(model, out)
    changed = with_device_policy(
        bundles.load(model),
        unknown=unknown,  # type: ignore[arg-type]
        identifier=None if identifier is None else DeviceIdentifier.load(identifier),
        training=None if data is None else as_manifest(data, several=None),
    )
    place = changed.save(target)
    if data is not None:
        counts = sorted({one.spectrum.count for one in changed.members if one.spectrum is not None})
        print_lines(
            f"mean spectrum of {' to '.join(map(str, counts[:: max(len(counts) - 1, 1)]))} clips"
        )
    print_lines(f"{place}: {_described(changed)}")


def _described(model: Bundle | Ensemble) -> str:
    named = "not identified"
    if model.identifier is not None:
        named = f"identified among {', '.join(model.identifier.devices)}"
    unknown = POLICIES[model.contract.unknown_device]
    return f"unstated devices are {named}; unknown ones are {unknown}"
