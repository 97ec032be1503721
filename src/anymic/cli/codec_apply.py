"""``anymic codec apply``: encode and decode one recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anymic._internal.files import write_bytes
from anymic.cli.inputs import read_channel, require_other
from anymic.cli.printing import Outcome
from anymic.errors import ConfigError, of_one_file

if TYPE_CHECKING:
    from anymic.codecs import Codec


def codec_apply(
    recording: str,
    *,
    codec: str,
    out: Path,
    kbps: float | None = None,
    rate: int | None = None,
    lost: float | None = None,
    keep: Path | None = None,
    channel: str | None = None,
) -> Outcome:
    """Encode a recording and decode it again.

    Rate, length, channels and alignment stay: the codec's delay is measured and removed. Each
    channel of a file is encoded by itself. --codec also takes a chain: a name such as
    voice-message, or codecs one after the other, "opus-voice 16 > aac 64".

    Example: anymic codec apply siren.wav --codec mp3 --kbps 32 --out siren-mp3-32.wav
    """
    from anymic import audio
    from anymic._internal.remote import as_path
    from anymic.codecs import Codec

    chosen = Codec(codec, kbps=kbps, rate_hz=rate, lost=lost).require()
    place = as_path(recording)
    _check_places(place, out, keep, chosen)
    with of_one_file():
        count = audio.probe(place).channels if channel is None else 1
        several = range(count) if count > 1 else [read_channel(channel or "mean")]
        if keep is not None and count > 1:
            raise ConfigError(
                f"--keep is given for {count} channels, each of which is encoded by itself",
                expected="one channel",
                fix="add --channel mean, or a number",
            )
        read = [audio.read(place, channel=one, allow_silence=True) for one in several]
        passed = [chosen.apply(clip) for clip in read]
        audio.write(out, [one.clip for one in passed])
    coded, size = passed[0], sum(len(one.data) for one in passed)
    if keep is not None:
        write_bytes(keep, coded.data)
    rates = [one.kbps for one in passed if one.kbps is not None]
    measured = sum(rates) if rates else None
    outcome = {
        "path": str(out),
        "codec": chosen.row_name,
        "container": chosen.spec.container,
        "kbps": chosen.kbps,
        "measured_kbps": measured,
        "channels": count,
        "bytes": size,
        "encoded_rate_hz": coded.rate_hz,
        "rate_hz": coded.clip.rate_hz,
        "samples": len(coded.clip.samples),
        "delay_samples": coded.delay_samples,
        "notes": list(coded.clip.notes),
    }
    line = f"{out}: the original"
    if measured is not None:
        files = "a file" if count == 1 else f"{count} channels"
        line = (
            f"{out}: {chosen} took {measured:.1f} kbps ({files} of {size} bytes); "
            f"{max(0, round(coded.delay_samples))} samples of delay removed"
        )
    return Outcome(outcome, [line], notes=coded.clip.notes)


def _check_places(recording: Path, out: Path, keep: Path | None, codec: Codec) -> None:
    """Refuse, before anything is written, places that would lose a file or hold none."""
    from anymic.audio.endings import BARE_STREAMS, ENDINGS_BY_FORMAT, FORMAT_OF_BARE

    for place in filter(None, (out, keep)):
        require_other(place, recording)
    if keep is None:
        return
    container = codec.spec.container
    if keep.resolve() == out.resolve():
        problem, wanted = f"{keep} is both --keep and --out", "two files"
    elif not container:
        problem, wanted = "--keep is given for the original", "a codec"
    elif not keep.parent.is_dir() or keep.is_dir():
        problem, wanted = f"--keep {keep} cannot be written", "a file in an existing folder"
    elif container in BARE_STREAMS and FORMAT_OF_BARE.get(keep.suffix.lower()) != container:
        own = " or ".join(ENDINGS_BY_FORMAT[container])
        problem = f"--keep {keep} is a bare stream, which is read only by the end of its name"
        wanted = f"a name that ends in {own}"
    else:
        return
    raise ConfigError(problem, expected=wanted, fix="change --keep, or leave it out")
