"""Spectrum correction as a torch module, for use in front of any model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anymic._internal.gain_factors import corrected_samples, corrected_spectrum, of_one_width
from anymic._internal.process_state import default_torch
from anymic.devices.analysis import synthesis_hop
from anymic.devices.correction.arrays import Domain, Unknown, check_choices, one_a_row
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import DeviceError, counted

IDENTITY = 0  # the row of the gains that changes nothing


class SpectrumGains(nn.Module):
    """Multiply spectra by the gains of the devices that recorded them.

    The gains are a buffer: they move with the module, are saved in its state dict, and are not
    trained. Gradients pass through to the input.

    Parameters
    ----------
    profile : DeviceProfile
        The gains, for its rate and its FFT size.
    domain : {"magnitude", "stft", "waveform"}
        The input of `forward`: linear magnitudes (not powers) or complex STFTs (..., bin, frame),
        or samples (..., sample), which are corrected by STFT, product and overlap-add.
    unknown : {"error", "identity"}
        Whether a device without gains is refused or its clips do not change.

    Attributes
    ----------
    devices : tuple of str
        The devices of the profile; the gains of `devices[i]` are row i + 1 of `gains`.
    gains : Tensor, (1 + device, bin), float32
        Row 0 is the identity, all ones. If noise is subtracted for a device, rows have noise: see
        `DeviceGains.factors`. Magnitudes and STFTs are then those of a Hann window as long as the
        FFT.

    Examples
    --------
    >>> import numpy as np
    >>> from anymic.devices.correction.profile import DeviceGains
    >>> half = DeviceGains(np.full(9, 0.5), 10, np.zeros(9))
    >>> profile = DeviceProfile(16000, 16, ("A",), "ratio_of_means", {"B": half}, hop_samples=8)
    >>> SpectrumGains(profile, unknown="identity")(torch.ones(2, 9, 1), ["A", "B"])[:, 0, 0]
    tensor([1.0000, 0.5000])
    """

    gains: Tensor
    window: Tensor

    @default_torch()
    def __init__(
        self,
        profile: DeviceProfile,
        *,
        domain: Domain = "magnitude",
        unknown: Unknown = "error",
    ) -> None:
        super().__init__()
        check_choices(domain, unknown)
        self.domain, self.unknown = domain, unknown
        self.fft_size = profile.fft_size
        self.hop_samples = synthesis_hop(profile.fft_size, profile.hop_samples)
        self.devices = tuple(profile.devices)
        rows = [torch.from_numpy(profile.devices[name].factors) for name in self.devices]
        ones = torch.ones(profile.fft_size // 2 + 1)
        self.register_buffer("gains", of_one_width([ones, *(row.float() for row in rows)]))
        self.register_buffer("window", torch.hann_window(profile.fft_size), persistent=False)

    def extra_repr(self) -> str:
        """Return the devices, the domain and the analysis, for `print`."""
        return f"{', '.join(self.devices)}; domain={self.domain}, fft_size={self.fft_size}"

    def device_index(self, devices: str | Sequence[str | None]) -> Tensor:
        """Return the row of `gains` for each device name, (clip,) int64.

        Raises a DeviceError if a device has no gains and `unknown` is "error".
        """
        rows = {name: row for row, name in enumerate(self.devices, start=1)}
        names = one_a_row(devices, 1 if isinstance(devices, str) else len(devices))
        lost = [name for name in names if name not in rows]
        if lost and self.unknown == "error":
            raise DeviceError(
                f"unknown device {lost[0]!r}",
                expected="one of " + ", ".join(self.devices),
                fix="estimate its gains, or set `unknown` to identity",
            )
        found = [rows.get(name, IDENTITY) for name in names]
        return torch.tensor(found, dtype=torch.int64, device="cpu")

    def forward(self, values: Tensor, device: str | Sequence[str | None] | Tensor) -> Tensor:
        """Return the values with the gains of their devices applied, of the same shape and type.

        Parameters
        ----------
        values : Tensor
            In the domain of the module: (batch, ..., bin, frame) or (batch, ..., sample).
        device : str, sequence of str, or Tensor (batch,) of int64
            One name for all, or a name or a row of `gains` (`device_index`) for each clip.

        Raises
        ------
        DeviceError
            If a device has no gains, or the values do not fit the domain or the devices.
        """
        self._check(values)
        index = device if isinstance(device, Tensor) else self.device_index(device)
        gains = self.gains[index.to(self.gains.device)]
        if isinstance(device, str):
            gains = gains[0]
        elif len(gains) != len(values):
            raise DeviceError(
                f"{counted(len(gains), 'device')} for {counted(len(values), 'clip')}",
                expected="one device for all clips, or one for each",
                fix="pass a device for each clip of the batch",
            )
        else:
            inner = values.ndim - (2 if self.domain == "waveform" else 3)
            gains = gains.reshape(len(gains), *[1] * inner, -1)
        if self.domain != "waveform":
            return corrected_spectrum(values, gains, self.window)
        return corrected_samples(values, gains, window=self.window, hop_samples=self.hop_samples)

    def _check(self, values: Tensor) -> None:
        complex_wanted, bins = self.domain == "stft", self.fft_size // 2 + 1
        fits = values.is_complex() if complex_wanted else values.is_floating_point()
        if self.domain != "waveform":
            fits = fits and values.ndim >= 2 and values.shape[-2] == bins
        if not fits or not values.ndim:
            axes = "samples (..., sample)" if self.domain == "waveform" else f"(..., {bins}, frame)"
            raise DeviceError(
                f"the values are {values.dtype} {tuple(values.shape)} in the domain {self.domain}",
                expected=f"{'complex' if complex_wanted else 'real floating'} {axes}",
                fix="set `domain` to what the values are, and use the FFT size of the profile",
            )
