"""A microphone of this machine, through PortAudio."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from anymic._internal.optional import extra
from anymic.audio.content import Content
from anymic.audio.live.pcm import RESAMPLER_S
from anymic.audio.source import Source
from anymic.errors import AudioError, DependencyError, readable

SILENT_S = 10.0  # without a sample the microphone was unplugged
WAITING = 600  # blocks of about 10 to 100 ms that wait before samples are lost


class MicrophoneSource(Source):
    """A microphone; samples that wait too long for the network are lost, with a note.

    Parameters
    ----------
    name : str, optional
        Its number, or a part of its name, as `python -m sounddevice` lists them. By default that of
        the system.
    rate_hz : int, optional
        By default its own.
    channels : int

    Raises
    ------
    DependencyError
        Without sounddevice, or without the library PortAudio.
    AudioError
        If there is no such microphone, or it cannot be opened.
    """

    ahead_s = RESAMPLER_S

    def __init__(
        self, name: str | None = None, *, rate_hz: int | None = None, channels: int = 1
    ) -> None:
        sounddevice = _sounddevice()
        found = _find(sounddevice, name)
        super().__init__(Content(f"microphone {found['name']}", "pcm"))
        self.rate_hz = rate_hz or int(found["default_samplerate"])
        self.channels = channels
        self.frames = self.stated_frames = None
        self.format = "PCM f32le"
        # A Queue could stay locked by an interrupted read, and PortAudio's thread would wait for it
        # while the stream is closed.
        self._blocks: SimpleQueue[NDArray[np.float32]] = SimpleQueue()
        self._rest = np.zeros((0, channels), np.float32)
        self._lost = 0
        try:
            self._stream = sounddevice.InputStream(
                device=found["index"],
                samplerate=self.rate_hz,
                channels=channels,
                dtype="float32",
                callback=self._receive,
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise AudioError(
                f"the {self.path} cannot be opened ({readable(str(error))})",
                expected=f"a microphone of {self.rate_hz} Hz with {channels} channel(s)",
                fix="choose another rate, or see python -m sounddevice",
            ) from None

    def _receive(self, block: Any, frames: int, time: Any, status: Any) -> None:
        """Take a block from PortAudio, in its thread."""
        lost = frames if self._blocks.qsize() >= WAITING else 0
        if not lost:
            self._blocks.put(np.array(block, dtype=np.float32))
        self._lost += lost or bool(getattr(status, "input_overflow", False))

    def read(self, count: int | None) -> NDArray[np.float32]:
        """Return the next frames, as `Source.read`; a microphone has no end."""
        assert count is not None, "a microphone has no end"
        parts, have = [self._rest], len(self._rest)
        while have < count:
            try:
                parts.append(self._blocks.get(timeout=SILENT_S))
            except Empty:
                self._refuse_silent()
            have += len(parts[-1])
        if self._lost and not self.notes:
            self.notes = ("samples were lost: this machine computes too slowly",)
        frames = np.concatenate(parts)
        self._rest, frames = frames[count:], frames[:count]
        self.position += len(frames)
        return frames[:, 0] if self.channels == 1 else frames

    def close(self) -> None:
        """Close the microphone."""
        self._stream.close()

    def _refuse_silent(self) -> NoReturn:
        raise AudioError(
            f"the {self.path} sent nothing for {SILENT_S:.0f} s",
            expected="samples",
            fix="check whether it is still connected",
        )


def _sounddevice() -> ModuleType:
    try:
        with extra("stream"):
            import sounddevice
    except OSError as error:
        raise DependencyError(
            f"the microphone cannot be opened ({readable(str(error))})",
            expected="the library PortAudio",
            fix="install it (Debian and Ubuntu: apt install libportaudio2)",
        ) from None
    module: ModuleType = sounddevice
    return module


def _find(sounddevice: Any, name: str | None) -> dict[str, Any]:
    """Return PortAudio's description of a microphone."""
    inputs = [one for one in sounddevice.query_devices() if one["max_input_channels"] > 0]
    if not inputs:
        raise AudioError(
            "this machine has no microphone",
            expected="an input that PortAudio finds",
            fix="connect one, or pass - for standard input, or a URL",
        )
    default = sounddevice.default.device[0]
    wanted = str(default) if name is None and default >= 0 else name
    if wanted is None:
        return dict(inputs[0])
    for one in inputs:
        if wanted == str(one["index"]):
            return dict(one)
    for one in inputs:
        if wanted.lower() in str(one["name"]).lower():
            return dict(one)
    known = ", ".join(f"{one['index']} ({one['name']})" for one in inputs)
    raise AudioError(f"no microphone {wanted}", expected=f"one of {known}", fix="check the name")
