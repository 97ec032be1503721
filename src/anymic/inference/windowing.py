"""Cut a file or clip into windows of the model's length, according to the input contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic.audio import AudioInfo, Clip, DecodedFile
from anymic.audio.condition import Condition
from anymic.audio.condition_meter import ConditionMeter
from anymic.audio.reading import windows_of
from anymic.audio.source import Source
from anymic.errors import AudioError, part_of
from anymic.features import Gains

if TYPE_CHECKING:
    from anymic.bundle import InputContract

SLACK_S = 0.001  # a clip may be this much shorter: tables and codecs round lengths


@dataclass(frozen=True, eq=False)
class Window:
    """Samples (sample,) float32 of exactly the contract's length, and their start in the file.

    `gains` are those of the stretch that it belongs to, where they are chosen by stretch
    (`anymic.inference.stretches`).
    """

    samples: NDArray[np.float32]
    start_s: float
    gains: Gains | None = None


@dataclass(frozen=True)
class End:
    """The part of the file that was cut, the notes as of a `Prediction`, and its condition."""

    start_s: float
    duration_s: float
    notes: tuple[str, ...]
    condition: Condition | None = field(default=None, compare=False)


def cut(
    source: str | Path | Clip | DecodedFile | Source,
    contract: InputContract,
    *,
    least_samples: int = 1,
    start_s: float | None = None,
    duration_s: float | None = None,
    most_s: float | None = None,
) -> Iterator[Window | End]:
    """Cut a file or clip into windows according to the contract; files are streamed.

    A clip longer than `contract.clip_s` becomes consecutive windows. The rest at its end is a
    window if it is at least half as long as one, and is then lengthened by the rule
    `contract.shorter` ("refuse" leaves it out); a rest that is left out is noted. A shorter clip is
    lengthened or refused by the same rule. With a `contract.hop_s` below `clip_s` windows overlap:
    each begins `hop_s` after the previous one.

    Parameters
    ----------
    source : path, Clip, DecodedFile or Source
        The windows of a `DecodedFile` are of the contract's rate and channel, and begin every
        `contract.hop_samples`; it is cut as the file itself. A `Source` is open, and may be sound
        that is arriving; it may be silent.
    contract : InputContract
    least_samples : int
        A clip with fewer samples, at the contract's rate, is always refused.
    start_s, duration_s, most_s : float, optional
        A part of a file, as `anymic.audio.read` reads it, at once.

    Yields
    ------
    Window or End
        The windows in order, then one End.

    Raises
    ------
    AudioError
        If the clip cannot be read (damage and silence may appear after some windows), or the
        contract refuses it.
    """
    meter = None if isinstance(source, Source) else ConditionMeter()
    clips, notes = _open(source, contract, start_s, duration_s, most_s, meter)
    length = contract.clip_samples
    overlap = length - contract.hop_samples
    windows, samples, begin_s, clipped = 0, 0, start_s or 0.0, 0
    for clip in _overlapping(clips, length) if overlap else clips:
        if samples == 0:
            begin_s = clip.start_s
            _refuse_short(clip, contract, least_samples)
        new = len(clip.samples) - (overlap if samples else 0)  # not in the previous window
        samples += max(new, 0)
        if windows and _is_rest(clip, length, contract):
            if new > SLACK_S * contract.rate_hz:
                rest_s = new / contract.rate_hz
                notes.append(f"last {rest_s:.3f} s left out: too short for a window")
            continue
        if length - len(clip.samples) > SLACK_S * contract.rate_hz:
            how = "padded with silence" if contract.shorter == "pad" else "repeated"
            notes.append(f"{clip.duration_s:.3f} s {how} to {contract.clip_s:.3f} s")
            clip = audio.fit_length(clip, contract.clip_s, shorter=contract.shorter)
        windows += 1
        clipped += any(note.startswith("clipped") for note in clip.notes)
        notes += [note for note in clip.notes if note not in notes]
        fitted = audio.fit_length(clip, contract.clip_s, shorter="pad")
        yield Window(fitted.samples, clip.start_s)
    if not windows:
        raise AudioError(
            "no sample is left at the rate of the model",
            expected=f"at least one sample at {contract.rate_hz} Hz",
            fix="record a longer clip",
        )
    if clipped and windows > 1:
        notes = [note for note in notes if not note.startswith("clipped")]
        notes.append(f"clipped in {part_of(clipped, windows, 'window')}")
    condition = meter.result() if meter is not None else None
    if isinstance(source, DecodedFile):
        condition = source.condition
    if condition is not None:
        notes += _condition_notes(condition, contract)
    yield End(begin_s, samples / contract.rate_hz, tuple(notes), condition)


def _condition_notes(condition: Condition, contract: InputContract) -> list[str]:
    """Return notes on what is missing; raise AudioError if the contract refuses the band."""
    notes = list(condition.notes(used_hz=contract.rate_hz / 2))
    least_hz = contract.least_bandwidth_hz
    if least_hz is None or condition.limit_hz >= least_hz:
        return notes
    found = f"the effective bandwidth is {condition.limit_hz:.0f} Hz"
    if contract.narrower == "refuse":
        raise AudioError(
            found,
            expected=f"at least {least_hz:g} Hz, as the model's contract states",
            fix="record at a higher rate and without a codec, or train with band limits",
        )
    return [*notes, f"{found}, below the {least_hz:g} Hz of the model's contract"]


def _open(
    source: str | Path | Clip | DecodedFile | Source,
    contract: InputContract,
    start_s: float | None,
    duration_s: float | None,
    most_s: float | None,
    meter: ConditionMeter | None,
) -> tuple[Iterator[Clip], list[str]]:
    """Return clips of at most the contract's length at its rate, and notes on the changes."""
    if isinstance(source, Clip):
        notes = _rate_note(source.path or "a clip", source.rate_hz, contract)
        audio.check(source)
        if meter is not None:
            meter.add(source.samples, rate_hz=source.rate_hz)
        clip = audio.resample(source, contract.rate_hz)
        return _slices(clip, contract), notes
    info = _info_of(source)
    notes = _rate_note(info.path, info.rate_hz, contract)
    if info.channels > 1 and contract.channel != "only":
        if contract.channel == "mean":
            notes.append(f"{info.channels} channels mixed down by mean")
        else:
            notes.append(f"channel {contract.channel} of {info.channels}")
    if isinstance(source, DecodedFile):
        return iter(source.clips), notes
    rate_hz = contract.rate_hz if info.rate_hz != contract.rate_hz else None
    if start_s is None and duration_s is None:
        return _consecutive(source, contract, rate_hz, meter), notes
    assert not isinstance(source, Source), "a part of a source cannot be read"
    clip = audio.read(
        source,
        rate_hz=rate_hz,
        channel=contract.channel,
        start_s=start_s or 0.0,
        duration_s=duration_s,
        most_s=most_s,
        meter=meter,
    )
    return _slices(clip, contract), notes


