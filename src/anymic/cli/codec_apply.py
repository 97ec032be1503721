"""``anymic codec apply``: encode and decode one recording."""

from __future__ import annotations

from pathlib import Path

from anymic._internal.files import write_bytes
from anymic.cli.inputs import read_channel, require_other
from anymic.cli.printing import Outcome
from anymic.errors import ConfigError, of_one_file


def codec_apply(
    recording: Path,
    *,
    codec: str,
    out: Path,
    kbps: float | None = None,
    rate: int | None = None,
    keep: Path | None = None,
    channel: str = "mean",
) -> Outcome:
    """Encode a recording and decode it again.

    Rate, length and alignment stay: the codec's delay is measured and removed.

    Example: anymic codec apply siren.wav --codec mp3 --kbps 32 --out siren-mp3-32.wav
    """
    from anymic import audio
    from anymic.codecs import Codec

    chosen = Codec(codec, kbps=kbps, rate_hz=rate).require()
    _check_places(recording, out, keep, encoded=chosen.kbps is not None)
    with of_one_file():
        clip = audio.read(recording, channel=read_channel(channel), allow_silence=True)
        coded = chosen.apply(clip)
        audio.write(out, coded.clip)
    if keep is not None:
        write_bytes(keep, coded.data)
    outcome = {
        "path": str(out),
        "codec": chosen.name,
        "container": chosen.spec.container,
        "kbps": chosen.kbps,
        "measured_kbps": coded.kbps,
        "bytes": len(coded.data),
        "encoded_rate_hz": coded.rate_hz,
        "rate_hz": coded.clip.rate_hz,
        "samples": len(coded.clip.samples),
        "delay_samples": coded.delay_samples,
        "notes": list(coded.clip.notes),
    }
    line = f"{out}: the original"
    if coded.kbps is not None:
        line = (
            f"{out}: {chosen} took {coded.kbps:.1f} kbps (a file of {len(coded.data)} bytes); "
            f"{max(0, round(coded.delay_samples))} samples of delay removed"
        )
    return Outcome(outcome, [line], notes=coded.clip.notes)


def _check_places(recording: Path, out: Path, keep: Path | None, *, encoded: bool) -> None:
    """Refuse, before anything is written, places that would lose a file or hold none."""
    for place in filter(None, (out, keep)):
        require_other(place, recording)
    if keep is None:
        return
    if keep.resolve() == out.resolve():
        problem, wanted = f"{keep} is both --keep and --out", "two files"
    elif not encoded:
        problem, wanted = "--keep is given for the original", "a codec"
    elif not keep.parent.is_dir() or keep.is_dir():
        problem, wanted = f"--keep {keep} cannot be written", "a file in an existing folder"
    else:
        return
    raise ConfigError(problem, expected=wanted, fix="change --keep, or leave it out")
