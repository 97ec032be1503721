"""``anymic train-head``: a classifier on top of an embedding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def train_head(
    data: Annotated[
        Path, typer.Option(help="A manifest (CSV), or a folder of one folder per label.")
    ],
    model: Annotated[
        Path, typer.Option(help="A VGGish: what `anymic import vggish` or `train` wrote.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
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
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Train a classifier of clips of any length on the embeddings of their segments.

    Every clip is cut into windows of --segments segments; a shorter one is repeated. The
    embeddings are computed once, and the head learns on them: attention at three levels, an LSTM,
    or dense layers. What is written hears files as they are: `anymic predict` repeats what is
    short and averages the windows of what is long.

    Example: anymic train-head --data sounds/ --model vggish --out tagger
    """
    from anymic import bundle as bundles
    from anymic.augment import Mixup
    from anymic.cli.inputs import progress_bar, read_manifest
    from anymic.errors import BundleError
    from anymic.tagging import fit_head
    from anymic.training import TrainingConfig

    embedder = bundles.load(model)
    if not isinstance(embedder, bundles.Bundle):
        raise BundleError("an ensemble", wanted="a single VGGish", remedy="name one of its members")
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
    facts = {key: trained.training[key] for key in ("clips", "examples", "kept_epoch", "best")}
    if as_json:
        print(json.dumps({"out": str(out), "labels": list(trained.labels), **facts}))
    else:
        print(
            f"{out}  {len(trained.labels)} labels, {facts['clips']} clips,"
            f" {facts['examples']} sequences; epoch {facts['kept_epoch']} of {epochs} kept"
        )
