"""An open audio file, whichever library decodes it."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from anymic.audio.content import MAYBE_CUT, Content
from anymic.errors import AudioError

# No codec here packs more: a header that states more is wrong.
_MOST_FRAMES_PER_BYTE = 1000


class Source(ABC):
    """An open file that returns frames in order.

    Attributes
    ----------
    rate_hz, channels : int
    frames : int or None
        Frames in the file; None where only decoding shows it.
    stated_frames : int or None
        Frames that its header states; None where it does not.
    promised : bool
        Whether fewer frames than `stated_frames` show that the file is cut; otherwise it is noted.
    slack : int
        How many frames less than `stated_frames` are accepted.
    position : int
        The next frame to read.
    ahead_s : float
        How much further a source of sound that is arriving is read where it is resampled, so that
        a window does not wait for the next one to arrive.
    """

    rate_hz: int
    channels: int
    frames: int | None
    stated_frames: int | None
    promised: bool = True
    slack: int = 0
    format: str = ""
    ahead_s: float = 0.0

    def __init__(self, content: Content) -> None:
        self.content = content
        self.path = content.path
        self.notes = content.notes
        self.position = 0

    @abstractmethod
    def read(self, count: int | None) -> NDArray[np.float32]:
        """Return the next `count` frames (None: all that remain); fewer at the end only.

        Returns
        -------
        (frame,) float32 for one channel, else (frame, channel)

        Raises
        ------
        AudioError
            If the stream is damaged.
        """

    def seek(self, frame: int) -> None:
        """Make `frame` the next to read; past the end, `read` returns no frames."""
        while self.position < frame:
            if not len(self.read(min(frame - self.position, 1 << 16))):
                return

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def is_plausible(self, frames: int) -> bool:
        """Return whether a file of this size may hold so many frames."""
        return frames <= _MOST_FRAMES_PER_BYTE * os.path.getsize(self.content.place)

    def finish(self) -> None:
        """Raise AudioError if the file ended before its header states."""
        if self.position == 0:
            self.refuse_empty()
        short = self.stated_frames is not None and self.position < self.stated_frames - self.slack
        if short and not self.promised and MAYBE_CUT not in self.notes:
            self.notes += (MAYBE_CUT,)
        if not (self.content.cut or (short and self.promised)):
            return
        # An Ogg file with an end mark lacks something within, which decoders skip.
        hole = self.content.format == "ogg" and not self.content.cut
        self.refuse_cut(self.position, reason="damaged within" if hole else "cut short", hole=hole)

    def refuse_unusable(self, *, whole: bool = True) -> None:
        """Raise AudioError for a file without samples, or, to read it `whole`, one cut short."""
        if self.frames == 0:
            self.refuse_empty()
        if whole and self.content.cut and self.frames is not None:
            self.refuse_cut(self.frames)

    def refuse_empty(self) -> NoReturn:
        """Raise the AudioError for a header without frames."""
        if self.content.cut:
            self.refuse_cut(0)
        raise AudioError(
            f"the file {self.path} has a header but no samples",
            expected="at least one sample",
            fix="leave it out, or record it again",
        )

    def refuse_change(self) -> NoReturn:
        """Raise the AudioError for frames that are not like the first."""
        raise AudioError(
            f"the rate or the channels change within {self.path}",
            expected="one rate and one number of channels in a file",
            fix="convert it to WAV or FLAC",
        )

    def refuse_cut(
        self, decodable: int, *, reason: str = "cut short", hole: bool = False
    ) -> NoReturn:
        """Raise the AudioError for a file of which only `decodable` frames can be decoded.

        With a `hole` they are not all at its beginning, so reading them is no remedy.
        """
        stated = f" of {self.stated_frames / self.rate_hz:.3f} s" if self.stated_frames else ""
        there_s = math.floor(1000 * decodable / self.rate_hz) / 1000
        part = f", or read what is there, in Python or a table by duration_s={there_s:.3f}"
        part = part if there_s and not hole else ""
        raise AudioError(
            f"the file {self.path} is {reason}: only {there_s:.3f} s{stated} can be decoded",
            expected="a complete file",
            fix=f"fetch it again{part}",
        ) from None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
