"""``anymic devices policy``: what a model does with unstated and unknown devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anymic.cli.inputs import place_of, require_choice
from anymic.cli.printing import print_lines
from anymic.errors import ConfigError

if TYPE_CHECKING:
    from anymic.bundle import Bundle, Ensemble

POLICIES = {
    "identity": "not corrected",
    "blind": "corrected with gains estimated from their recordings",
    "refuse": "refused",
}
NARROWER = {"note": "noted", "refuse": "refused"}


def devices_policy(
    model: Path,
    *,
    unknown: str | None = None,
    identifier: Path | None = None,
    data: Path | None = None,
    least_bandwidth: float | None = None,
    narrower: str | None = None,
    out: Path | None = None,
) -> None:
    """Set what a model does with clips of unstated and of unknown devices.

    A stated device that the model has gains for is always corrected with these. Where no device is
    stated, the identifier names it. If the device is still unknown, --unknown decides; blind gains
    lead to the mean spectrum of the training clips, which is measured here. --least-bandwidth and
    --narrower say what is done with recordings that lack high frequencies. No weight of the model
    changes. `anymic predict` and `anymic evaluate` then follow this policy.

    Example: anymic devices policy run --identifier identifier --data manifest.csv --unknown blind
    """
    from anymic import bundle as bundles
    from anymic.bundle.device_changes import with_device_policy, with_least_bandwidth
    from anymic.data.reading import as_manifest
    from anymic.devices.identification.identifier import DeviceIdentifier

    if unknown is not None:
        require_choice("--unknown", unknown, POLICIES)
    if narrower is not None:
        require_choice("--narrower", narrower, NARROWER)
    target = place_of(model, out)
    changed = with_device_policy(
        bundles.load(model),
        unknown=unknown,  # type: ignore[arg-type]
        identifier=None if identifier is None else DeviceIdentifier.load(identifier),
        training=None if data is None else as_manifest(data, several=None),
    )
    least_hz, kind = changed.contract.least_bandwidth_hz, narrower or changed.contract.narrower
    if least_bandwidth is not None:
        least_hz = least_bandwidth or None
    elif narrower is not None and least_hz is None:
        raise ConfigError(
            "--narrower is given without a least bandwidth",
            expected="--least-bandwidth",
            fix="add --least-bandwidth HZ",
        )
    changed = with_least_bandwidth(changed, least_hz, kind)  # type: ignore[arg-type, type-var]
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
    text = f"unstated devices are {named}; unknown ones are {unknown}"
    least_hz = model.contract.least_bandwidth_hz
    if least_hz is not None:
        text += f"; bands below {least_hz:g} Hz are {NARROWER[model.contract.narrower]}"
    return text
