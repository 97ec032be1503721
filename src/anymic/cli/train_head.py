"""``anymic train-head``: a classifier on top of an embedding."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anymic.cli import options

if TYPE_CHECKING:
    from anymic.training import TrainingConfig


def train_head(
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    data: Annotated[
        Path | None, typer.Option(help="A manifest (CSV), or a folder of one folder per label.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="A VGGish: what `anymic import vggish` or `train` wrote. Or a model of basic1, "
            "basic2 or fcnn."
        ),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(
            help="In place of --data and --model: your own, an .npz of features, paths and labels "
            "as `anymic embed --data` writes it."
        ),
    ] = None,
    head: Annotated[str, typer.Option(help="attention, lstm or dense.")] = "attention",
    segments: Annotated[
        int, typer.Option(min=1, help="Segments of 0.96 s that it hears at once.")
    ] = 6,
    hidden: Annotated[int, typer.Option(min=1, help="Width of the head.")] = 600,
    epochs: Annotated[int, typer.Option(min=1, help="Times that it hears every clip.")] = 100,
    batch: Annotated[int, typer.Option(min=1, help="Sequences in a batch.")] = 64,
    mixup: Annotated[
        float, typer.Option(min=0, help="Alpha of mixup on the embeddings; 0 is none.")
    ] = 0.2,
    balanced: Annotated[
        bool, typer.Option("--balanced", help="As many clips of every label in each batch.")
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder of embeddings that several heads share. [default: OUT/features]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights, split, order and mixup.")] = 0,
    as_json: options.Outcome = False,
) -> None:
    """Train a classifier of clips of any length on the embeddings of their segments.

    Every clip is cut into windows of --segments segments; a shorter one is repeated. The
    embeddings are computed once, and the head learns on them: attention at three levels, an LSTM,
    or dense layers. What is written hears files as they are: `anymic predict` repeats what is
    short and averages the windows of what is long.

    With --embeddings the vectors of a path, in the order of starts_s, are the segments of a clip;
    what is written is the head alone, which Python hears vectors with (anymic.vectors).

    Example: anymic train-head --data sounds/ --model vggish --out tagger
    """
    from anymic.augment import Mixup
    from anymic.errors import ConfigError
    from anymic.training import TrainingConfig

    if (data is None, model is None) != ((embeddings is not None),) * 2:
        raise ConfigError(
            "no clear input",
            wanted="--data and --model, or --embeddings alone",
            remedy="name the clips and what embeds them, or their embeddings",
        )
    config = TrainingConfig(
        network=head if head.endswith("_head") else f"{head}_head",
        loss="cross_entropy",
        epochs=epochs,
        batch_size=batch,
        sampling="balanced" if balanced else "shuffled",
        mixup=Mixup(share=1.0, alpha=mixup) if mixup else None,
        monitor="loss",
        seed=seed,
    )
    if embeddings is not None:
        from anymic.vectors import fit_vectors, read_vectors

        found = fit_vectors(read_vectors(embeddings), config, out, segments=segments, hidden=hidden)
        labels: Sequence[str] = found.labels
        record = found.training
    else:
        assert data is not None
        assert model is not None
        labels, record = _on_clips(data, model, config, out, segments, hidden, cache)
    facts = {key: record[key] for key in ("clips", "examples", "kept_epoch", "best")}
    if as_json:
        print(json.dumps({"out": str(out), "labels": list(labels), **facts}))
    else:
        print(
            f"{out}  {len(labels)} labels, {facts['clips']} clips,"
            f" {facts['examples']} sequences; epoch {facts['kept_epoch']} of {epochs} kept"
        )


def _on_clips(
    data: Path,
    model: Path,
    config: TrainingConfig,
    out: Path,
    segments: int,
    hidden: int,
    cache: Path | None,
) -> tuple[Sequence[str], Mapping[str, Any]]:
    """Train on clips; return the labels and the record of the training."""
    from anymic import bundle as bundles
    from anymic.cli.inputs import progress_bar, read_manifest
    from anymic.errors import BundleError
    from anymic.tagging import fit_head

    embedder = bundles.load(model)
    if not isinstance(embedder, bundles.Bundle):
        raise BundleError("an ensemble", wanted="a single model", remedy="name one of its members")
    manifest = read_manifest(data)
    with progress_bar(len(manifest), "hearing") as advance:
        trained = fit_head(
            manifest,
            embedder,
            config,
            out,
            segments=segments,
            hidden=hidden,
            cache=cache,
            progress=advance,
        )
    return trained.labels, trained.training
