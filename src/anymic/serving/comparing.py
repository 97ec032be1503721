"""Recordings before and after a correction or a codec, to play."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic.audio import Clip, DecodedFile
from anymic.codecs import Codec, every_spec
from anymic.codecs.table import describe
from anymic.devices.correction.profile import DeviceGains, DeviceProfile
from anymic.errors import DeviceError
from anymic.inference.predictor import Predictor
from anymic.inference.requests import ClipRequest
from anymic.serving.corrections import profile_in
from anymic.serving.uploads import wav_header

MOST_S = 60.0
POINTS = 160
LOWEST_HZ = 20.0


def beginning(clip: Clip) -> Clip:
    """Return the first minute of a clip, with a note if it is longer."""
    count = round(MOST_S * clip.rate_hz)
    if len(clip.samples) <= count:
        return clip
    note = f"the first {MOST_S:g} s of {clip.duration_s:.1f} s"
    return replace(clip, samples=clip.samples[:count], notes=(*clip.notes, note))


def as_wav(clip: Clip) -> str:
    """Return a clip as a WAV file of 32-bit floats, in base64."""
    data = clip.samples.astype("<f4").tobytes()
    header = wav_header(clip.rate_hz, 1, "f32le", data_bytes=len(data))
    return base64.b64encode(header + data).decode()


def equally_loud(before: Clip, after: Clip) -> tuple[Clip, Clip, float, float]:
    """Scale two clips to the same root mean square, and so that neither exceeds full scale.

    Returns
    -------
    before, after : Clip
    before_db, after_db : float
        The changes of level. The level of `before` only changes, as that of both, where one of
        them would exceed full scale.
    """
    first, second = (
        float(np.mean(np.square(one.samples, dtype=np.float64))) for one in (before, after)
    )
    matched = (first / second) ** 0.5 if first > 0 and second > 0 else 1.0
    peaks = np.abs(before.samples).max(), np.abs(after.samples).max() * matched
    common = 1 / max(float(max(peaks)), 1.0)
    factors = common, common * matched
    clips = [
        replace(one, samples=(one.samples * np.float32(factor)).clip(-1, 1))
        for one, factor in zip((before, after), factors, strict=True)
    ]
    before_db, after_db = (20 * float(np.log10(factor)) for factor in factors)
    return clips[0], clips[1], before_db, after_db


def curve(hz: NDArray[np.float64], db: NDArray[np.float64]) -> list[float]:
    """Return values over frequency at `frequencies`, where frequency is logarithmic."""
    return [round(float(one), 3) for one in np.interp(frequencies(hz), hz, db)]


def frequencies(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return frequencies in equal ratios from 20 Hz to the highest."""
    return np.geomspace(min(LOWEST_HZ, hz[-1] / 2), hz[-1], POINTS)


def gain_curve(profile: DeviceProfile, device: str) -> dict[str, Any]:
    """Return the gains of a device over frequency, and how they were estimated."""
    own = profile.of(device)
    hz = profile.frequencies_hz()
    return {
        "device": device,
        "source": own.source,
        "reference": list(profile.reference),
        "recordings": own.count,
        "subtracts_noise": own.noise is not None,
        "hz": [round(float(one), 1) for one in frequencies(hz)],
        "gain_db": curve(hz, 20 * np.log10(own.gains)),
        "spread_db": curve(hz, own.spread_db),
    }


def gains_of(predictor: Predictor, device: str | None, decoded: DecodedFile) -> DeviceProfile:
    """Return the gains of a device of a model, or without a device, blind ones.

    Blind gains are estimated from the same samples as for predictions. Those of an ensemble are of
    its first member.

    Raises
    ------
    DeviceError
        If the model has no such device, or cannot estimate gains blindly.
    """
    if device is not None:
        profile = profile_in(predictor.bundle)
        profile.of(device)
        return profile
    target = predictor.engine.members[0].spectrum
    if target is None:
        raise DeviceError(
            "the model cannot estimate gains from one recording",
            expected="a model with the mean spectrum of its training clips",
            fix="choose a device, or measure it: anymic devices policy",
        )
    spectrum = target.observe(predictor.pipeline.gain_selector.preview(ClipRequest(decoded)))
    found = target.estimate(spectrum[None])
    gains = DeviceGains(found.gains, 1, found.uncertainty_db, "blind")
    return DeviceProfile(
        rate_hz=target.rate_hz,
        fft_size=target.fft_size,
        hop_samples=target.hop_samples,
        reference=("training",),
        estimator="blind",
        devices={"this recording": gains},
    )


def corrected(predictor: Predictor, device: str | None, decoded: DecodedFile) -> dict[str, Any]:
    """Return a recording before and after its correction, equally loud, and the gains."""
    profile = gains_of(predictor, device, decoded)
    name = device or next(iter(profile.devices))
    before = beginning(decoded.clip())
    samples = profile.apply(before.samples, before.rate_hz, device=name)
    after = replace(before, samples=samples)
    before, after, before_db, after_db = equally_loud(before, after)
    return {
        "before": as_wav(before),
        "after": as_wav(after),
        "before_db": before_db,
        "after_db": after_db,
        "rate_hz": before.rate_hz,
        "gains": gain_curve(profile, name),
        "notes": list(before.notes),
    }


def coded(decoded: DecodedFile, codec: Codec) -> dict[str, Any]:
    """Return a recording that was passed through a codec; raises as `Codec.apply`."""
    found = codec.apply(beginning(decoded.clip()))
    return {
        "wav": as_wav(found.clip),
        "codec": codec.name,
        "kbps": codec.kbps,
        "measured_kbps": found.kbps,
        "bytes": len(found.data),
        "encoded_rate_hz": found.rate_hz,
        "rate_hz": found.clip.rate_hz,
        "notes": list(found.clip.notes),
    }


def codecs() -> list[dict[str, Any]]:
    """Return the codecs, as `anymic codec list` does in JSON."""
    return [describe(spec) for spec in every_spec()]
