"""Write a clip to a file, atomically and without a change of level."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from anymic._internal.files import atomic_path
from anymic.audio.clip import Clip, checked_clip, clip_name
from anymic.audio.inspection import inspect
from anymic.errors import AudioError, concerns_every_file

_FORMATS = {".wav": ("WAV", "FLOAT"), ".flac": ("FLAC", "PCM_24"), ".ogg": ("OGG", "VORBIS")}

_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}

_UNBOUNDED = {"FLOAT", "DOUBLE", "VORBIS", "OPUS"}  # these store values over full scale
_BLOCK_SAMPLES = 1 << 16
_WAV_LIMIT_BYTES = 0xFFFFFFFF - 4096


def write(
    path: str | os.PathLike[str],
    audio: Clip | Sequence[Clip],
    /,
    *,
    subtype: str | None = None,
    clip: bool = False,
) -> None:
    """Write a clip to a file, whole or not at all; several clips are its channels.

    Integers are the samples times 2^(bits-1), rounded, without dither, so that samples read from
    integers are written back as the same integers (+1.0 becomes the highest, one step below).
    The same clip gives the same bytes for WAV and FLAC.

    Parameters
    ----------
    path : path-like
        Its suffix (.wav, .flac, .ogg) determines the format. Its folder must exist.
    audio : Clip or sequence of Clip
        Channels have one rate and one length.
    subtype : str, optional
        libsndfile's name of the coding. By default FLOAT (32 bit) for WAV, PCM_24 for FLAC,
        VORBIS for Ogg.
    clip : bool
        Limit samples over full scale instead of refusing them; integer formats only.

    Raises
    ------
    AudioError
        If the suffix or subtype is unknown, channels differ in rate or length, a sample is NaN,
        infinite, or over full scale in an integer format, the folder is missing, or the disk is
        full.
    """
    target = Path(path)
    form, default = _FORMATS.get(target.suffix.lower(), ("", ""))
    coding = (subtype or default).upper()
    if not form or not soundfile.check_format(form, coding):
        raise AudioError(
            f"the file {target} cannot be written" + (f" as {subtype}" if subtype else ""),
            expected=", ".join(_FORMATS)
            + (f" ({', '.join(soundfile.available_subtypes(form))})" if form else ""),
            fix="choose one of these",
        )
    given: Sequence[object] = audio if isinstance(audio, list | tuple) else [audio]  # an array: one
    channels = [checked_clip(one) for one in given]
    if len({(one.rate_hz, len(one.samples)) for one in channels}) != 1:
        raise AudioError(
            f"the {len(channels)} channels of {target} differ in rate or length",
            expected="one rate and one length",
        )
    first, path_read = channels[0], channels[0].path
    peak = max(inspect(one.samples, path=path_read, rate_hz=one.rate_hz)[0] for one in channels)
    if peak > 1 and coding not in _UNBOUNDED and not clip:
        raise AudioError(
            f"{clip_name(path_read)} has a peak of {peak:.3f}",
            expected=f"at most 1.0 for {coding}",
            fix=f"lower the gain by {20 * np.log10(peak):.2f} dB, write a .wav as FLOAT, "
            "or pass clip=True",
        )
    count = len(first.samples)
    if form == "WAV" and count * len(channels) * _BITS.get(coding, 32) // 8 > _WAV_LIMIT_BYTES:
        raise AudioError(
            f"{first.duration_s:.0f} s of audio do not fit into {target}",
            expected="less than 4 GiB of WAV",
            fix="write FLAC",
        )
    try:
        with atomic_path(target, make_folder=False) as unfinished:
            with soundfile.SoundFile(
                unfinished, "w", first.rate_hz, len(channels), subtype=coding, format=form
            ) as file:
                # In blocks: libsndfile's Vorbis encoder overflows the stack on long arrays.
                for begin in range(0, count, _BLOCK_SAMPLES):
                    end = begin + _BLOCK_SAMPLES
                    block = np.stack([one.samples[begin:end] for one in channels], axis=1)
                    file.write(_coded(block, coding))
            if form == "WAV":
                _forget_time(unfinished)
    except (OSError, soundfile.SoundFileError) as error:
        if concerns_every_file(error):
            raise
        reason = getattr(error, "error_string", error)
        raise AudioError(
            f"the file {target} cannot be written at {first.rate_hz} Hz ({reason})",
            expected="an existing folder with enough space, and a rate that the format supports",
            fix="create the folder, or choose another format",
        ) from None


def _coded(samples: NDArray[np.float32], coding: str) -> NDArray[np.generic]:
    """Return samples for libsndfile: integers in the upper bits of int16 or int32, or floats."""
    bits = _BITS.get(coding)
    if bits is None:
        return samples if coding in _UNBOUNDED else samples.clip(-1, 1)
    scale = 2.0 ** (bits - 1)
    steps = np.rint(samples * np.float64(scale)).clip(-scale, scale - 1)
    if bits <= 16:
        return steps.astype(np.int16) << np.int16(16 - bits)
    return steps.astype(np.int32) << np.int32(32 - bits)


def _forget_time(path: Path) -> None:
    """Set the time of writing in the PEAK chunk of a float WAV to 0."""
    with path.open("r+b") as file:
        at = file.read(256).find(b"PEAK")
        if at > 0:
            file.seek(at + 12)
            file.write(bytes(4))
