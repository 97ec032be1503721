"""``anymic devices add``: a trained model learns a new microphone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def devices_add(
    model: Annotated[Path, typer.Argument(help="The model: the folder that `anymic train` wrote.")],
    profile: Annotated[Path, typer.Option(help="The profile that `anymic devices profile` wrote.")],
    out: Annotated[
        Path | None, typer.Option(help="Write a new model here. [default: change MODEL]")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also take gains of devices that MODEL knows.")
    ] = False,
) -> None:
    """Add the devices of a profile to a trained model.

    No weight changes: recordings that are stated to be of the new device get its gains, and what
    the model said of other devices it goes on saying. Calibrate the new device against the model's
    own reference, or against one device that the model knows.

    Example: anymic devices add run --profile d.json, where d.json is what
    `anymic devices profile takes.csv --reference A --device D --out d.json` wrote.
    """
    from anymic.bundle import Bundle
    from anymic.bundle.added_devices import add_devices
    from anymic.devices.correction.profile import DeviceProfile

    bundle = Bundle.load(model)
    changed = add_devices(bundle, DeviceProfile.read(profile), replace_known=replace)
    place = changed.save(out or model)
    print(f"{place}: knows {', '.join(changed.devices)}")
    print(f"next: anymic predict FILES --model {place} --device NAME")
