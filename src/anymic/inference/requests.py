"""The clips in a pipeline, from files, arrays or manifests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic._internal.remote import RemotePath, as_path, is_url
from anymic.audio import Clip, DecodedFile
from anymic.audio.source import Source
from anymic.data.manifest import Manifest
from anymic.devices.simulation.copies import SampleDevice
from anymic.errors import (
    AnymicError,
    AudioError,
    BundleError,
    DeviceError,
    ManifestError,
    require_type,
)
from anymic.features import Gains
from anymic.inference.prediction import DeviceFrom, DevicePolicy
from anymic.inference.windowing import End, Window

if TYPE_CHECKING:
    from anymic.devices.identification.identifier import Identification

FILE_OR_CLIP = (str, Path, Clip, DecodedFile)


@dataclass(eq=False)
class ClipRequest:
    """A clip, and what has been computed for it so far."""

    source: str | Path | Clip | DecodedFile | Source
    device: str | None = None  # these two as of a `Prediction`
    device_from: DeviceFrom = "assumed"
    start_s: float | None = None  # a part of the file; None for all of it
    duration_s: float | None = None
    most_s: float | None = None  # of a part without a stated duration
    device_group: str | None = None  # requests of an equal group were recorded with one device
    identification: Identification | None = None  # the identifier's result, if it was used
    # Each window is computed as it is (None), or through each of these devices, in this order.
    through: tuple[SampleDevice | None, ...] = (None,)
    # Set by `anymic.inference.device_policy`; `policy` as `Prediction.device_policy`.
    gains: Gains | None = None
    policy: DevicePolicy = "identity"
    gain_notes: tuple[str, ...] = ()  # on gains that were estimated blindly, or are weighted
    # Requests that stand for its stretches, each with its device and gains, and where it begins.
    stretches: list[ClipRequest] = field(default_factory=list)
    marked: int = 0  # windows of such a stretch
    starts_s: list[float] = field(default_factory=list)  # of each window
    # Of each window: probabilities (label,) or features (channel,).
    windows: list[NDArray[np.float64]] = field(default_factory=list)
    end: End | AnymicError | None = None  # the result of reading; None until it ends
    error: AnymicError | None = None  # after reading
    apart: bool = False  # its windows share no batch with those of the clips before it
    computing: int = 0  # windows that were read and are not computed yet

    @property
    def path(self) -> str:
        """The file; empty for samples."""
        if isinstance(self.source, Clip | DecodedFile | Source):
            return self.source.path
        return str(self.source)

    @property
    def file(self) -> Path:
        """The file as a path, which may be one at a URL."""
        return self.source if isinstance(self.source, Path) else as_path(self.path)

    @property
    def failed(self) -> AnymicError | None:
        """The error, if there is one."""
        return self.end if isinstance(self.end, AnymicError) else self.error

    @property
    def stated(self) -> tuple[str | None, DeviceFrom]:
        """The device as it was stated, and where: not as it was identified."""
        if self.device_from == "identified":
            return None, "assumed"
        return self.device, self.device_from

    def follow(self, stretch: ClipRequest) -> None:
        """Take the device and the gains of a stretch."""
        self.device, self.device_from = stretch.device, stretch.device_from
        self.identification, self.policy = stretch.identification, stretch.policy
        self.gains, self.gain_notes = stretch.gains, stretch.gain_notes

    def longest_stretch(self) -> ClipRequest:
        """Return the first stretch of the device, and its gains, that has the most windows."""
        counts: dict[tuple[str | None, str], int] = {}
        for one in self.stretches:
            key = (one.device, one.policy)
            counts[key] = counts.get(key, 0) + one.marked
        most = max(counts, key=lambda key: counts[key])
        return next(one for one in self.stretches if (one.device, one.policy) == most)

    def window_devices(self) -> list[str | None]:
        """Return the device of each window; silent ones before the first sound have the first."""
        if not self.stretches:
            return [self.device] * len(self.starts_s)
        every = [one.device for one in self.stretches for _ in range(one.marked)]
        return every[:1] * (len(self.starts_s) - len(every)) + every

    def device_at(self, start_s: float) -> str | None:
        """Return the device of the window that starts there, as `window_devices` has it."""
        begun = [one.device for one in self.stretches if one.starts_s[:1] <= [start_s]]
        first = self.stretches[0].device if self.stretches else self.device
        return begun[-1] if begun else first

    @property
    def done(self) -> bool:
        """Whether reading ended and all windows are computed."""
        return self.end is not None and not self.computing

    def begin(self, window: Window) -> None:
        """Add a window that was read; `deliver` brings its result."""
        self.starts_s.append(window.start_s)
        self.computing += 1

    def deliver(
        self, window: Window, result: NDArray[np.float64] | AnymicError, *, finite: bool
    ) -> None:
        """Add the result of a window, or its error; the features are `finite` or not."""
        self.computing -= 1
        if isinstance(result, AnymicError):
            self.error, result = result, np.empty(0)
            self.windows.append(result)
            return
        self.windows.append(result)
        if not (finite and np.isfinite(result).all()):
            peak = float(np.abs(window.samples).max())
            self.error = AudioError(
                f"{self.path or 'a clip'} has a peak of {peak:.3g}, and its features overflow",
                expected="samples with full scale 1.0",
                fix="lower the level",
            )


def request_of(
    source: str | Path | Clip | DecodedFile | ArrayLike,
    device: str | None,
    *,
    rate_hz: int | None = None,
) -> ClipRequest:
    """Return the request for a file, a clip, or an array (sample,) of this rate, and only of one.

    AudioError if the source is something else, or has no rate, or two.
    """
    wanted = "the name of a device, or None where it is not known"
    require_type(device, (str, type(None)), "the device", expected=wanted, error=DeviceError)
    device_from: DeviceFrom = "assumed" if device is None else "stated"
    if isinstance(source, FILE_OR_CLIP):
        if rate_hz is not None:
            raise AudioError(
                f"rate_hz={rate_hz} for {source if isinstance(source, str | Path) else 'a clip'}",
                expected="a rate with an array of samples only",
                fix="leave it out: a file or clip has its own rate",
            )
        if isinstance(source, str) and is_url(source):
            source = as_path(source)
        return ClipRequest(source, device, device_from)
    if isinstance(source, Sequence) and any(
        isinstance(item, FILE_OR_CLIP) or hasattr(item, "__len__") for item in source
    ):
        raise AudioError(
            f"a list of {len(source)} in place of one clip",
            expected="one file, clip or array of samples",
            fix="pass several to predict_many",
        )
    samples = np.asarray(source)
    if samples.ndim == 0 or not np.issubdtype(samples.dtype, np.number):
        raise AudioError(
            f"a value of type {type(source).__name__} in place of a clip",
            expected="a file, a Clip or an array of samples",
            fix="pass the path of a file, or Clip(samples, rate_hz)",
        )
    if rate_hz is None:
        raise AudioError(
            "samples without a rate",
            expected="rate_hz",
            fix="pass rate_hz, such as 44100, or wrap them as Clip(samples, rate_hz)",
        )
    return ClipRequest(Clip(samples, rate_hz), device, device_from)


def requests_of(
    sources: Sequence[Any], devices: Sequence[str | None], *, rate_hz: int | None
) -> list[ClipRequest]:
    """Return a request for each source; an error names the number of its clip."""
    found = []
    for number, (source, device) in enumerate(zip(sources, devices, strict=True), start=1):
        try:
            found.append(request_of(source, device, rate_hz=rate_hz))
        except AnymicError as error:
            place = f"clip {number} of {len(sources)}: " if len(sources) > 1 else ""
            raise type(error)(
                f"{place}{error.problem}", expected=error.expected, fix=error.fix
            ) from error
    return found


def as_sources(sources: Any) -> list[Any]:
    """Return several sources as a list; AudioError if they are one source or none."""
    samples = isinstance(sources, np.ndarray) and sources.ndim == 1 and sources.dtype.kind in "fiu"
    one = samples or isinstance(sources, (*FILE_OR_CLIP, Manifest))
    if one or not hasattr(sources, "__iter__"):
        raise AudioError(
            f"a value of type {type(sources).__name__} in place of several clips",
            expected="a list of files or clips",
            fix="use predict for one clip, and predict_manifest for a manifest",
        )
    return list(sources)


def share_device(requests: Sequence[ClipRequest], unknown_device: str) -> None:
    """Let requests of one device, or of unknown device, share their blind gains.

    Parameters
    ----------
    requests : sequence of ClipRequest
    unknown_device : str
        What the model does with clips of unknown devices.

    Raises
    ------
    BundleError
        If it does not estimate gains blindly.
    """
    if unknown_device != "blind":
        raise BundleError(
            f"clips cannot share a device with unknown_device {unknown_device!r}",
            expected="a model that estimates gains blindly",
            fix="leave together out, or choose blind gains for the model's unknown devices",
        )
    for request in requests:
        request.device_group = request.device or ""


def manifest_requests(manifest: Manifest, clip_s: float | None) -> list[ClipRequest]:
    """Return a request for each row, for `Predictor.predict_manifest`."""
    if not isinstance(manifest, Manifest):
        raise ManifestError(
            f"a value of type {type(manifest).__name__} in place of a manifest",
            expected="a Manifest",
            fix="use Manifest.read for a file, Manifest.from_table for a DataFrame",
        )
    requests = []
    for path, values in zip(manifest.paths(), manifest.table.to_dict("records"), strict=True):
        device = values.get("device") or None
        request = ClipRequest(
            path if isinstance(path, RemotePath) else str(path),
            device,
            "assumed" if device is None else "manifest",
            device_group=device,
        )
        if "start_s" in values:
            length_s = float(values.get("duration_s", np.nan))
            request.start_s, request.most_s = float(values["start_s"]), clip_s
            request.duration_s = None if np.isnan(length_s) else length_s
        requests.append(request)
    return requests
