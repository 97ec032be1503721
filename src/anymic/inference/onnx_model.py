"""An ONNX model of waveforms, through onnxruntime, with a device profile in front of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymic import audio
from anymic._internal.onnx_session import open_session, require_onnxruntime
from anymic._internal.reading import parsing, reason_of
from anymic.audio import Clip
from anymic.bundle import InputContract, Targets
from anymic.devices.correction.apply import apply_to_waveform
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import ClassifierError, DeviceError, Failure, attempt, counted
from anymic.inference.onnx_contract import OnnxContract
from anymic.inference.windowing import Window, cut

LABELS, RATE_HZ = "labels", "rate_hz"  # metadata properties of the file
MOST_CLIPS = 32  # in one call
FFT_SIZE, HOP_SAMPLES = 2048, 512  # of gains that are estimated for it


class OnnxModel:
    """An ONNX model of waveforms.

    A file that `anymic.exporters.export` wrote is used as the model that it was made of: by its
    contract, with the gains of the devices in it. Any other file has one input, (batch, sample)
    float32, mono, full scale 1.0; its first output is (batch, label), probabilities. If the axis of
    samples has a fixed size, clips of another length are refused; if that of the batch has, clips
    are passed one by one. Clips are resampled to the model's rate, and those of a device with a
    profile beside the file are corrected before the model.

    Attributes
    ----------
    exported : OnnxContract or None
        What a file that anymic exported says of itself.

    Parameters
    ----------
    path : path
        The .onnx file.
    labels : sequence of str, optional
        In the order of the output; by default the file's metadata property `labels`, as JSON or
        separated by commas.
    rate_hz : int, optional
        The model's input rate; by default the metadata property `rate_hz`.
    profile : DeviceProfile, optional
        The gains of devices, for the model's rate; by default those of the file beside the model
        (`profile_beside`), if there is one.

    Raises
    ------
    DependencyError
        If onnxruntime is not installed.
    ClassifierError
        If the file is no such model, or its labels or its rate are not known.
    DeviceError
        If the profile cannot be read, or is for another rate.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        labels: Sequence[str] | None = None,
        rate_hz: int | None = None,
        profile: DeviceProfile | None = None,
    ) -> None:
        self.path = Path(path)
        self._name = f"the model {path}"
        with parsing(
            path, ClassifierError, expected="an ONNX model", fix="export or copy it again"
        ):
            self._session = _open(self.path)
            inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
            stated = self._session.get_modelmeta().custom_metadata_map
        own = {one.name: one for one in inputs}
        takes_device = len(inputs) == 2 and own.keys() == {"samples", "device"}
        if takes_device and own["device"].type == "tensor(int64)":
            inputs = [own["samples"]]
        uncalibrated = takes_device and "uncalibrated" in [one.name for one in outputs]
        self._output = "uncalibrated" if uncalibrated else outputs[0].name
        if len(inputs) != 1 or len(inputs[0].shape) != 2 or inputs[0].type != "tensor(float)":
            found = ", ".join(f"{one.name} {one.shape} {one.type}" for one in inputs)
            raise ClassifierError(
                f"{self._name} has the input {found}",
                expected="one input (batch, sample) of float32, the waveform, or also the device",
                fix="export the model with its front-end",
            )
        self._input = inputs[0].name
        self._batch, self.clip_samples = (
            size if isinstance(size, int) else None for size in inputs[0].shape
        )
        self.labels = checked_labels(labels or _listed(stated.get(LABELS, "")), str(self.path))
        self.rate_hz = rate_hz or self._rate(stated.get(RATE_HZ, ""))
        if not self.labels:
            raise ClassifierError(
                f"{self._name} has no labels",
                expected=f"labels in the metadata property {LABELS}, or as an argument",
                fix="pass the labels",
            )
        self.exported: OnnxContract | None = None
        if takes_device:
            self.exported = OnnxContract.read(stated, self._name, len(self.labels))
        if profile is None and profile_beside(self.path).is_file():
            profile = DeviceProfile.read(profile_beside(self.path))
        if profile is not None:
            profile.require(rate_hz=self.rate_hz)
            self._refuse_inside(profile)
        self.profile = profile

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that there are gains for: in the file, and in the profile beside it."""
        inside = self.exported.corrected if self.exported else ()
        return (*inside, *(self.profile.devices if self.profile else ()))

    @property
    def blind(self) -> tuple[str, ...]:
        """Those of them whose gains were estimated from recordings of the device alone."""
        inside = self.exported.blind if self.exported else ()
        return (*inside, *(self.profile.blind if self.profile else ()))

    @property
    def targets(self) -> Targets:
        """Whether a clip has one label or several."""
        return self.exported.targets if self.exported else "one"

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """With several labels a clip, the probability from which each is named."""
        return self.exported.thresholds if self.exported else None

    @property
    def contract(self) -> InputContract:
        """How files become windows; ClassifierError if another program wrote the file."""
        if self.exported is None:
            raise ClassifierError(
                f"{self._name} states no contract",
                expected="a file that `anymic export` wrote",
                fix="export the model with anymic",
            )
        return self.exported.contract

    def with_hop(self, hop_s: float) -> OnnxModel:
        """Return the model with windows that begin every `hop_s` seconds.

        ConfigError if it is shorter than a sample, or longer than a window.
        """
        contract = replace(self.contract, hop_s=hop_s)
        assert self.exported is not None
        found = copy.copy(self)
        found.exported = replace(self.exported, contract=contract)
        return found

    def with_profile(self, profile: DeviceProfile) -> OnnxModel:
        """Return the model with another profile."""
        return OnnxModel(self.path, labels=self.labels, rate_hz=self.rate_hz, profile=profile)

    def save(self, place: str | Path) -> Path:
        """Write the profile: beside a model of this path, or into a .json file; return the file."""
        if self.profile is None:
            raise ClassifierError(
                f"{self._name} has no profile", expected="a device", fix="add one first"
            )
        place = Path(place)
        return self.profile.write(place if place.suffix == ".json" else profile_beside(place))

    def corrected(self, clip: Clip, device: str | None) -> Clip:
        """Return a clip at the model's rate, corrected if there are gains of its device."""
        clip = audio.resample(clip, self.rate_hz)
        own = self.profile
        if own is None or device not in own.devices:
            return clip
        gains = own.of(device).factors
        analysis = {"fft_size": own.fft_size, "hop_samples": own.hop_samples}
        return apply_to_waveform(clip, gains, **analysis)

    def classify(
        self, clips: Sequence[Clip], devices: Sequence[str | None]
    ) -> list[NDArray[np.float64] | Failure]:
        """Return for each clip its probabilities (label,); see `corrected`.

        With a file that anymic exported they are the mean over windows, as its contract says, and
        a clip that the contract refuses is a Failure.
        """
        if self.exported is not None:
            pairs = zip(clips, devices, strict=True)
            return [attempt(clip.path, self._whole, clip, device) for clip, device in pairs]
        return list(self._classify(clips, devices))

    def windows(self, clips: Sequence[Clip], device: str | None) -> NDArray[np.float64]:
        """Return the probabilities (clip, label) of clips of one device, not calibrated."""
        return np.stack(self._classify(clips, [device] * len(clips)))

    def _whole(self, clip: Clip, device: str | None) -> NDArray[np.float64]:
        assert self.exported is not None
        exported = self.exported
        self.number(device)
        items = cut(clip, exported.contract, least_samples=exported.shortest_samples)
        windows = [one for one in items if isinstance(one, Window)]
        cuts = [Clip(one.samples, self.rate_hz, start_s=one.start_s) for one in windows]
        return exported.of_clip(self.windows(cuts, device), device)

    def number(self, device: str | None) -> int:
        """Return the number of a device in the file, 0 where it has none; see `OnnxContract`."""
        beside = self.profile is not None and device in self.profile.devices
        return 0 if self.exported is None or beside else self.exported.number(device)

    def _refuse_inside(self, profile: DeviceProfile) -> None:
        inside = self.exported.devices if self.exported else ()
        if twice := [name for name in profile.devices if name in inside]:
            raise DeviceError(
                f"the device {', '.join(twice)} is in the file {self.path} already",
                expected="another device",
                fix="add it to the model, and export that again",
            )

    def _classify(
        self, clips: Sequence[Clip], devices: Sequence[str | None]
    ) -> list[NDArray[np.float64]]:
        pairs = zip(clips, devices, strict=True)
        ready = [self.corrected(clip, device) for clip, device in pairs]
        for clip in ready:
            if self.clip_samples not in (None, len(clip.samples)):
                raise ClassifierError(
                    f"the clip {clip.path} has {counted(len(clip.samples), 'sample')} at"
                    f" {self.rate_hz} Hz",
                    expected=f"{self.clip_samples} samples, the input of {self.path}",
                    fix="cut the clips (start_s, duration_s), or export the model for any length",
                )
        alike = len({len(clip.samples) for clip in ready}) == 1 and self._batch is None
        size = MOST_CLIPS if alike else 1
        batches = [slice(first, first + size) for first in range(0, len(ready), size)]
        return [answer for one in batches for answer in self._run(ready[one], devices[one])]

    def _run(
        self, clips: Sequence[Clip], devices: Sequence[str | None]
    ) -> list[NDArray[np.float64]]:
        inputs = {self._input: np.stack([clip.samples for clip in clips])}
        if self.exported is not None:
            inputs["device"] = np.array([self.number(one) for one in devices], dtype=np.int64)
        try:
            found = np.asarray(self._session.run([self._output], inputs)[0])
        except Exception as error:  # the errors of onnxruntime have no common base class
            raise ClassifierError(
                f"{self._name} failed for {clips[0].path or 'a clip'} ({reason_of(error)})",
                expected="probabilities",
                fix="check the model in onnxruntime",
            ) from None
        if found.ndim != 2 or len(found) != len(clips) or found.dtype.kind not in "fiu":
            raise ClassifierError(
                f"the output of {self.path} is {found.shape} for {clips[0].path or 'a clip'}",
                expected=f"({len(clips)}, {len(self.labels)}): (batch, label)",
            )
        return list(found.astype(np.float64))

    def _rate(self, text: str) -> int:
        rate_hz = int(text) if text.strip().isdecimal() else 0
        if rate_hz < 1:
            raise ClassifierError(
                f"{self._name} has the rate {text!r}" if text else f"{self._name} has no rate",
                expected=f"a rate in Hz in the metadata property {RATE_HZ}, or as an argument",
                fix="set this property of the model, or pass the rate",
            )
        return rate_hz


def profile_beside(path: Path) -> Path:
    """Return the file of the profile that belongs to a model: model.profile.json."""
    return path.with_name(f"{path.stem}.profile.json")


def checked_labels(labels: Sequence[Any], name: str) -> tuple[str, ...]:
    """Return labels as texts; raise ClassifierError if one is alone, empty or repeated."""
    texts = tuple(str(label) for label in labels)
    if texts and (len(texts) < 2 or "" in texts or len(set(texts)) < len(texts)):
        raise ClassifierError(
            f"the labels of {name} are {', '.join(map(repr, texts))}",
            expected="at least two different labels",
        )
    return texts


def _open(path: Path) -> Any:
    require_onnxruntime()
    if not path.is_file():
        raise ClassifierError(f"no file {path}", expected="an ONNX model", fix="check the path")
    return open_session(path)


def _listed(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text.split(",")
    names = [str(one).strip() for one in found] if isinstance(found, list) else []
    return [name for name in names if name]