def _info_of(source: str | Path | DecodedFile | Source) -> AudioInfo | Source:
    if isinstance(source, Source):
        return source
    return source.info if isinstance(source, DecodedFile) else audio.probe(source)


def _consecutive(
    source: str | Path | Source,
    contract: InputContract,
    rate_hz: int | None,
    meter: ConditionMeter | None,
) -> Iterator[Clip]:
    """Return the clips of a whole file, or of a source, one every hop."""
    hop_s, channel = contract.hop_samples / contract.rate_hz, contract.channel
    if isinstance(source, Source):
        return windows_of(
            source, window_s=hop_s, rate_hz=rate_hz, channel=channel, allow_silence=True
        )
    return audio.stream(source, window_s=hop_s, rate_hz=rate_hz, channel=channel, meter=meter)


def _rate_note(name: str, rate_hz: int, contract: InputContract) -> list[str]:
    if rate_hz == contract.rate_hz:
        return []
    if contract.other_rates == "refuse":
        raise AudioError(
            f"the rate of {name} is {rate_hz} Hz",
            expected=f"{contract.rate_hz} Hz, as the model's contract states",
            fix="convert the file",
        )
    return [f"resampled from {rate_hz} Hz"]


def _overlapping(clips: Iterator[Clip], length: int) -> Iterator[Clip]:
    """Extend each clip by the beginning of the next ones, to at most `length` samples."""
    ahead: list[Clip] = []
    for clip in clips:
        ahead.append(clip)
        while sum(len(one.samples) for one in ahead) >= length:
            yield _joined(ahead, length)
            del ahead[0]
    while ahead:
        yield _joined(ahead, length)
        del ahead[0]


def _joined(clips: list[Clip], length: int) -> Clip:
    return replace(clips[0], samples=np.concatenate([clip.samples for clip in clips])[:length])


def _slices(clip: Clip, contract: InputContract) -> Iterator[Clip]:
    length = contract.hop_samples
    for begin in range(0, len(clip.samples), length):
        start_s = clip.start_s + begin / clip.rate_hz
        yield replace(clip, samples=clip.samples[begin : begin + length], start_s=start_s)


def _refuse_short(clip: Clip, contract: InputContract, least_samples: int) -> None:
    lasts = expected = ""
    if len(clip.samples) < least_samples:
        lasts = f"{1000 * clip.duration_s:.3g} ms"
        expected = f"at least {1000 * least_samples / contract.rate_hz:.3g} ms, one FFT window"
    elif contract.shorter == "refuse" and contract.clip_s - clip.duration_s > SLACK_S:
        lasts = f"{clip.duration_s:.3f} s"
        expected = f"{contract.clip_s:.3f} s, as the model's contract states"
    if lasts:
        problem = f"{clip.path or 'a clip'} lasts {lasts}"
        raise AudioError(problem, expected=expected, fix="record a longer clip")


def _is_rest(clip: Clip, length: int, contract: InputContract) -> bool:
    """Return whether the last clip of several is too short for a window."""
    missing = length - len(clip.samples)
    if contract.shorter == "refuse":
        return missing > SLACK_S * contract.rate_hz
    return 2 * missing > length
