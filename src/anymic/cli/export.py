"""``anymic export``: write a model as one ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anymic.cli.inputs import require_choice
from anymic.cli.printing import Outcome
from anymic.errors import ConfigError, Failure, counted

if TYPE_CHECKING:
    from anymic.exporters.quantization import Form


def export(
    model: Path,
    *,
    out: Path,
    clips: list[str] | None = None,
    windows: bool = False,
    embeddings: bool = False,
    transform: str = "auto",
    quantize: str | None = None,
    data: Path | None = None,
    float16: bool = False,
) -> Outcome:
    """Write a model as one ONNX file, from samples to probabilities.

    The file holds the front-end, the gains of all devices, the networks, their temperature and
    vote, and the calibrators. Its inputs are samples (batch, sample), float32 at the model's rate,
    and device (batch,), int64: 0 for no correction, else a number from the metadata property
    devices. Its answers are compared with those of the model; the largest difference of a
    probability is printed, and stored in the file.

    All of the samples are one window; with --windows they are cut as the model's contract says.
    The file does not identify devices and estimates no blind gains; a note says so. anymic predict
    --model model.onnx and anymic robustness --model model.onnx use the file. It needs onnx and
    onnxruntime: pip install 'anymic[onnx]'.

    --quantize int8 writes a smaller file: convolutions and products of the network in 8 bits, with
    the ranges that activations have for the clips of --data. --quantize dynamic measures the ranges
    at each run. --float16 lets the network compute in 16 bits. The front-end, its logarithm and
    the softmax stay float32; the answers are compared with those of the float32 file.

    The exit status is 1 if some of --clips or --data could not be read; they are listed.

    Example: anymic export run --out model.onnx
    """
    form = _form(quantize, data, float16=float16, clips=bool(clips))
    if form is not None:
        return _small(
            model, out, form, data, windows=windows, embeddings=embeddings, transform=transform
        )
    from anymic.data.files import find_files
    from anymic.exporters.onnx_file import as_plain
    from anymic.exporters.onnx_file import export as write

    given = find_files(clips) if clips else []
    files = [one for one in given if isinstance(one, Path)]
    failures = [one for one in given if isinstance(one, Failure)]
    found = write(
        model, out, clips=files, windows=windows, embeddings=embeddings, transform=transform
    )
    failures += found.failures
    on = counted(found.clips, "clip") if files else counted(found.clips, "generated clip")
    lines = [
        f"{found.path}: {found.size_bytes / 1000:.0f} kB, opset {found.opset}, transform "
        f"{found.transform}",
        _numbered(found.devices),
        f"largest difference of a probability: {found.difference:.2g} ({on}, every device)",
        f"next: anymic predict FILES --model {found.path}",
    ]
    return Outcome(as_plain(found), lines, failures, notes=found.notes)


def _numbered(devices: Sequence[str]) -> str:
    """Return the numbers of devices in the file's input."""
    return "devices: " + ", ".join(f"{n} {name}" for n, name in enumerate(("none", *devices)))


def _form(quantize: str | None, data: Path | None, *, float16: bool, clips: bool) -> Form | None:
    """Return the smaller form that is wanted, or None; refuse options that do not fit."""
    if quantize is not None:
        require_choice("--quantize", quantize, ("int8", "dynamic"))
    form: Form | None = "float16" if float16 else quantize  # type: ignore[assignment]
    problem = expected = ""
    if float16 and quantize is not None:
        problem, expected = f"--float16 and --quantize {quantize} are given", "one of them"
    elif (form == "int8") != (data is not None):
        problem = "--quantize int8 without --data" if data is None else "--data without int8"
        expected = "clips, such as those of the training, with --quantize int8 and only with it"
    elif form is not None and clips:
        problem, expected = f"--clips with {form}", "--clips for a file in float32"
    if problem:
        raise ConfigError(problem, expected=expected, fix="see anymic export --help")
    return form


def _small(
    model: Path,
    out: Path,
    form: Form,
    data: Path | None,
    *,
    windows: bool,
    embeddings: bool,
    transform: str,
) -> Outcome:
    """Write the file in a smaller form."""
    from anymic.exporters.small_file import as_plain, export_small

    stated = {} if transform == "auto" else {"transform": transform}
    small = export_small(
        model, out, form, data=data, windows=windows, embeddings=embeddings, **stated
    )
    found, agreed = small.exported, small.agreement
    lines = [
        f"{found.path}: {found.size_bytes / 1000:.0f} kB in {form}, of "
        f"{small.float32_bytes / 1000:.0f} kB in float32, transform {found.transform}",
        _numbered(found.devices),
        f"against float32: largest difference of a probability {agreed.largest:.2g}, "
        f"{100 * agreed.equal_labels:.1f} % equal labels ({counted(agreed.windows, 'window')} of "
        f"{agreed.on})",
    ]
    return Outcome(as_plain(small), lines, list(small.failures), notes=found.notes)
