"""What a clip is passed through: a virtual device, a codec at a bitrate, both, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anymic.codecs import Codec
from anymic.codecs.table import ORIGINAL
from anymic.devices.simulation.device_set import DeviceSet
from anymic.errors import ConfigError

AS_RECORDED = "as recorded"
CLEAN = "clean"
NO_CODEC = Codec(ORIGINAL)


@dataclass(frozen=True)
class Condition:
    """A device and a codec that clips are passed through.

    Attributes
    ----------
    device : str or None
        Name of the virtual device; None for the clip as it was recorded.
    codec : Codec
        With a bitrate; "wav" is not encoded.
    """

    device: str | None = None
    codec: Codec = NO_CODEC

    @property
    def is_clean(self) -> bool:
        """Whether the clip is unchanged."""
        return self.device is None and self.codec.kbps is None

    @property
    def codec_name(self) -> str:
        """The codec with its bitrate, and with its rate if one was given: "mp3 32"."""
        at = "" if self.codec.rate_hz is None else f" at {self.codec.rate_hz} Hz"
        return f"{self.codec}{at}"

    @property
    def name(self) -> str:
        """Such as "clean", "B", "mp3 32" or "B, mp3 32"."""
        parts = [self.device] if self.device is not None else []
        parts += [self.codec_name] if self.codec.kbps is not None else []
        return ", ".join(parts) or CLEAN

    @property
    def keys(self) -> dict[str, str]:
        """The condition of a row in report.json: device, codec, kbps, rate_hz."""
        keys = {"device": self.device or AS_RECORDED, "codec": self.codec.row_name}
        if self.codec.kbps is not None:
            keys["kbps"] = f"{self.codec.kbps:g}"
        if self.codec.rate_hz is not None:
            keys["rate_hz"] = str(self.codec.rate_hz)
        return keys


def grid(devices: DeviceSet | None, codecs: Sequence[Codec]) -> tuple[Condition, ...]:
    """Return every device, and none, with every codec, and none; the clean clip first.

    Raises
    ------
    ConfigError
        If there is neither a device nor a codec, or a device has a name of the clips without one.
    """
    names = [None, *(devices.devices if devices is not None else ())]
    if {AS_RECORDED, CLEAN} & set(names):
        raise ConfigError(
            f"a device is named {AS_RECORDED!r} or {CLEAN!r}",
            expected="another name, because these mean clips without a device",
        )
    coded = dict.fromkeys([NO_CODEC, *(codec for codec in codecs if codec.kbps is not None)])
    found = [Condition(name, codec) for name in names for codec in coded]
    if len(found) == 1:
        raise ConfigError(
            "there is no device and no codec",
            expected="at least one device or codec",
            fix="pass devices such as the preset microphones, codecs, or both",
        )
    return tuple(found)
