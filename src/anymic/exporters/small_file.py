"""Export a model in a smaller form, and compare its answers with those in float32."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anymic._internal.files import atomic_path
from anymic._internal.onnx_session import load_session
from anymic._internal.optional import extra
from anymic.bundle import Bundle, Ensemble, InputContract
from anymic.bundle import load as load_bundle
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.errors import ConfigError, Failure, attempt
from anymic.exporters.onnx_file import Exported, export
from anymic.exporters.onnx_file import as_plain as exported_as_plain
from anymic.exporters.parity import built_in
from anymic.exporters.quantization import Form, Inputs, quantize
from anymic.exporters.transforms import fitting
from anymic.inference.requests import ClipRequest, manifest_requests
from anymic.inference.windowing import Window, cut

MOST_WINDOWS = 128  # that ranges are measured on, and answers are compared on


@dataclass(frozen=True)
class Agreement:
    """How far the answers of a smaller form are from those in float32.

    Attributes
    ----------
    windows : int
        The windows that were compared.
    on : str
        What they are of: "given clips" or "generated clips".
    largest : float
        The largest difference of a probability.
    equal_labels : float
        The share of windows with the same label.
    """

    windows: int
    on: str
    largest: float
    equal_labels: float


@dataclass(frozen=True)
class SmallExport:
    """What was written: the smaller form, its agreement, and the export it was made of.

    Attributes
    ----------
    exported : Exported
        Of the float32 form; its path and size are those of the smaller form.
    form : {"int8", "dynamic", "float16"}
    agreement : Agreement
    float32_bytes : int
        The size of the float32 form.
    failures : tuple of Failure
        Clips of `data` that could not be read.
    """

    exported: Exported
    form: Form
    agreement: Agreement
    float32_bytes: int
    failures: tuple[Failure, ...]


def export_small(
    model: Bundle | Ensemble | str | Path,
    out: str | Path,
    form: Form,
    *,
    data: Manifest | str | Path | None = None,
    **settings: Any,
) -> SmallExport:
    """Write a model as an ONNX file in int8 or float16; see `quantize`.

    Parameters
    ----------
    model : Bundle, Ensemble or path
    out : path
        The .onnx file.
    form : {"int8", "dynamic", "float16"}
    data : Manifest or path, optional
        Clips from which int8 takes the ranges of activations, with the column `device` where it is
        known: at most 128 windows of clips that are evenly spread over the table. Clips of the
        split test are left out. The answers are compared on the same windows; without `data` on
        generated sounds.
    **settings
        Those of `export`. The transform is the smallest that is exact, the operator of ONNX where
        the size is a power of two, unless it is stated.

    Raises
    ------
    ConfigError
        As of `quantize` and `export`, and if every clip of `data` is of the split test.
    BundleError
        As of `export`.

    Examples
    --------
    >>> small = export_small("run", "small.onnx", "int8", data="clips.csv")  # doctest: +SKIP
    >>> small.agreement.equal_labels  # doctest: +SKIP
    1.0
    """
    with extra("onnx"):
        import onnx
    bundle = model if isinstance(model, Bundle | Ensemble) else load_bundle(model)
    table = None if data is None else as_manifest(data, several=None)
    suits = all("dft" in fitting(one.frontend.config) for one in bundle.members)
    settings = {"transform": "dft" if suits else "factored", **settings}
    with atomic_path(out) as place:  # float32 stands there until the smaller form replaces it
        beside = place.with_suffix(".onnx")
        exported = export(bundle, beside, **settings)
        plain = onnx.load(beside)
        beside.unlink()
        clips = None if table is None else RunsOfClips(bundle, table, exported.devices)
        quantize(plain, place, form, calibration=clips if form == "int8" else None)
        runs: Iterable[Inputs] = clips if clips is not None else _generated(bundle)
        on = "given clips" if clips is not None else "generated clips"
        found = agreement(plain.SerializeToString(), place.read_bytes(), runs, on=on)
    size = Path(out).stat().st_size
    failures = () if clips is None else tuple(clips.failures)
    changed = {**vars(exported), "path": Path(out), "size_bytes": size}
    return SmallExport(Exported(**changed), form, found, exported.size_bytes, failures)


@dataclass
class RunsOfClips:
    """The windows of clips as inputs of an exported model, one at a time, each time it is read.

    Attributes
    ----------
    bundle : Bundle or Ensemble
    clips : Manifest
        Those of the split test are left out.
    devices : sequence of str
        In the order of the exported model: the first one is 1.
    failures : list of Failure
        The clips that could not be read.
    """

    bundle: Bundle | Ensemble
    clips: Manifest
    devices: Sequence[str]
    failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Leave out the clips of the split test."""
        if "split" in self.clips.table:
            self.clips = self.clips.rows(np.flatnonzero(self.clips.table["split"] != "test"))
        if not len(self.clips):
            raise ConfigError(
                "every clip is of the split test",
                expected="clips that the model is not tested on",
                fix="give those of the training split",
            )

    def __iter__(self) -> Iterator[Inputs]:
        """Yield samples (1, sample) and device (1,)."""
        self.failures.clear()
        contract, count = self.bundle.contract, 0
        requests = manifest_requests(self.clips, contract.clip_s)
        step = max(1, len(requests) // MOST_WINDOWS)
        numbers = {name: number for number, name in enumerate(self.devices, start=1)}
        for request in requests[::step]:
            windows = attempt(request.path, _windows, request, contract)
            if isinstance(windows, Failure):
                self.failures.append(windows)
                continue
            device = np.array([numbers.get(request.device or "", 0)], dtype=np.int64)
            for samples in windows[: MOST_WINDOWS - count]:
                count += 1
                yield {"samples": samples[None], "device": device}


def agreement(one: bytes, other: bytes, runs: Iterable[Inputs], *, on: str) -> Agreement:
    """Compare the first outputs (batch, label) of two models, given as their files' bytes."""
    sessions = [load_session(content, threads=1) for content in (one, other)]
    largest, equal, windows = 0.0, 0, 0
    for inputs in runs:
        first, second = (session.run(None, dict(inputs))[0] for session in sessions)
        largest = max(largest, float(np.abs(first - second).max()))
        equal += int((first.argmax(axis=1) == second.argmax(axis=1)).sum())
        windows += len(first)
    return Agreement(windows, on, largest, equal / max(windows, 1))


def _generated(bundle: Bundle | Ensemble) -> list[Inputs]:
    samples = built_in(bundle)
    return [{"samples": samples, "device": np.zeros(len(samples), dtype=np.int64)}]


def _windows(request: ClipRequest, contract: InputContract) -> list[Any]:
    items = cut(
        request.source,
        contract,
        start_s=request.start_s,
        duration_s=request.duration_s,
        most_s=request.most_s,
    )
    return [item.samples for item in items if isinstance(item, Window)]


def as_plain(small: SmallExport) -> dict[str, Any]:
    """Return what was written as plain JSON values."""
    return {
        **exported_as_plain(small.exported),
        "form": small.form,
        "agreement": asdict(small.agreement),
        "float32_bytes": small.float32_bytes,
        "failures": [asdict(one) for one in small.failures],
    }
