"""``anymic embed``: the pooled features of each window, for other tools."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from anymic._internal.progress import growing_bar
from anymic.cli.inputs import require_both
from anymic.cli.printing import Outcome, failures_as_json
from anymic.errors import ConfigError

if TYPE_CHECKING:
    from anymic.data.manifest import Manifest


def embed(
    paths: list[str] | None = None,
    *,
    model: Path,
    out: Path,
    format: str | None = None,
    data: Path | None = None,
    split: str | None = None,
    device: str | None = None,
    batch: int | None = None,
    accelerator: str = "auto",
    workers: int = 1,
    ray: str | None = None,
) -> Outcome:
    """Write the network's pooled features of each window.

    These are 64 numbers with the network basic1. Use them to search for similar sounds, to cluster,
    or to train another classifier. Files are cut into windows and corrected as by `anymic predict`.
    With --data, label, device, split and group are written too.

    features.npz holds the arrays features, paths, starts_s, and labels, devices, splits and groups
    where known; features.csv has one window in each row; a folder opens in TensorBoard's projector,
    or with --format npz or csv has shards of about 100 MB, of which one is in memory at a time.

    A journal beside the output keeps what is done: a run that is interrupted, and repeated, goes on
    there, and --workers 4 computes in four processes (as with `anymic predict --out`).

    The exit status is 1 if some files failed; they are listed, and the others are complete.

    Example: anymic embed recordings/ --model run --out features.npz
    """
    if workers > 1:
        from anymic._internal.processes import prepare_processes

        prepare_processes()
    from anymic._internal.folder_lock import folder_lock
    from anymic.inference.embedding_files import format_of
    from anymic.inference.embedding_run import embed_recordings
    from anymic.inference.spreading import Spreading

    _refuse_unclear(paths, data, split, device)
    places = _manifest(data, split) if data is not None else paths or []
    kind, in_shards = format_of(out, format)
    held = folder_lock(out) if in_shards or kind == "projector" else nullcontext()
    with held, growing_bar("embedding") as progress:
        done = embed_recordings(
            model,
            places,
            out,
            kind=format,
            device=device,
            batch_size=batch,
            accelerator=accelerator,
            spreading=Spreading(workers, ray),
            progress=progress,
        )
    outcome = {
        "out": str(out),
        "windows": done.windows,
        "features": done.channels,
        "failures": failures_as_json(done.failures),
    }
    line = f"{out}  {done.windows} windows, {done.channels} features each"
    return Outcome(outcome, [line], done.failures, files=done.clips)


def _refuse_unclear(
    paths: list[str] | None, data: Path | None, split: str | None, device: str | None
) -> None:
    if bool(paths) == (data is not None):
        raise ConfigError(
            "both paths and --data are given" if paths else "neither paths nor --data are given",
            expected="one of them",
            fix="pass the files, or a manifest of them",
        )
    if device is not None and data is not None:
        raise ConfigError(
            "--device is given with --data", expected="one of them", fix="leave --device out"
        )
    require_both("--split", split, "--data", data)


def _manifest(data: Path, split: str | None) -> Manifest:
    from anymic.data.reading import as_manifest
    from anymic.data.splits import clips_of_split

    manifest = as_manifest(data, several=None)
    return manifest if split is None else clips_of_split(manifest, split, purpose="embed")
