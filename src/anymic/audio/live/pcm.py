"""Raw samples from a pipe."""

from __future__ import annotations

from typing import BinaryIO, Final, Literal, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray

from anymic.audio.clip import checked_rate
from anymic.audio.content import Content
from anymic.audio.source import Source
from anymic.errors import AudioError, counted

PcmFormat = Literal["s16le", "s32le", "f32le"]
PCM_FORMATS: Final = get_args(PcmFormat)

RESAMPLER_S = 0.2  # soxr gives a sample after at most so much more of its input, at common rates
MOST_CHANNELS = 1024

_TYPES: Final = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4"}
_HEADERS: Final = {
    b"RIFF": "WAV",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"\x1aE\xdf\xa3": "Matroska",
}


class PcmSource(Source):
    """Interleaved samples without a header, from a binary stream such as `sys.stdin.buffer`.

    Parameters
    ----------
    stream : binary stream
        It is not closed.
    rate_hz : int
    channels : int
    pcm : {"s16le", "s32le", "f32le"}
        Signed integers of 16 or 32 bits, or floating numbers of 32 bits with full scale 1.0;
        little-endian, as FFmpeg names them.
    name : str
        For messages.

    Raises
    ------
    AudioError
        If the rate, the channels or the format cannot be.
    """

    ahead_s = RESAMPLER_S

    def __init__(
        self,
        stream: BinaryIO,
        *,
        rate_hz: int,
        channels: int = 1,
        pcm: PcmFormat = "s16le",
        name: str = "standard input",
    ) -> None:
        super().__init__(Content(name, "pcm"))
        if pcm not in PCM_FORMATS:
            raise AudioError(f"unknown format {pcm!r}", expected=f"one of {', '.join(PCM_FORMATS)}")
        if not 1 <= channels <= MOST_CHANNELS:
            raise AudioError(
                f"{counted(channels, 'channel')} in {name}", expected=f"1 to {MOST_CHANNELS}"
            )
        self.rate_hz, self.channels = checked_rate(rate_hz, name=name), channels
        self.frames = self.stated_frames = None
        self.format = f"PCM {pcm}"
        self._stream, self._type = stream, np.dtype(_TYPES[pcm])

    def read(self, count: int | None) -> NDArray[np.float32]:
        """Return the next frames, as `Source.read`; wait until they have arrived."""
        size = self.channels * self._type.itemsize
        data = self._stream.read(-1 if count is None else count * size)
        if not self.position:
            self._refuse_header(data)
        if rest := len(data) % size:
            self.notes += (f"the last {counted(rest, 'byte')} of {self.path} are no whole sample",)
            data = data[:-rest]
        raw = np.frombuffer(data, self._type)
        if self._type.kind == "i":
            full_scale = np.float32(2 ** (8 * self._type.itemsize - 1))
            samples = raw.astype(np.float32) / full_scale
        else:
            samples = raw.astype(np.float32)
        self.position += len(samples) // self.channels
        return samples if self.channels == 1 else samples.reshape(-1, self.channels)

    def close(self) -> None:
        """Do nothing: the stream belongs to the caller."""

    def refuse_empty(self) -> NoReturn:
        """Raise the AudioError for a stream without samples."""
        raise AudioError(
            f"{self.path} ended before the first sample",
            expected=f"raw samples ({self.format[4:]})",
            fix="check the program that writes them",
        )

    def _refuse_header(self, data: bytes) -> None:
        for mark, kind in _HEADERS.items():
            if data.startswith(mark) and (mark != b"RIFF" or data[8:12] == b"WAVE"):
                raise AudioError(
                    f"{self.path} begins like a file in the format {kind}",
                    expected="raw samples without a header",
                    fix="pass the file's path, or decode it: ffmpeg -i FILE -f s16le -",
                )
