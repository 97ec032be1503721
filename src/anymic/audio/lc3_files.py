"""Read LC3, which neither libsndfile nor FFmpeg decodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymic._internal import lc3
from anymic.audio.content import Content
from anymic.audio.source import Source


class Lc3Source(Source):
    """A file of liblc3's tools, decoded in whole by liblc3.

    As these tools do, it skips the delay of the codec and stops after the stated samples.
    """

    def __init__(self, content: Content) -> None:
        super().__init__(content)
        file = lc3.from_file(Path(content.place).read_bytes()[content.begin :])
        self.format = "lc3 lc3"
        self.rate_hz, self.channels = file.rate_hz, len(file.frames)
        decoded = [
            lc3.decode(frames, rate_hz=file.rate_hz, frame_us=file.frame_us)
            for frames in file.frames
        ]
        late = lc3.delay_samples(rate_hz=file.rate_hz, frame_us=file.frame_us)
        whole = np.stack(decoded, axis=1)[late : late + file.samples]
        self._samples = whole[:, 0] if self.channels == 1 else whole
        self.frames, self.stated_frames = len(whole), file.samples

    def read(self, count: int | None) -> NDArray[np.float32]:
        """Return the next frames, as `Source.read`."""
        end = None if count is None else self.position + count
        frames = self._samples[self.position : end]
        self.position += len(frames)
        return frames

    def close(self) -> None:
        """Close nothing: the file was read in whole."""
