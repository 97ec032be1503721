"""From files to pooled features: what a network knows of a window before it names a label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from anymic._internal.files import atomic_file, write_arrays, write_text
from anymic.audio import Clip
from anymic.bundle import Bundle, Ensemble
from anymic.data.manifest import Manifest
from anymic.errors import AnymicError, BundleError, ConfigError, Failure
from anymic.features import Features
from anymic.inference.engine import Inference, Precision
from anymic.inference.predictor import Predictor
from anymic.inference.requests import Job, job_of, manifest_jobs
from anymic.models.fusion import FusedBasic, fuse

TENSORS, METADATA, PROJECTOR = "tensors.tsv", "metadata.tsv", "projector_config.pbtxt"
_PROJECTION = f"""embeddings {{
  tensor_name: "pooled features"
  tensor_path: "{TENSORS}"
  metadata_path: "{METADATA}"
}}
"""


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Pooled features of windows, and where each was heard.

    Attributes
    ----------
    features : array (window, channel), float32
        What the network's last layer classifies.
    paths : tuple of str
        The file of each window.
    starts_s : array (window,), float64
        Where in the file it begins, in seconds.
    rows : array (window,), int64
        The source of each window: its place in the list, or its row of the manifest.
    labels, devices, splits, groups : tuple of str, or None
        Of each window, "" where not known; None where not known of any.
    failures : tuple of Failure
        The sources that could not be used.
    """

    features: NDArray[np.float32]
    paths: tuple[str, ...]
    starts_s: NDArray[np.float64]
    rows: NDArray[np.int64]
    labels: tuple[str, ...] | None = None
    devices: tuple[str, ...] | None = None
    failures: tuple[Failure, ...] = ()
    splits: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None

    def clips(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the mean over each source's windows (clip, channel), and the sources (clip,)."""
        rows, first, counts = np.unique(self.rows, return_index=True, return_counts=True)
        if not len(rows):
            return np.empty((0, self.features.shape[1])), rows
        sums = np.add.reduceat(self.features.astype(np.float64), first, axis=0)
        return sums / counts[:, None], rows


class Pooling(Inference):
    """Answers with pooled features where `Inference` answers with probabilities."""

    def __init__(self, bundle: Bundle, *, precision: Precision, accelerator: str) -> None:
        super().__init__(bundle, precision=precision, accelerator=accelerator)
        self._frontend = self.frontends[0]
        network = fuse(bundle.network, dtype=self.dtype)
        self._network = network if self.place.type == "cpu" else network.to(self.place)

    @torch.inference_mode()
    def classify(self, features: Features) -> NDArray[np.float64]:
        """Return the pooled features (batch, channel)."""
        maps = self._frontend.maps(features[0].to(self.place))
        fused = isinstance(self._network, FusedBasic)
        with torch.autocast(
            self.place.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16 and not fused
        ):
            pooled = self.pooled(maps)
        result: NDArray[np.float64] = pooled.double().cpu().numpy()
        return result

    def pooled(self, maps: torch.Tensor) -> torch.Tensor:
        """Return what is kept of the network's input, (batch, channel)."""
        found: torch.Tensor = cast(Any, self._network).embed(maps)
        return found


class SequencePooling(Pooling):
    """Answers with the embeddings of the segments of a `Tagger`'s window, as its head trains."""

    def pooled(self, maps: torch.Tensor) -> torch.Tensor:
        """Return them side by side, (batch, segment * feature)."""
        found: torch.Tensor = cast(Any, self._network).sequence(maps).flatten(1)
        return found


class Embedder:
    """Hears files as `Predictor` does, and keeps the pooled features instead of probabilities.

    Windows, device gains and failures are those of a prediction. The last layer of `basic1` and
    `basic2`, applied to these features, gives the logits; `fcnn` pools behind its last layer, so
    its features are the means of the maps that this layer sees.

    Parameters
    ----------
    bundle : Bundle
        The model; it is not changed.
    batch_size, precision, accelerator
        As for `Predictor`.

    Raises
    ------
    BundleError
        As for `Predictor`, and if it is an ensemble: each member has features of its own.
    """

    pooling: type[Pooling] = Pooling

    def __init__(
        self,
        bundle: Bundle | Ensemble,
        *,
        batch_size: int | None = None,
        precision: Precision = "auto",
        accelerator: str = "auto",
    ) -> None:
        if isinstance(bundle, Ensemble):
            raise BundleError(
                f"an ensemble of {len(bundle.members)} models, each with features of its own",
                expected="a single model",
                fix="pass one of its members, such as the folder members/00 in it",
            )
        self._predictor = Predictor(
            bundle, batch_size=batch_size, precision=precision, accelerator=accelerator
        )
        self._predictor.model = self.pooling(bundle, precision=precision, accelerator=accelerator)
        self._clip_s = bundle.contract.clip_s

    def embed(
        self,
        sources: Sequence[str | Path | Clip],
        *,
        device: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Embeddings:
        """Hear files or clips.

        Parameters
        ----------
        sources : sequence of path or Clip
        device : str, optional
            What all of them were recorded with.
        progress : callable, optional
            Told the number of files done since the last call.
        """
        return self._gather([job_of(source, device) for source in sources], progress)

    def embed_manifest(
        self, manifest: Manifest, *, progress: Callable[[int], None] | None = None
    ) -> Embeddings:
        """Hear every clip of a manifest; its label goes along, its device, split and group.

        A row with `start_s` is that stretch of its file, as in `Predictor.predict_manifest`.
        """
        found = self._gather(manifest_jobs(manifest, self._clip_s), progress)
        known: dict[str, Any] = {
            f"{name}s": tuple(manifest.table[name].astype(str).iloc[found.rows])
            for name in ("label", "split", "group")
            if name in manifest.table.columns
        }
        return replace(found, **known)

    def _gather(
        self,
        jobs: Sequence[Job],
        progress: Callable[[int], None] | None,
    ) -> Embeddings:
        heard: list[tuple[int, Job]] = []
        failures = []
        for row, job in enumerate(self._predictor._run(jobs)):
            if job.failed is None:
                heard.append((row, job))
            else:
                failures.append(Failure(job.path, str(job.failed)))
            if progress is not None:
                progress(1)
        windows = [(row, job) for row, job in heard for _ in job.starts_s]
        devices = tuple(job.device or "" for _, job in windows)
        found = [window for _, job in heard for window in job.probabilities]
        return Embeddings(
            features=np.stack(found).astype(np.float32) if found else np.empty((0, 0), np.float32),
            paths=tuple(job.path for _, job in windows),
            starts_s=np.array([start for _, job in heard for start in job.starts_s]),
            rows=np.array([row for row, _ in windows], dtype=np.int64),
            devices=devices if any(devices) else None,
            failures=tuple(failures),
        )


class SequenceEmbedder(Embedder):
    """Keeps the sequence of embeddings that a `Tagger` hears of each window, before its head.

    `Embeddings.features` are (window, segment * feature).
    """

    pooling = SequencePooling


def write(embeddings: Embeddings, out: str | Path) -> Path:
    """Write features to a file or folder, by its name; each file appears whole or not at all.

    Parameters
    ----------
    embeddings : Embeddings
    out : path
        `.npz`: arrays features, paths, starts_s, and labels, devices, splits and groups where
        known. `.csv`: a window a row. A folder (no suffix, or one that is there): what
        TensorBoard's projector reads, `tensors.tsv`, `metadata.tsv` and `projector_config.pbtxt`.

    Raises
    ------
    ConfigError
        If the name says none of these.
    AnymicError
        If there is no window.
    """
    out = Path(out)
    kind = format_of(out)
    if not len(embeddings.paths):
        reason = embeddings.failures[0].reason if embeddings.failures else "no clip was given"
        raise AnymicError(
            f"no window with features ({reason})", expected="at least one", fix="mend the files"
        )
    known: dict[str, Any] = {"path": embeddings.paths, "start_s": embeddings.starts_s}
    known |= {"label": embeddings.labels} if embeddings.labels else {}
    known |= {"device": embeddings.devices} if embeddings.devices else {}
    known |= {"split": embeddings.splits} if embeddings.splits else {}
    known |= {"group": embeddings.groups} if embeddings.groups else {}
    if kind == "npz":
        arrays: dict[str, Any] = {"features": embeddings.features, "starts_s": embeddings.starts_s}
        arrays |= {f"{name}s": np.array(known[name]) for name in known if name != "start_s"}
        write_arrays(out, **arrays)
        return out
    numbers = pd.DataFrame(embeddings.features)
    if kind == "csv":
        numbers.columns = pd.Index([f"feature_{number}" for number in numbers])
        with atomic_file(out) as file:
            pd.concat([pd.DataFrame(known), numbers], axis=1).to_csv(file, index=False)
        return out
    with atomic_file(out / TENSORS) as file:
        numbers.to_csv(file, sep="\t", header=False, index=False)
    write_text(out / METADATA, _metadata(known))
    write_text(out / PROJECTOR, _PROJECTION)
    return out


def format_of(out: Path) -> Literal["npz", "csv", "projector"]:
    """Return what `write` makes of a place; ConfigError where its name says nothing."""
    if out.suffix in (".npz", ".csv") and not out.is_dir():
        return "npz" if out.suffix == ".npz" else "csv"
    if out.suffix not in (".npz", ".csv") and (out.is_dir() or not (out.suffix or out.exists())):
        return "projector"
    raise ConfigError(
        f"{out} to write to",
        expected="a file that ends in .npz or .csv, or a folder",
        fix="choose another name",
    )


def _metadata(known: Mapping[str, Iterable[Any]]) -> str:
    """Return a tab-separated table; the projector knows no quotes, so blanks become spaces."""
    rows = [tuple(known), *zip(*known.values(), strict=True)]
    lines = ["\t".join(" ".join(str(cell).split()) for cell in row) for row in rows]
    return "\n".join(lines) + "\n"
