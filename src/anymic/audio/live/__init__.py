"""Sound that arrives while it is read: raw PCM from a pipe, a microphone, or a URL.

Each is a `Source`, so that `anymic.audio.reading.windows_of` cuts it as it does a file.
"""

from anymic.audio.live.microphone import MicrophoneSource
from anymic.audio.live.pcm import PCM_FORMATS, PcmSource
from anymic.audio.live.url import UrlSource

__all__ = ["PCM_FORMATS", "MicrophoneSource", "PcmSource", "UrlSource"]
