"""Write a model as one ONNX file, from samples to probabilities."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anymic import bundle as bundles
from anymic._internal import settings
from anymic._internal.files import write_bytes
from anymic._internal.onnx_session import require_onnxruntime
from anymic._internal.optional import extra
from anymic._internal.process_state import default_torch
from anymic._version import commit, version
from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble
from anymic.bundle.targets import thresholds_of
from anymic.errors import BundleError, ConfigError, Failure, counted
from anymic.exporters import parity
from anymic.exporters.choosing import fastest
from anymic.exporters.features import FrontendNodes
from anymic.exporters.graph import OPSET, Graph
from anymic.exporters.networks import Made, network_nodes
from anymic.exporters.probabilities import ProbabilityNodes
from anymic.exporters.transforms import TRANSFORMS, Transform
from anymic.exporters.windows import WindowNodes
from anymic.inference.embedding_head import FOLDER
from anymic.models import NETWORKS
from anymic.models.registry import as_network

AUTO = "auto"
LARGEST_DIFFERENCE = 1e-3  # of a probability: a larger one is no rounding error


@dataclass(frozen=True)
class Exported:
    """What `export` wrote.

    Attributes
    ----------
    path : Path
    difference : float
        The largest difference of a probability between the file and the model, over all devices.
    clips : int
        The number of clips that they were compared on.
    devices : tuple of str
        Their numbers in the input `device` begin at 1.
    transform : Transform
        How the Fourier transform is written.
    opset : int
        The version of the operators of ONNX.
    size_bytes : int
    notes : tuple of str
        What the file does not do, which the model does.
    failures : tuple of Failure
        The given clips that could not be read.
    """

    path: Path
    difference: float
    clips: int
    devices: tuple[str, ...]
    transform: Transform
    opset: int
    size_bytes: int
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()


@default_torch()
def export(
    model: Bundle | Ensemble | str | Path,
    out: str | Path,
    *,
    clips: Sequence[str | Path | Clip] = (),
    windows: bool = False,
    embeddings: bool = False,
    transform: str = AUTO,
) -> Exported:
    """Write a model as an ONNX file with everything inside, and compare their answers.

    The file has the inputs `samples` (batch, sample), float32, full scale 1, mono, at the model's
    rate, and `device` (batch,), int64: 0 for no correction, else 1 and the place of the device in
    the metadata property `devices`. Its output is `probabilities` (batch, label), after gains,
    features, networks, temperature, vote and calibrator. All of the samples are one window.

    Parameters
    ----------
    model : Bundle, Ensemble or path
    out : path
        The .onnx file.
    clips : sequence of paths or clips, optional
        What the answers are compared on; by default sounds that are generated.
    windows : bool
        Whether the file cuts the samples into the windows of the model's contract, and takes the
        mean of their probabilities, as `Predictor` does. Models of fixed patches always do.
    embeddings : bool
        Whether it also has the output `embeddings` (batch, feature), as of `Embedder`.
    transform : {"auto", "factored", "dense", "dft"}
        How the Fourier transform is written; "auto" is what is faster in onnxruntime here.

    Returns
    -------
    anymic.exporters.onnx_file.Exported
        The `path` of the file, and `difference`, the largest one between a probability of the file
        and of the model.

    Raises
    ------
    BundleError
        If the model cannot be read or exported, or the file's answers differ.
    ConfigError
        If an argument is none of those it can be.
    DependencyError
        If onnx or onnxruntime is not installed.

    Examples
    --------
    >>> import anymic
    >>> exported = anymic.export("run", "model.onnx")
    >>> exported.difference < 1e-3  # of probabilities, between the file and the model
    True
    """
    with extra("onnx"):
        import onnx  # noqa: F401
    require_onnxruntime()
    out = Path(out)
    bundle = _loaded(model)
    _check(bundle, out, transform, embeddings=embeddings)
    windows = windows or _has_patches(bundle)
    make = _Maker(bundle, windows=windows, embeddings=embeddings)
    chosen = fastest(bundle, make) if transform == AUTO else _as_transform(transform)
    content = make(chosen).SerializeToString()
    found = parity.compare(content, bundle, make.devices, clips, windows=windows)
    if not found.difference <= LARGEST_DIFFERENCE:
        raise BundleError(
            f"the answers of the exported model differ by {found.difference:.2g}",
            expected=f"at most {LARGEST_DIFFERENCE:g}",
            fix="use the model in Python",
        )
    stated = {"parity": json.dumps({"largest_difference": found.difference, "clips": found.clips,
                                    "on": found.on})}  # fmt: skip
    content = make(chosen, stated).SerializeToString()
    write_bytes(out, content)
    return Exported(
        out,
        found.difference,
        found.clips,
        make.devices,
        chosen,
        OPSET,
        len(content),
        make.notes,
        found.failures,
    )


class _Maker:
    """Makes the ONNX model of a bundle."""

    def __init__(self, bundle: Bundle | Ensemble, *, windows: bool, embeddings: bool) -> None:
        self.bundle, self.windows, self.embeddings = bundle, windows, embeddings
        own = bundle.calibration.devices_ if bundle.calibration else {}
        self.devices = (*bundle.devices, *(name for name in own if name not in bundle.devices))
        self.notes = _notes(bundle)
        self._made: Made = {}

    def __call__(self, transform: Transform, stated: dict[str, str] | None = None) -> Any:
        """Return the model."""
        bundle, graph = self.bundle, Graph()
        samples, device = "samples", "device"
        cut = WindowNodes(graph, samples, bundle.contract) if self.windows else None
        if cut is not None:
            samples, device = cut.samples, cut.of_each(device)
        frontends = FrontendNodes(graph, samples, device, self.devices, transform)
        answers = ProbabilityNodes(graph, bundle)
        found = [
            network_nodes(
                graph,
                member,
                frontends.maps(member.frontend),
                made=self._made,
                embeddings=self.embeddings,
            )
            for member in answers.members
        ]
        p = answers.vote([one.logits for one in found])
        outputs: dict[str, tuple[str, list[Any]]] = {}
        if cut is not None:
            p = cut.mean(p, len(bundle.labels))
        calibrated = answers.calibrate(p, "device", self.devices)
        axes = ["batch", len(bundle.labels)]
        outputs["probabilities"] = answers.single(calibrated), axes
        if bundle.calibration is not None:
            outputs["uncalibrated"] = answers.single(p), axes
        if self.embeddings:
            embedding, size = found[0].embedding, _embedding_size(answers.members[0])
            if cut is not None:
                embedding = cut.mean(embedding, size)
            outputs["embeddings"] = embedding, ["batch", size]
        inputs = {
            "samples": (np.float32, ["batch", "sample"]),
            "device": (np.int64, ["batch"]),
        }
        return graph.model(inputs, outputs, {**self._metadata(transform), **(stated or {})})

    def _metadata(self, transform: Transform) -> dict[str, str]:
        bundle, contract = self.bundle, self.bundle.contract
        several = bundle.targets == "several"
        found = {
            "labels": list(bundle.labels),
            "rate_hz": contract.rate_hz,
            "clip_s": contract.clip_s,
            "devices": list(self.devices),
            "corrected_devices": list(bundle.devices),
            "blind_devices": list(bundle.blind_devices),
            "targets": bundle.targets,
            "thresholds": thresholds_of(bundle.thresholds, len(bundle.labels)) if several else None,
            "contract": settings.to_mapping(contract),
            "windows": self.windows,
            "shortest_samples": bundle.members[0].frontend.config.fft_size,
            "calibration": _calibration(bundle),
            "transform": transform,
            "opset": OPSET,
            "anymic": version(),
            "commit": commit(),
            "notes": list(self.notes),
        }
        return {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in found.items()
        }


def _loaded(model: Bundle | Ensemble | str | Path) -> Bundle | Ensemble:
    if not isinstance(model, str | Path):
        return model
    if (Path(model) / FOLDER.index).is_file():
        raise BundleError(
            f"the model {model} is a head on embeddings, which takes no samples",
            expected="a model of audio",
            fix="train one with `anymic train` and an extractor, which holds both",
        )
    return bundles.load(model)


def _check(bundle: Bundle | Ensemble, out: Path, transform: str, *, embeddings: bool) -> None:
    if transform != AUTO:
        _as_transform(transform)
    if out.suffix != ".onnx":
        raise ConfigError(
            f"the file {out} is no .onnx file",
            expected="a name that ends in .onnx",
            fix="change the name",
        )
    if not bundle.labels:
        raise BundleError(
            "the model has no labels and only calculates embeddings",
            expected="a classifier",
            fix="train a head on its embeddings with `anymic train` and an extractor",
        )
    if embeddings and isinstance(bundle, Ensemble):
        raise BundleError(
            f"the model is an ensemble of {counted(len(bundle.members), 'model')} with different"
            " embeddings",
            expected="a single model",
            fix="export one of its members, such as its folder members/00",
        )
    for member in bundle.members:
        if member.frontend.config.features == "waveform":
            raise BundleError(
                "the model's network is an ONNX file of its own, of waveforms",
                expected="a network that anymic trains",
                fix="use the model in Python, or the ONNX file that was imported",
            )


def _as_transform(name: str) -> Transform:
    for one in TRANSFORMS:
        if one == name:
            return one
    raise ConfigError(
        f"the transform is {name}",
        expected=f"one of {', '.join((AUTO, *TRANSFORMS))}",
        fix="choose one of them",
    )


def _has_patches(bundle: Bundle | Ensemble) -> bool:
    """Return whether some network takes inputs of one length only."""
    names = [(one.network_name, one.network) for one in bundle.members]
    return any(
        NETWORKS.get(name).of(network).patch is not None
        for name, network in names
        if name in NETWORKS
    )


def _notes(bundle: Bundle | Ensemble) -> tuple[str, ...]:
    """Return what the model does with unknown devices and the file does not."""
    found = []
    if bundle.identifier is not None:
        found.append("the file does not identify devices: state them, or they are not corrected")
    if bundle.contract.unknown_device == "blind":
        found.append("the file estimates no blind gains: unknown devices are not corrected")
    return tuple(found)


def _embedding_size(model: Bundle) -> int:
    """Return the number of values of an embedding, which not every network states."""
    shape = model.frontend.config.input_shape(model.contract.clip_samples)
    network = as_network(model.network).eval()
    with torch.inference_mode():
        return int(network.embed(torch.zeros(1, *shape)).flatten(1).shape[1])


def _calibration(bundle: Bundle | Ensemble) -> Any:
    """Return the calibrator as JSON values, for the mean over windows outside the file."""
    if bundle.calibration is None:
        return None
    record, arrays = bundle.calibration.to_parts()
    return {
        "record": {**record, "fitted_on": []},
        "arrays": {name: value.tolist() for name, value in arrays.items()},
    }


def as_plain(found: Exported) -> dict[str, Any]:
    """Return what was exported as plain JSON values."""
    return {
        **asdict(found),
        "path": str(found.path),
        "devices": list(found.devices),
        "notes": list(found.notes),
        "failures": [asdict(one) for one in found.failures],
    }
