"""A URL that FFmpeg opens: HTTP, RTSP and others."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from anymic._internal.threads import Background
from anymic.audio.containers import ContainerSource
from anymic.audio.content import Content
from anymic.audio.limits import limit
from anymic.audio.live.pcm import RESAMPLER_S
from anymic.audio.source import Source
from anymic.errors import AudioError, readable

if TYPE_CHECKING:
    import av

FRAMES_AHEAD = 64  # decoded; more wait in the network


class UrlSource(ContainerSource):
    """The first audio stream of a URL, decoded in a thread.

    Parameters
    ----------
    url : str
    timeout_s : float
        The longest wait for a connection, and for more data.

    Raises
    ------
    AudioError
        If it cannot be opened, has no audio, or sends nothing for `timeout_s`.
    """

    ahead_s = RESAMPLER_S

    def __init__(self, url: str, *, timeout_s: float = 10.0) -> None:
        self.timeout_s = timeout_s
        self._waits_s = deque[float](maxlen=3)
        self._section = None
        self._decoding: Background[NDArray[np.float32]] | None = None
        self._container = next(Background(self._connect(url), ahead=1))
        name = self._container.format.name.split(",")[0]
        Source.__init__(self, Content(without_password(url), name))
        try:
            self._open_stream(self.content)
        except BaseException:
            self.close()
            raise

    def _connect(self, url: str) -> Iterator[Any]:
        import av

        options = {"max_streams": str(limit("most_streams")), "rtsp_transport": "tcp"}
        begun_s = time.monotonic()
        try:
            yield av.open(
                url,
                options=options,
                metadata_errors="replace",
                timeout=(self.timeout_s, self.timeout_s),
            )
        except (av.FFmpegError, ValueError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if time.monotonic() - begun_s >= 0.9 * self.timeout_s:
                reason = f"no answer for {self.timeout_s:g} s"
            raise AudioError(
                f"{without_password(url)} cannot be opened ({readable(reason).rstrip('.')})",
                expected="a URL of audio that FFmpeg opens: http, https, rtsp and others",
                fix="check the address and the connection",
            ) from None

    def _decode(self, stream: av.AudioStream) -> Iterator[NDArray[np.float32]]:
        """Yield the samples of a stream, which a thread decodes."""
        self._decoding = Background(super()._decode(stream), ahead=FRAMES_AHEAD)
        return self._decoding

    def _frames(self, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
        """Yield the frames, and remember how long the last ones were awaited."""
        begun_s = time.monotonic()
        try:
            for frame in super()._frames(stream):
                self._waits_s.append(time.monotonic() - begun_s)
                yield frame
                begun_s = time.monotonic()
        finally:
            self._waits_s.append(time.monotonic() - begun_s)

    def close(self) -> None:
        """Close the connection, unless a thread still waits for it."""
        if self._decoding is None or self._decoding.stop():
            self._container.close()

    def _stalled(self) -> bool:
        """Return whether the stream ended by a wait, after which FFmpeg may give a last frame."""
        return max(self._waits_s, default=0.0) >= 0.9 * self.timeout_s

    def refuse_empty(self) -> NoReturn:
        """Raise the AudioError for a stream without samples."""
        raise AudioError(f"{self.path} ended before the first sample", expected="audio")

    def refuse_cut(
        self, decodable: int, *, reason: str = "cut short", hole: bool = False
    ) -> NoReturn:
        """Raise the AudioError for a connection that ended too early."""
        what = (
            f"sent nothing for {self.timeout_s:g} s"
            if self._stalled()
            else "ended, or sent damaged data,"
        )
        raise AudioError(
            f"{self.path} {what} after {decodable / self.rate_hz:.3f} s of audio",
            expected="a stream that continues, or ends where it states",
            fix="check the connection and start again",
        )


def without_password(url: str) -> str:
    """Return a URL for messages, without a user's name and password.

    Examples
    --------
    >>> without_password("rtsp://me:secret@camera/1")
    'rtsp://camera/1'
    """
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}" if mark else url
