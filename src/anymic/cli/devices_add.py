"""``anymic devices add``: add devices to a trained model."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.printing import print_lines


def devices_add(
    model: Path,
    *,
    profile: Path,
    out: Path | None = None,
    replace: bool = False,
) -> None:
    """Add the devices of a profile to a trained model.

    No weight changes: recordings that are stated to be of the new device get its gains, and the
    answers for other devices stay the same. Estimate the profile of the new device towards the
    model's own reference, or towards one device of the model.

    Example: anymic devices add run --profile d.json, where d.json is what
    `anymic devices profile takes.csv --reference A --device D --out d.json` wrote.
    """
    from anymic.bundle import Bundle
    from anymic.bundle.device_changes import add_devices
    from anymic.devices.correction.profile import DeviceProfile

    bundle = Bundle.load(model)
    changed = add_devices(bundle, DeviceProfile.read(profile), replace_known=replace)
    place = changed.save(out or model)
    print_lines(f"{place}: devices {', '.join(changed.devices)}")
    print_lines(f"next: anymic predict FILES --model {place} --device NAME")
