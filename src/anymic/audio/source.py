"""What reading needs of an open file, whichever library decodes it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from types import TracebackType
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from anymic.audio.sniffing import Content
from anymic.errors import AudioError


class Source(ABC):
    """An open file that gives frames in order.

    Attributes
    ----------
    rate_hz, channels : int
        As stored.
    frames : int or None
        Frames that the file is thought to hold; None where only decoding tells.
    promised : int or None
        Frames that its header promises, where it does.
    position : int
        The next frame to be read.
    """

    rate_hz: int
    channels: int
    frames: int | None
    promised: int | None
    slack: int = 0
    format: str = ""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.path = content.path
        self.notes = content.notes
        self.position = 0

    @abstractmethod
    def read(self, count: int | None) -> NDArray[np.float32]:
        """Return the next `count` frames (all that are left for None), fewer at the end only.

        Returns
        -------
        (frame,) float32 for one channel, else (frame, channel)

        Raises
        ------
        AudioError
            The stream is damaged; the line says how much of it decodes.
        """

    @abstractmethod
    def seek(self, frame: int) -> None:
        """Make `frame` the next to be read; past the end, reading gives no frames."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def finish(self) -> None:
        """Raise AudioError if the end that was reached is not the end that was promised."""
        if self.position == 0:
            self.refuse_empty()
        short = self.promised is not None and self.position < self.promised - self.slack
        if not (self.content.cut or short):
            return
        # An Ogg file whose end is there lacks something within, and decoders leap over that.
        hole = self.content.format == "ogg" and not self.content.cut
        self.refuse_cut(self.position, reason="damaged within" if hole else "cut short", hole=hole)

    def refuse_empty(self) -> NoReturn:
        """Raise the AudioError for a header with no frames behind it."""
        if self.content.cut:
            self.refuse_cut(0)
        raise AudioError(
            f"{self.path} has a header but no samples",
            expected="at least one sample",
            fix="leave it out, or record it again",
        )

    def refuse_cut(
        self, decodable: int, *, reason: str = "cut short", hole: bool = False
    ) -> NoReturn:
        """Raise the AudioError for a file of which only a part can be had: its beginning, or not.

        Parameters
        ----------
        decodable : int
            Frames that can be had.
        reason : str
            What happened to the file.
        hole : bool
            They are not one stretch, so that reading them is no remedy.
        """
        promised = f" of {self.promised / self.rate_hz:.3f} s" if self.promised else ""
        there_s = math.floor(1000 * decodable / self.rate_hz) / 1000
        part = (
            f", or read what is there with duration_s={there_s:.3f}" if there_s and not hole else ""
        )
        raise AudioError(
            f"{self.path} is {reason}: only {there_s:.3f} s{promised} can be decoded",
            expected="a complete file",
            fix=f"fetch it again{part}",
        ) from None

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
