"""Compute standardized log-mel features of samples, on any torch device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anymic._internal.gain_factors import (
    ROW_PARTS,
    corrected_samples,
    gain_factors,
    of_one_width,
)
from anymic._internal.process_state import default_torch
from anymic.errors import ConfigError, DeviceError, counted
from anymic.features.frontend_config import FrontendConfig
from anymic.features.mel import BandedProduct, mel_filters
from anymic.features.standardizer import Standardizer

IDENTITY = 0  # row of the gains that belongs to no device
SMALLEST_VARIANCE = 1e-5  # of normalized maps, as in Kim 2022: added to the variance
SMALLEST_SPAN = 1e-6  # between a clip's extremes, in log-mel: a smaller one is no signal
TILE_SAMPLES = 2**19  # of frames processed together on a processor: they stay in its cache


class Frontend(nn.Module):
    """STFT, magnitude, device gains, mel, log, scaling, standardization per band, deltas.

    The same object is used in training, prediction and export. Its state is its config and its
    buffers, which are saved with the weights.

    Parameters
    ----------
    config : FrontendConfig
    device_gains : mapping of str to array (bin,) or (band,), optional
        Amplitude factors of each known device, from a device profile: of the magnitudes, before
        the mel filters; or of the mel bands, whose logarithms are added after them. Gains of bins
        can have noise (`DeviceGains.factors`). Clips of other devices are not corrected.
    filters : Tensor (band, bin), optional
        Saved mel filters; by default `mel_filters(config)`.

    Attributes
    ----------
    gain_domain : {"magnitude", "log_mel"}
        Where gains are applied, according to their number.

    Examples
    --------
    >>> import anymic, numpy as np, torch
    >>> config = anymic.FrontendConfig(rate_hz=8000, fft_size=256, hop_samples=128, bands=32)
    >>> frontend = anymic.Frontend(config, device_gains={"A": np.ones(config.bins)})
    >>> samples = torch.zeros(2, 8000)  # (batch, sample)
    >>> frontend(samples, frontend.device_index(["A", "A"])).shape  # (batch, channel, band, frame)
    torch.Size([2, 1, 32, 63])
    """

    window: Tensor
    filters: Tensor
    gains: Tensor
    mean: Tensor
    scale: Tensor

    @default_torch()
    def __init__(
        self,
        config: FrontendConfig,
        *,
        device_gains: Mapping[str, NDArray[np.float64]] | None = None,
        filters: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.device_names = tuple(device_gains or ())
        if filters is None:
            waveform = config.features == "waveform"
            filters = torch.ones(1, config.bins) if waveform else mel_filters(config)
        self.mel = BandedProduct(filters)
        self.register_buffer("filters", filters)
        self.register_buffer("window", torch.hann_window(config.frame_samples))
        self.gain_domain, rows = _gain_rows(config, device_gains or {})
        self.register_buffer("gains", rows)
        self.register_buffer("mean", torch.zeros(config.bands))
        self.register_buffer("scale", torch.ones(config.bands))

    def device_index(self, devices: Iterable[str | None]) -> Tensor:
        """Return the row of the gains of each device name, (clip,) int64; 0 where unknown."""
        rows = {name: row for row, name in enumerate(self.device_names, start=1)}
        found = [rows.get(name or "", IDENTITY) for name in devices]
        return torch.tensor(found, dtype=torch.int64, device="cpu")

    def standardize_by(self, standardizer: Standardizer) -> Frontend:
        """Set the means and scales of a fitted standardizer; return self."""
        self.mean.copy_(torch.from_numpy(standardizer.mean_))
        self.scale.copy_(torch.from_numpy(standardizer.scale_))
        return self

    def magnitude(self, samples: Tensor) -> Tensor:
        """Return the magnitudes of the STFT (batch, frame, bin), linear, with a Hann window.

        For centred frames they equal `abs(librosa.stft(...))` transposed. Parameters and errors
        are those of `log_mel`.
        """
        return self.transform(self.overlapping(samples))

    def log_mel(
        self, samples: Tensor, device: Tensor | None = None, *, gains: Tensor | None = None
    ) -> Tensor:
        """Return log-mel features, scaled by the settings, before standardization and deltas.

        Parameters
        ----------
        samples : Tensor, (batch, sample), float32
            Full scale is 1.
        device : Tensor, (batch,), int64, optional
            From `device_index`; None leaves every clip uncorrected.
        gains : Tensor, (batch, bin), optional
            Amplitude factors of each clip, in place of those of its device, also with noise;
            (batch, band) in the log-mel domain.

        Returns
        -------
        Tensor : (batch, band, frame), natural logarithm; 0..1 with the scaling "clip"; the samples
            (batch, 1, sample) with the features "waveform"

        Raises
        ------
        ConfigError
            If `samples` is not of shape (batch, sample) or too short for a frame, or `gains` is
            not of shape (batch, bin).
        """
        frames = self.overlapping(samples)
        if gains is None and device is not None and bool((device != IDENTITY).any()):
            gains = self.gains[device]
        by_bin = self.gain_domain == "magnitude"
        size, what = (self.config.bins, "bin") if by_bin else (self.config.bands, "mel band")
        if gains is not None:
            wanted = (len(frames), size)
            if gains.shape not in (wanted, (len(frames), ROW_PARTS * size if by_bin else size)):
                raise ConfigError(
                    f"the gains have shape {tuple(gains.shape)} for {counted(len(frames), 'clip')}",
                    expected=f"{wanted}, a factor for each clip and {what}",
                    fix="repeat the gains for every clip",
                )
        if self.config.features == "waveform":
            return self._waveform(samples, gains).unsqueeze(1)
        noise = gains is not None and gains.shape[1] > size  # then a frame depends on others
        if frames.device.type != "cpu" or noise:
            return self.scale_clips(self._bands(frames, gains).transpose(1, 2))
        clips = max(1, TILE_SAMPLES // frames.shape[1:].numel())  # short ones share a tile
        tiles = [
            self._bands(tile, None if gains is None else gains[first : first + clips]).flatten(0, 1)
            for first in range(0, len(frames), clips)
            for tile in in_tiles(frames[first : first + clips])
        ]
        log_mel = torch.cat(tiles).view(len(frames), -1, self.config.bands)
        return self.scale_clips(log_mel.transpose(1, 2))

    def overlapping(self, samples: Tensor) -> Tensor:
        """Cut samples into overlapping frames, without a copy: (batch, frame, sample)."""
        if samples.ndim != 2:
            raise ConfigError(
                f"the samples have shape {tuple(samples.shape)}",
                expected="(batch, sample)",
                fix="add the batch axis: samples[None]",
            )
        length, hop = self.config.frame_samples, self.config.hop_samples
        if self.config.centred:
            samples = nn.functional.pad(samples, (length // 2, length // 2))
        elif samples.shape[1] < length:
            raise ConfigError(
                f"the clips have {counted(samples.shape[1], 'sample')}",
                expected=f"at least one frame of {length} samples",
                fix="pad or repeat the clip first",
            )
        return samples.unfold(-1, length, hop)

    def transform(self, frames: Tensor) -> Tensor:
        """Transform frames (..., sample) to magnitudes (..., bin), linear."""
        spectrum = torch.fft.rfft(frames * self.window, n=self.config.fft_size)
        # Three times as fast as abs() of a complex tensor.
        magnitude: Tensor = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag).sqrt_()
        return magnitude

    def _waveform(self, samples: Tensor, gains: Tensor | None) -> Tensor:
        """Return samples (batch, sample), corrected by gains (batch, bin)."""
        if gains is None:
            return samples
        hop = min(self.config.hop_samples, self.config.fft_size // 2)
        return corrected_samples(samples, gains, window=self.window, hop_samples=hop)

    def _bands(self, frames: Tensor, gains: Tensor | None) -> Tensor:
        """Transform frames (..., frame, sample) to log-mel bands (..., frame, band)."""
        magnitude = self.transform(frames)
        if gains is not None and self.gain_domain == "magnitude":
            # Before the mel filters: Nguyen 2020, section 2.1.
            magnitude = magnitude * gain_factors(magnitude, gains, self.window)
        spectrum = magnitude.square() if self.config.power == 2 else magnitude
        bands: Tensor = self.mel(spectrum)
        log_bands = (bands + self.config.log_offset).log_()
        if gains is not None and self.gain_domain == "log_mel":
            log_bands += self.config.power * gains.unsqueeze(-2).log()
        return log_bands

    def scale_clips(self, log_mel: Tensor) -> Tensor:
        """Scale each clip of (..., band, frame) to 0..1 with the setting "clip"; silence to 0."""
        if self.config.scaling == "none":
            return log_mel
        low = log_mel.amin(dim=(-2, -1), keepdim=True)
        span = log_mel.amax(dim=(-2, -1), keepdim=True) - low
        return (log_mel - low) / span.clamp_min(SMALLEST_SPAN)

    def standardize(self, log_mel: Tensor) -> Tensor:
        """Subtract the mean and divide by the scale of each band: (..., band, frame)."""
        return (log_mel - self.mean[:, None]) / self.scale[:, None]

    def forward(
        self, samples: Tensor, device: Tensor | None = None, *, gains: Tensor | None = None
    ) -> Tensor:
        """Return the network's input for samples: `maps` of `log_mel`.

        Parameters
        ----------
        samples : Tensor, (batch, sample), float32
            At the rate of the settings, full scale 1.
        device : Tensor, (batch,), int64, optional
            From `device_index`; None leaves every clip uncorrected.
        gains : Tensor, (batch, bin), optional
            Linear factors of magnitudes, in place of those of the device; see `log_mel`.

        Returns
        -------
        Tensor : (batch, channel, band, frame), float32
            Standardized log-mel features, and their deltas as channels 2, 3, ...; with the
            features "waveform" the samples, (batch, 1, 1, sample).

        Raises
        ------
        ConfigError
            As `log_mel`.
        """
        return self.maps(self.log_mel(samples, device, gains=gains))

    def maps(self, log_mel: Tensor) -> Tensor:
        """Return the network's input (batch, channel, band, frame) for the output of `log_mel`.

        The channels are the standardized features and the orders of deltas in the settings, cut
        to the frames of the last order. Then each clip is normalized, where the settings say so.
        """
        maps = self._channels(log_mel)
        share = self.config.relaxed_normalization
        return maps if share is None else relaxed_normalization(maps, share)

    def _channels(self, log_mel: Tensor) -> Tensor:
        channels = [self.standardize(log_mel)]
        for _ in range(self.config.deltas):
            channels.append(deltas(channels[-1]))
        if len(channels) == 1:
            return channels[0].unsqueeze(-3)
        frames = channels[-1].shape[-1]
        starts = range(self.config.lost_frames // 2, -1, -2)
        cropped = [
            one.narrow(-1, start, frames) for one, start in zip(channels, starts, strict=True)
        ]
        return torch.stack(cropped, dim=-3)


def relaxed_normalization(maps: Tensor, share: float) -> Tensor:
    """Return share * LN(x) + (1 - share) * IFN(x) of maps (batch, channel, band, frame).

    LN has mean 0 and variance 1 over a whole clip, IFN over the channels and frames of each band
    (Kim 2022, arXiv 2206.13909, equations 1 and 2).
    """
    parts = []
    for axes, weight in (((1, 2, 3), share), ((1, 3), 1 - share)):
        mean = maps.mean(dim=axes, keepdim=True)
        centred = maps - mean
        variance = centred.square().mean(dim=axes, keepdim=True)
        parts.append(weight * centred * (variance + SMALLEST_VARIANCE).rsqrt())
    return parts[0] + parts[1]


def deltas(features: Tensor) -> Tensor:
    """Return differences in time: (..., frame) to (..., frame - 4).

    delta[t] = (x[t+1] - x[t-1]) / 10 + (x[t+2] - x[t-2]) / 5, the least-squares slope over five
    frames, where all of them exist (Hu 2020).
    """
    near = features[..., 3:-1] - features[..., 1:-3]
    far = features[..., 4:] - features[..., :-4]
    return near / 10 + far / 5


def in_tiles(frames: Tensor) -> tuple[Tensor, ...]:
    """Divide frames (..., frame, sample) into parts of `TILE_SAMPLES` of a clip."""
    size = max(1, TILE_SAMPLES // frames.shape[-1])
    tiles: tuple[Tensor, ...] = torch.split(frames, size, dim=-2)
    return tiles


def _gain_rows(
    config: FrontendConfig, device_gains: Mapping[str, NDArray[np.float64]]
) -> tuple[Literal["magnitude", "log_mel"], Tensor]:
    """Return the domain of the gains, and the identity and each device's gains as rows."""
    shapes = {np.shape(gains) for gains in device_gains.values()}
    by_band = shapes == {(config.bands,)} and config.bands != config.bins
    size = config.bands if by_band else config.bins
    rows = [torch.ones(size)]
    for name, gains in device_gains.items():
        if np.shape(gains) not in ((size,), (size if by_band else ROW_PARTS * size,)):
            raise DeviceError(
                f"device {name} has {np.size(gains)} gains",
                expected=f"{config.bins}, one for each frequency bin, or for every device "
                f"{config.bands}, one for each mel band",
                fix="calculate the profile with the front-end's rate and FFT size",
            )
        rows.append(torch.tensor(gains, dtype=torch.float32))
    return "log_mel" if by_band else "magnitude", of_one_width(rows)
