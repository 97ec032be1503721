"""Sound in and out: read, stream, write, resample, trim, fit to a length.

Nothing here resamples, trims, clips or changes a level unless requested.

Examples
--------
>>> from anymic import audio
>>> clip = audio.read("clip.wav")  # mono, float32, full scale 1
>>> audio.resample(clip, 8000).samples.shape
(8000,)
>>> audio.fit_length(clip, 2.0, shorter="pad").samples.shape
(32000,)
"""

from anymic.audio.clip import AudioInfo, Clip, DecodedFile, checked_clip
from anymic.audio.inspection import check
from anymic.audio.reading import Channel, length_s, probe, read, stream
from anymic.audio.shaping import fit_length, resample, trim_silence
from anymic.audio.writing import write

__all__ = [
    "AudioInfo",
    "Channel",
    "Clip",
    "DecodedFile",
    "check",
    "checked_clip",
    "fit_length",
    "length_s",
    "probe",
    "read",
    "resample",
    "stream",
    "trim_silence",
    "write",
]
