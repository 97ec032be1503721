"""Import an embedding network of any origin: an ONNX file and what it expects."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anymic._internal.onnx_session import FLOAT, open_session, require_onnxruntime
from anymic._internal.process_state import left_as_found
from anymic._internal.reading import parsing
from anymic._internal.settings import from_mapping, of_file, read_yaml
from anymic.bundle import Bundle, InputContract
from anymic.bundle.targets import Targets
from anymic.errors import BundleError, ConfigError, counted
from anymic.features import Frontend, FrontendConfig
from anymic.models.onnx_network import OnnxFile, OnnxNetwork

MOST_AXES = 3  # (batch, 1, sample)
SUM = 1e-3  # the largest deviation of a sum of probabilities from 1


@dataclass(frozen=True)
class OnnxSettings:
    """What an ONNX embedding network expects, and how a file is cut for it.

    Attributes
    ----------
    rate_hz : int
        Of its input, the waveform, full scale 1.0.
    window_s : float
        Length of sound of one embedding.
    hop_s : float or None
        Distance between the starts of two windows; by default `window_s`.
    input, output : str
        Names in the model; by default its only input and its first output.
    labels : tuple of str
        Of a model that classifies by itself, in the order of `scores`.
    scores : str
        The output with the probability of each label.
    targets : {"several", "one"}
        With labels: whether each has its own probability, or those of all labels sum to 1.
    """

    rate_hz: int
    window_s: float
    hop_s: float | None = None
    input: str = ""
    output: str = ""
    labels: tuple[str, ...] = ()
    scores: str = ""
    targets: Targets = "several"

    def __post_init__(self) -> None:
        """Check the rate, the lengths, and that labels and scores come together."""
        InputContract(self.rate_hz, self.window_s, hop_s=self.hop_s)
        if self.labels and (len(self.labels) < 2 or len(set(self.labels)) < len(self.labels)):
            raise ConfigError(
                f"the labels are {', '.join(map(repr, self.labels))}",
                expected="at least two different labels",
                fix="name each output of the network once",
            )
        if bool(self.labels) != bool(self.scores):
            raise ConfigError(
                "labels and scores are not given together",
                expected="labels, and scores, the name of the output with their probabilities",
                fix="name the output as scores, or leave the labels out to use the embedding alone",
            )


@left_as_found()
def import_onnx(model: str | Path, settings: OnnxSettings | str | Path) -> Bundle:
    """Return a model that embeds by an ONNX network, and has its labels if they are listed.

    Heads are trained on it, and device gains are applied to the waveform before it. The bundle
    holds the content of the file.

    Parameters
    ----------
    model : path
        The .onnx file, with its weights in it. Its one input is float32: (sample,), (batch, sample)
        or (batch, 1, sample). Its output is a vector for each window.
    settings : OnnxSettings, or path of a YAML file of these

    Raises
    ------
    DependencyError
        If onnxruntime is not installed.
    BundleError
        If the file cannot be read, is not such a model, or needs too much time or memory.
    ConfigError
        If the settings cannot be used.
    """
    require_onnxruntime()
    path = Path(model)
    if not path.is_file():
        raise BundleError(f"no file {path}", expected="an ONNX model", fix="check the path")
    if not isinstance(settings, OnnxSettings):
        values = read_yaml(settings)
        with of_file(settings):
            settings = from_mapping(OnnxSettings, values)
    contract = InputContract(settings.rate_hz, settings.window_s, hop_s=settings.hop_s)
    fix = "export it again, as one file with its weights"
    with parsing(path, BundleError, expected="an ONNX model", fix=fix):
        content = path.read_bytes()
        session = open_session(path, content)
    file = OnnxFile(
        len(content),
        input=_input(session, settings, path),
        output=_named(session.get_outputs(), settings.output, "output", path),
    )
    file.content.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    arguments: dict[str, Any] = {
        "size": len(content),
        "input": file.input,
        "output": file.output,
        "embedding": _embedding(file, contract, session, path),
        "window_samples": contract.clip_samples,
        "hop_samples": contract.hop_samples,
    }
    if settings.scores:
        arguments["scores"] = _named(session.get_outputs(), settings.scores, "output", path)
        arguments["exclusive"] = settings.targets == "one"
    network = OnnxNetwork(classes=len(settings.labels), **arguments)
    network.file = file
    bundle = Bundle(
        network=network,
        frontend=Frontend(FrontendConfig(rate_hz=settings.rate_hz, bands=1, features="waveform")),
        labels=settings.labels,
        targets=settings.targets if settings.labels else "one",
        contract=contract,
        network_name="onnx",
        network_arguments=arguments,
        training={
            "imported": {
                "weights": path.name,
                "sha256": sha256(content).hexdigest(),
                "settings": asdict(settings),
            }
        },
    )
    with torch.inference_mode():
        try:
            network.embed(torch.zeros(2, 1, 1, contract.clip_samples))
            if settings.scores:
                _check_scores(file, settings, path)
        except ConfigError as error:
            raise BundleError(
                f"{path}: {error.problem}", expected=error.expected, fix=error.fix
            ) from None
    return bundle


def _check_scores(file: OnnxFile, settings: OnnxSettings, path: Path) -> None:
    """Raise BundleError unless noise and silence give a probability for each label."""
    samples = round(settings.window_s * settings.rate_hz)
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, samples))
    for wave in (noise.astype(np.float32), np.zeros((1, samples), np.float32)):
        (found,) = file(wave, settings.scores)
        fits = found.size == found.shape[-1] == len(settings.labels)
        inside = fits and ((found >= 0) & (found <= 1)).all()
        if not inside or (settings.targets == "one" and abs(found.sum() - 1) > SUM):
            values = f", from {found.min():.3g} to {found.max():.3g}" if found.size else ""
            raise BundleError(
                f"the output {settings.scores} of {path} is {found.shape} for a window{values}",
                expected=f"a probability for each label ({counted(len(settings.labels), 'label')})"
                + (", which sum to 1" if settings.targets == "one" else ""),
                fix="export the model with its sigmoid or softmax, or correct labels, scores and"
                " targets",
            )


def _input(session: Any, settings: OnnxSettings, path: Path) -> str:
    """Return the name of the input, which is the waveform; BundleError if it is not."""
    inputs = session.get_inputs()
    name = _named(inputs, settings.input, "input", path)
    shape = inputs[0].shape
    channels = len(shape) == MOST_AXES and isinstance(shape[1], int) and shape[1] != 1
    batch = len(shape) > 1 and isinstance(shape[0], int) and shape[0] != 1
    fits = len(inputs) == 1 and 1 <= len(shape) <= MOST_AXES and inputs[0].type == FLOAT
    if not fits or channels or batch:
        found = ", ".join(f"{one.name} {one.shape} {one.type}" for one in inputs)
        raise BundleError(
            f"{path} has the input {found}",
            expected="one input of float32, the waveform: (batch, sample), (batch, 1, sample) or "
            "(sample,), for any batch or one of 1",
            fix="export the model with its front-end",
        )
    samples = round(settings.window_s * settings.rate_hz)
    if isinstance(shape[-1], int) and shape[-1] != samples:
        raise BundleError(
            f"{path} takes {shape[-1]} samples, and window_s is {samples} samples",
            expected=f"window_s of {shape[-1] / settings.rate_hz:g}",
            fix="change window_s or rate_hz",
        )
    return name


def _named(known: Any, name: str, what: str, path: Path) -> str:
    names = [str(one.name) for one in known]
    if name and name not in names:
        raise BundleError(
            f"{path} has no {what} {name!r}",
            expected=f"one of {', '.join(names)}",
            fix=f"name one of them as {what}",
        )
    return name or names[0]


def _embedding(file: OnnxFile, contract: InputContract, session: Any, path: Path) -> int:
    """Return the size of the embedding of a window; BundleError if it is no vector."""
    with parsing(
        path, BundleError, expected="an embedding of a window", fix="check rate_hz and window_s"
    ):
        (found,) = file(np.zeros((1, contract.clip_samples), np.float32))
    if found.dtype.kind != "f" or found.size < 2 or found.size != found.shape[-1]:
        others = ", ".join(one.name for one in session.get_outputs())
        raise BundleError(
            f"the output {file.output} of {path} is {found.shape} {found.dtype} for a window",
            expected="a vector of floats: (batch, feature)",
            fix=f"choose another output (of {others}), or export the mean over time",
        )
    return int(found.size)
