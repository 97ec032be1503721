"""``anymic export``: write a model as one ONNX file."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.printing import Outcome
from anymic.errors import Failure, counted


def export(
    model: Path,
    *,
    out: Path,
    clips: list[str] | None = None,
    windows: bool = False,
    embeddings: bool = False,
    transform: str = "auto",
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

    The exit status is 1 if some of --clips could not be read; they are listed.

    Example: anymic export run --out model.onnx
    """
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
        f"devices: 0 none{''.join(f', {n} {name}' for n, name in enumerate(found.devices, 1))}",
        f"largest difference of a probability: {found.difference:.2g} ({on}, every device)",
        f"next: anymic predict FILES --model {found.path}",
    ]
    return Outcome(as_plain(found), lines, failures, notes=found.notes)
