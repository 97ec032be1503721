"""The settings of the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from anymic.errors import ConfigError


@dataclass(frozen=True)
class FrontendConfig:
    """Settings of the chain STFT, magnitude, device gains, mel, log.

    The defaults are those of Kosmider 2019 (section 3) and Nguyen 2020 (section 3.1): 44.1 kHz,
    periodic Hann window of 2048 samples, hop of 512, 256 mel bands; 10 s give 862 frames.

    Attributes
    ----------
    rate_hz : int
    fft_size : int
        Length of the Fourier transform, in samples.
    hop_samples : int
        Distance between frames, in samples.
    bands : int
        Number of mel bands.
    low_hz, high_hz : float
        Edges of the mel filters; `high_hz` of None is half the rate.
    mel_scale : {"slaney", "htk"}
        Formula of the mel scale.
    mel_norm : {"slaney"} or None
        Filters of equal area, or of equal height.
    power : {1, 2}
        Exponent of the magnitude, before the mel filters.
    log_offset : float
        log(x + log_offset); 1e-5 is about 100 dB below a full-scale sine.
    scaling : {"none", "clip"}
        clip: each clip's log-mel features are scaled to 0..1 between their extremes (Hu 2020).
    deltas : int
        Orders of differences in time as channels 2, 3, ...: with 2, deltas and their deltas
        (Hu 2020). Each order removes 4 frames.
    window_samples : int or None
        Length of the window and of a frame, padded with zeros to `fft_size`. None: `fft_size`.
    centred : bool
        Whether frame k is centred on sample k * hop, with zeros beyond the ends of the clip;
        otherwise it begins there, and lies within the clip.
    mel_triangles : {"hertz", "mel"}
        Whether the sides of the mel filters are linear in frequency, as in librosa, or in mel, as
        in TensorFlow and VGGish.
    relaxed_normalization : float or None
        Normalize each clip of the network's input: this share of the result is normalized over all
        bands and frames, the rest over the frames of each band (relaxed instance frequency-wise
        normalization, Kim 2022, with their lambda). None: not at all.
    features : {"log_mel", "waveform"}
        waveform: the samples themselves, one band whose frames are samples, for networks with a
        front-end of their own; `fft_size` and `hop_samples` are those of device gains.

    Raises
    ------
    ConfigError
        If a size is below 1, the window is odd or longer than the transform, the hop is longer than
        the window, or another setting is not one of those above. One message lists all of them.

    Examples
    --------
    >>> import anymic
    >>> config = anymic.FrontendConfig(rate_hz=16000, fft_size=512, hop_samples=256, bands=64)
    >>> config.bins
    257
    >>> anymic.FrontendConfig().rate_hz
    44100
    """

    rate_hz: int = 44100
    fft_size: int = 2048
    hop_samples: int = 512
    bands: int = 256
    low_hz: float = 0.0
    high_hz: float | None = None
    mel_scale: Literal["slaney", "htk"] = "slaney"
    mel_norm: Literal["slaney"] | None = "slaney"
    power: int = 1
    log_offset: float = 1e-5
    scaling: Literal["none", "clip"] = "none"
    deltas: int = 0
    window_samples: int | None = None
    centred: bool = True
    mel_triangles: Literal["hertz", "mel"] = "hertz"
    features: Literal["log_mel", "waveform"] = "log_mel"
    relaxed_normalization: float | None = None

    def __post_init__(self) -> None:
        """Check the settings; all problems are reported in one error."""
        sizes = ("rate_hz", "fft_size", "hop_samples", "bands")
        window_fits = 1 <= self.frame_samples <= self.fft_size and self.frame_samples % 2 == 0
        found = {
            **{f"{name} is {getattr(self, name)}": getattr(self, name) < 1 for name in sizes},
            f"fft_size is the odd {self.fft_size}": self.fft_size % 2 == 1,
            f"window_samples is {self.window_samples} for {self.fft_size}": not window_fits,
            f"hop_samples is {self.hop_samples} over {self.frame_samples}": (
                self.hop_samples > self.frame_samples
            ),
            f"the mel range is {self.low_hz} to {self.highest_hz} Hz at {self.rate_hz} Hz": (
                not 0 <= self.low_hz < self.highest_hz <= self.rate_hz / 2
            ),
            f"power is {self.power}": self.power not in (1, 2),
            f"log_offset is {self.log_offset}": self.log_offset <= 0,
            f"scaling is {self.scaling!r}": self.scaling not in ("none", "clip"),
            f"deltas is {self.deltas}": self.deltas < 0,
            f"mel_triangles is {self.mel_triangles!r}": self.mel_triangles not in ("hertz", "mel"),
            f"mel_norm is {self.mel_norm} for filters that are triangles in mel": (
                self.mel_triangles == "mel" and self.mel_norm is not None
            ),
        }
        plain = (self.bands, self.deltas, self.scaling, self.window_samples) == (1, 0, "none", None)
        relaxed = self.relaxed_normalization
        found[f"relaxed_normalization is {relaxed}"] = relaxed is not None and not 0 <= relaxed <= 1
        plain = plain and relaxed is None
        found["the waveform has bands, deltas, scaling, a window or normalization"] = (
            self.features == "waveform" and not plain
        )
        found[f"features is {self.features!r}"] = self.features not in ("log_mel", "waveform")
        if problems := [problem for problem, wrong in found.items() if wrong]:
            raise ConfigError(
                "invalid settings: " + "; ".join(problems),
                expected="positive sizes, an even fft_size, an even window within it, a hop within "
                "the window, 0 <= low_hz < high_hz <= rate_hz / 2, power 1 or 2, a positive "
                "log_offset, scaling none or clip, deltas 0 or more, mel_triangles hertz or mel "
                "(without norm), relaxed_normalization from 0 to 1, features log_mel or waveform "
                "(with bands of 1)",
                fix="correct the settings of the front-end",
            )

    @property
    def bins(self) -> int:
        """Number of frequency bins of the STFT."""
        return self.fft_size // 2 + 1

    @property
    def highest_hz(self) -> float:
        """Upper edge of the mel filters, in Hz."""
        return self.rate_hz / 2 if self.high_hz is None else self.high_hz

    @property
    def lost_frames(self) -> int:
        """Number of frames that deltas remove at both ends together."""
        return 4 * self.deltas

    @property
    def frame_samples(self) -> int:
        """Length of a frame and its window, in samples."""
        return self.fft_size if self.window_samples is None else self.window_samples

    def frames(self, samples: int) -> int:
        """Return the number of frames of a clip of `samples` samples."""
        if self.features == "waveform":
            return samples
        if self.centred:
            return 1 + samples // self.hop_samples
        return max(0, 1 + (samples - self.frame_samples) // self.hop_samples)

    def samples(self, frames: int) -> int:
        """Return the fewest samples that give so many frames: the inverse of `frames`."""
        if self.features == "waveform":
            return frames
        return (frames - 1) * self.hop_samples + (0 if self.centred else self.frame_samples)

    @property
    def step_samples(self) -> int:
        """Distance between the starts of two frames, in samples."""
        return 1 if self.features == "waveform" else self.hop_samples

    def input_shape(self, samples: int) -> tuple[int, int, int]:
        """Return (channel, band, frame) of the network's input for a clip of so many samples."""
        return 1 + self.deltas, self.bands, self.frames(samples) - self.lost_frames
