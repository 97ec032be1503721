"""The stretches of a recording whose device or bandwidth changes, as rows and notes."""

from __future__ import annotations

from itertools import pairwise

from anymic.audio.condition import BandStretch
from anymic.bundle import Bundle, Ensemble
from anymic.inference.device_policy import device_note
from anymic.inference.prediction import Stretch
from anymic.inference.requests import ClipRequest
from anymic.inference.windowing import End

SAME_BORDER_S = 6.0  # a device and a bandwidth that change within this change at once
DONE = {
    "profile": "corrected",
    "blind": "corrected with estimated gains",
    "identity": "not corrected",
}


def stretches_of(request: ClipRequest) -> tuple[Stretch, ...]:
    """Return the stretches of a clip that was read; none if nothing changes in it."""
    end = request.end
    assert isinstance(end, End)
    bands = end.condition.bands if end.condition is not None else ()
    devices = request.stretches or [request]
    begins = [one.starts_s[0] if request.stretches else end.start_s for one in devices]
    begins[0] = end.start_s
    borders = begins[1:]
    for band in bands[1:]:
        at_s = end.start_s + band.start_s
        if all(abs(at_s - one) > SAME_BORDER_S for one in borders):
            borders.append(at_s)
    if not borders:
        return ()
    edges = [end.start_s, *sorted(borders), end.start_s + end.duration_s]
    found = []
    for start_s, end_s in pairwise(edges):
        one = devices[sum(at <= start_s for at in begins) - 1]
        middle_s = (start_s + end_s) / 2 - end.start_s
        found.append(
            Stretch(
                start_s=start_s,
                end_s=end_s,
                device=one.device,
                device_from=one.device_from,
                device_policy=one.policy,
                device_probability=one.identification.probability if one.identification else None,
                bandwidth_hz=_bandwidth_hz(bands, middle_s, end),
            )
        )
    return tuple(found)


def _bandwidth_hz(bands: tuple[BandStretch, ...], at_s: float, end: End) -> float | None:
    for one in bands:
        if one.start_s <= at_s < one.end_s:
            return one.bandwidth_hz
    return end.condition.bandwidth_hz if end.condition is not None else None


def notes_of(
    request: ClipRequest, model: Bundle | Ensemble, stretches: tuple[Stretch, ...]
) -> tuple[str, ...]:
    """Return the notes on a clip that was read: its device and gains, its sound, its stretches."""
    assert isinstance(request.end, End)
    device = device_note(request.device, request.policy, model.devices, model.blind_devices)
    return (*device, *request.gain_notes, *request.end.notes, *stretch_notes(stretches))


def stretch_notes(stretches: tuple[Stretch, ...]) -> tuple[str, ...]:
    """Return a note on each stretch: where it is, its device if that changes, its bandwidth."""
    devices = {(one.device, one.device_policy) for one in stretches}
    bands = {one.bandwidth_hz for one in stretches}
    found = []
    for one in stretches:
        parts = []
        if len(devices) > 1:
            name = "unknown device" if one.device is None else f"device {one.device}"
            parts.append(f"{name}, {DONE[one.device_policy]}")
        if len(bands) > 1 and one.bandwidth_hz is not None:
            parts.append(f"bandwidth {one.bandwidth_hz / 1000:.1f} kHz")
        if not parts:
            parts.append("another unknown device, corrected with estimated gains")
        found.append(f"{one.start_s:.1f} to {one.end_s:.1f} s: {', '.join(parts)}")
    return tuple(found)
