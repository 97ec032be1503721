"""``anymic correct``: correct one recording towards the reference device."""

from __future__ import annotations

import math
from pathlib import Path

from anymic.cli.inputs import read_channel, require_other
from anymic.cli.printing import Outcome
from anymic.errors import DeviceError, of_one_file


def correct(
    recording: str,
    *,
    profile: Path,
    device: str,
    out: Path,
    gain_db: float = 0.0,
    channel: str = "mean",
) -> Outcome:
    """Correct a recording: multiply its spectrum by the gains of its device.

    Rate, length and alignment stay. The level changes by the gains: nothing is normalized, and a
    WAV file keeps values over full scale.

    Example: anymic correct street.wav --profile profile.json --device B --out street-as-A.wav
    """
    from anymic import audio
    from anymic._internal.remote import as_path
    from anymic.devices.correction.apply import apply_to_waveform
    from anymic.devices.correction.profile import DeviceProfile

    if not math.isfinite(gain_db):
        raise DeviceError(
            f"--gain-db is {gain_db}", expected="a number", fix="pass -6, for example"
        )
    place = as_path(recording)
    require_other(out, place)
    gains = DeviceProfile.read(profile)
    factors = gains.of(device).scaled(10 ** (gain_db / 20)).factors
    info = audio.probe(place)
    gains.require(rate_hz=info.rate_hz)
    steps = {"fft_size": gains.fft_size, "hop_samples": gains.hop_samples}
    with of_one_file():
        clip = audio.read(place, channel=read_channel(channel))
        corrected = apply_to_waveform(clip, factors, **steps)
    before, peak = (float(abs(one.samples).max()) for one in (clip, corrected))
    if peak > 1 and out.suffix.lower() != ".wav":
        raise DeviceError(
            f"the peak after correction is {peak:.3f}",
            expected=f"at most 1.0 for {out.suffix}",
            fix=f"pass --gain-db {gain_db - 20 * math.log10(peak) - 0.1:.1f}, or write .wav, "
            "which is 32-bit float",
        )
    audio.write(out, corrected)
    notes = list(clip.notes)
    if info.channels > 1:
        notes.append(f"{info.channels} channels became one ({channel})")
    if peak > 1:
        notes.append(f"the peak of {peak:.2f} is over full scale, and not clipped")
    outcome = {
        "path": str(out),
        "device": device,
        "reference": list(gains.reference),
        "estimator": gains.estimator,
        **gains.devices[device].summary(),
        "gain_db": gain_db,
        "rate_hz": corrected.rate_hz,
        "samples": len(corrected.samples),
        "peak_before": before,
        "peak_after": peak,
        "notes": notes,
    }
    line = (
        f"{out}: {device} towards {'+'.join(gains.reference)} ({gains.estimator}, "
        f"{outcome['clips']} clips): gains {outcome['lowest_db']:.1f} to "
        f"{outcome['highest_db']:.1f} dB"
        + (f", and {gain_db:+g} dB" if gain_db else "")
        + f"; peak {before:.3f} to {peak:.3f}"
    )
    return Outcome(outcome, [line], notes=notes)
