"""``anymic devices add``: add devices to a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from anymic.cli.inputs import require_both, require_out
from anymic.cli.printing import Outcome, failures_as_json
from anymic.errors import ConfigError, counted

if TYPE_CHECKING:
    from anymic.devices.correction.expectation import Expectation

DONE = {
    "takes": "{takes} with {reference}",
    "blind": "{recordings} of it alone (BLIND)",
    "response": "its measured response",
}


def devices_add(
    model: Path,
    *,
    takes: Path | None = None,
    reference_takes: Path | None = None,
    recordings: list[Path] | None = None,
    response: Path | None = None,
    reference_response: Path | None = None,
    profile: Path | None = None,
    device: str | None = None,
    reference: str | None = None,
    estimator: str | None = None,
    limit_db: float = 40.0,
    subtract_noise: bool = True,
    out: Path | None = None,
    replace: bool = False,
) -> Outcome:
    """Add a new microphone to a trained model.

    No weight changes: recordings that are stated to be of the new device get its gains, and the
    answers for other devices stay the same. The gains come from one of these: --takes, the same
    sounds as recorded by the new device and by the one that recorded the training clips (10 to 30
    of a few seconds); --response, its measured response; --recordings of it alone (blind: the least
    reliable); or --profile. Takes are a CSV with path, device and take, a folder of one folder a
    device with equal file names, or with --reference-takes two folders. Late ones are shifted.

    MODEL may be an .onnx file: the profile is written beside it, as MODEL.profile.json.

    Example: anymic devices add run --takes phone/ --reference-takes recorder/ --device phone
    """
    from anymic.bundle.installed import resolve
    from anymic.devices.correction.profile import DeviceProfile
    from anymic.inference.new_device import add_device, add_profile

    require_both("--reference-takes", reference_takes, "--takes", takes)
    require_both("--reference-response", reference_response, "--response", response)
    given = [one for one in (takes, recordings or None, response, profile) if one is not None]
    if len(given) != 1:
        raise ConfigError(
            f"{len(given)} of --takes, --recordings, --response and --profile are given",
            expected="one of them",
            fix="see anymic devices add --help",
        )
    if takes is None and profile is None and not device:
        raise ConfigError(
            "the new device has no name", expected="--device NAME", fix="pass --device"
        )
    require_out(model, out)
    model = resolve(model)
    if profile is not None:
        changed = add_profile(model, DeviceProfile.read(profile), replace_known=replace)
        place = changed.save(out or model)
        names = list(changed.devices)
        return Outcome({"model": str(place), "devices": names}, _end(place, names, model))
    added = add_device(
        model,
        device,
        takes=takes,
        reference_takes=reference_takes,
        recordings=recordings or None,
        response=response,
        reference_response=reference_response,
        reference=[name.strip() for name in reference.split(",")] if reference else (),
        estimator=estimator,
        limit_db=limit_db,
        subtract_noise=subtract_noise,
        replace_known=replace,
    )
    place = added.model.save(out or model)
    plain = {
        "model": str(place),
        "devices": list(added.model.devices),
        "added": [asdict(one) for one in added.devices],
        "notes": list(added.notes),
        "failures": failures_as_json(added.failures),
    }
    lines = [line for one in added.devices for line in _lines(one)]
    lines += _end(place, added.model.devices, model)
    return Outcome(plain, lines, added.failures, notes=added.notes)


def _lines(found: Expectation) -> list[str]:
    """Return what is expected of a device."""
    count = found.recordings
    how = DONE[found.source].format(
        takes=counted(count, "take"),
        recordings=counted(count, "recording"),
        reference=found.reference,
    )
    lines = [
        f"{found.device}: from {how}; gains {found.lowest_db:.1f} to {found.highest_db:.1f} dB, "
        f"median {found.median_db:.1f} dB"
        + ("" if found.spread_db is None else f", spread {found.spread_db:.1f} dB")
    ]
    if found.source == "takes":
        lines.append(
            f"{found.device}: a recording differs from {found.reference} by {found.before_db:.1f} "
            f"dB, corrected by about {found.after_db:.1f} dB (root mean square over frequency)"
        )
    elif found.source == "blind":
        lines.append(f"{found.device}: standard error of the gains {found.after_db:.1f} dB")
    if found.uncertain_hz:
        ranges = [f"{low:.0f} to {high:.0f} Hz" for low, high in found.uncertain_hz]
        more = f" and {len(ranges) - 3} more ranges" if len(ranges) > 3 else ""
        lines.append(
            f"{found.device}: uncertain by more than 2 dB at {', '.join(ranges[:3])}{more}"
        )
    return lines


def _end(place: Path, devices: Sequence[str], model: Path) -> list[str]:
    used = model if place.suffix == ".json" else place
    return [
        f"{place}: devices {', '.join(devices)}",
        f"next: anymic predict FILES --model {used} --device NAME",
    ]
