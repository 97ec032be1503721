"""``anymic train-head``: train a classifier on the embeddings of another model."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from anymic.cli import options

if TYPE_CHECKING:
    from anymic.data.manifest import Manifest
    from anymic.inference.submission import Submission
    from anymic.training import TrainingConfig

WEIGHTS = (".pth", ".pt", ".safetensors", ".npz")  # of VGGish, where --model names no folder


def train_head(
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    data: Annotated[
        Path | None, typer.Option(help="A manifest (CSV), or a folder of one folder per label.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="A VGGish: what `anymic import vggish` or `train` wrote, or its public weights "
            "themselves. Or a model of basic1, basic2 or fcnn."
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
        int, typer.Option(min=1, help="Number of segments of 0.96 s in one input.")
    ] = 6,
    hidden: Annotated[int, typer.Option(min=1, help="Width of the head.")] = 600,
    epochs: Annotated[int, typer.Option(min=1, help="Number of epochs.")] = 100,
    batch: Annotated[int, typer.Option(min=1, help="Sequences in a batch.")] = 64,
    mixup: Annotated[
        float, typer.Option(min=0, help="Alpha of mixup on the embeddings; 0 is none.")
    ] = 0.2,
    balanced: Annotated[
        bool,
        typer.Option("--balanced", help="The same number of clips of every label in each batch."),
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder of embeddings that several heads share. [default: OUT/features]"),
    ] = None,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate",
            help="Then measure it on test clips that were not trained on: see `anymic evaluate`.",
        ),
    ] = False,
    test_share: Annotated[
        float,
        typer.Option(help="With --evaluate: share to set aside, where no split is named test."),
    ] = 0.2,
    unlabelled: Annotated[
        list[str] | None,
        typer.Option("--predict", metavar="PATH", help="Then classify these files, or folders."),
    ] = None,
    submission: Annotated[
        Path | None,
        typer.Option(help="With --predict: where to write their three best labels, for Kaggle."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, split, order and mixup.")] = 0,
    as_json: options.Outcome = False,
) -> None:
    """Train a classifier of clips of any length on the embeddings of their segments.

    Every clip is cut into windows of --segments segments; a shorter one is repeated. The embeddings
    are computed once, and the head is trained on them: attention at three levels, an LSTM, or dense
    layers. The result classifies audio files: `anymic predict` repeats short files and averages
    over the windows of long ones.

    With --evaluate the clips of the split test, or where there are no splits a fifth of each
    label's recordings, are not trained on but measure the tagger: accuracy and MAP@3, of all and of
    each class, in OUT/report; OUT/clips.csv lists them. With --predict and --submission it
    classifies other files. The exit status is 1 if some files failed; they are listed.

    With --embeddings the vectors of a path, in the order of starts_s, are the segments of a clip;
    the result is the head alone, for `anymic predict` and `anymic evaluate` on embeddings.

    Example: anymic train-head --data sounds/ --model vggish --out tagger --evaluate
    """
    from anymic.cli.evaluate import as_mapping, print_evaluation
    from anymic.cli.printing import command_line, note
    from anymic.data.embeddings import read_vectors
    from anymic.data.reading import as_manifest
    from anymic.errors import ConfigError
    from anymic.evaluation import evaluate as evaluation
    from anymic.training import TrainingConfig
    from anymic.training.embedding_heads import fit_vectors
    from anymic.training.loop.augmentation import Mixup

    if (data is None, model is None) != ((embeddings is not None),) * 2:
        raise ConfigError(
            "the input is unclear",
            expected="--data and --model, or --embeddings alone",
            fix="pass the clips and the model that embeds them, or their embeddings",
        )
    config = TrainingConfig(
        network=_head(head),
        loss="cross_entropy",
        epochs=epochs,
        batch_size=batch,
        sampling="balanced" if balanced else "shuffled",
        mixup=Mixup(share=1.0, alpha=mixup) if mixup else None,
        monitor="loss",
        seed=seed,
    )
    vectors = None if embeddings is None else read_vectors(embeddings)
    clips = as_manifest(cast(Path, data)) if vectors is None else vectors.clips
    answers = _open_submission(unlabelled, submission, clips)
    if evaluate:
        clips = _with_test(clips, test_share, seed, out)
    if vectors is not None:
        vectors = replace(vectors, clips=clips)
        trained = fit_vectors(vectors, config, out, segments=segments, hidden=hidden)
        labels: Sequence[str] = trained.labels
        record = trained.training
    else:
        labels, record = _on_clips(clips, cast(Path, model), config, out, segments, hidden, cache)
    facts = {key: record[key] for key in ("clips", "examples", "kept_epoch", "best")}
    failures = list(record.get("failures", ()))
    outcome: dict[str, Any] = {"out": str(out), "labels": list(labels), **facts}
    if not as_json:
        print(
            f"{out}  {len(labels)} labels, {facts['clips']} clips,"
            f" {facts['examples']} sequences; epoch {facts['kept_epoch']} of {epochs} kept"
        )
    if evaluate:
        found = evaluation.evaluate(
            out, clips if vectors is None else vectors, split="test", seed=seed
        )
        paths = found.write(out / "report", command=command_line())
        note(found.warning)
        failures += map(asdict, found.failures)
        outcome["report"] = as_mapping(found, paths)
        if not as_json:
            print_evaluation(found, paths)
    if answers is not None:
        failures += _answer(answers, out, unlabelled or [])
        outcome["submission"] = str(submission)
        if not as_json:
            print(f"{submission}  the three best labels of each file")
    _finish(outcome, failures, as_json=as_json)


def _head(name: str) -> str:
    """Return the head's registered name: "lstm" is short for "lstm_head"."""
    from anymic import models
    from anymic.errors import ConfigError

    heads = sorted(spec.name for spec in models.NETWORKS.specs() if spec.head)
    for known in (name, f"{name}_head"):
        if known in heads:
            return known
    short = ", ".join(head.removesuffix("_head") for head in heads)
    raise ConfigError(f"unknown --head {name}", expected=short, fix="choose one of them")


def _open_submission(
    places: Sequence[str] | None, path: Path | None, clips: Manifest
) -> Submission | None:
    """Return what takes the answers, if any are wanted; refuse it before anything is trained."""
    from anymic.errors import ConfigError
    from anymic.inference.submission import Submission

    if not places and path is None:
        return None
    if not places or path is None:
        raise ConfigError(
            "--predict is given without --submission"
            if places
            else "--submission is given without --predict",
            expected="both",
            fix="pass the files to classify, and the CSV file for the results",
        )
    return Submission(path, clips.labels)


def _with_test(clips: Manifest, share: float, seed: int, out: Path) -> Manifest:
    """Return the clips with a split test, and write down which they are."""
    from anymic.data.splits import set_test_aside
    from anymic.errors import ManifestError

    if "split" not in clips.table.columns:
        clips = set_test_aside(clips, share=share, seed=seed)
    elif not len(clips.where(split="test")):
        raise ManifestError(
            "no clip has the split 'test'",
            expected="clips to evaluate on, for --evaluate",
            fix="correct the column split, or leave it out to set some clips aside",
        )
    clips.write(out / "clips.csv")
    return clips


def _answer(answers: Submission, model: Path, places: list[str]) -> list[dict[str, str]]:
    """Write the submission; return the files that failed."""
    from anymic._internal.progress import progress_bar
    from anymic.errors import Failure
    from anymic.inference.files import load_model, predict_files

    count, results = predict_files(load_model(model), places)
    failed = []
    with progress_bar(count, "predicting") as advance:
        for result in results:
            if isinstance(result, Failure):
                failed.append(asdict(result))
            else:
                answers.add(result)
            advance(1)
    answers.write()
    return failed


def _finish(outcome: dict[str, Any], failures: list[dict[str, str]], *, as_json: bool) -> None:
    """List what failed, and end as that asks for."""
    failed = {one["path"]: one["reason"] for one in failures}
    for path, reason in failed.items():
        print(f"failed: {path}: {reason}", file=sys.stderr)
    if as_json:
        print(json.dumps({**outcome, "failures": failed}, allow_nan=False))
    if failed:
        raise typer.Exit(1)


def _on_clips(
    manifest: Manifest,
    model: Path,
    config: TrainingConfig,
    out: Path,
    segments: int,
    hidden: int,
    cache: Path | None,
) -> tuple[Sequence[str], Mapping[str, Any]]:
    """Train on clips; return the labels and the record of the training."""
    from anymic import bundle as bundles
    from anymic._internal.progress import progress_bar
    from anymic.errors import BundleError
    from anymic.importers.vggish import import_vggish
    from anymic.training.heads import fit_head

    weights = model.suffix in WEIGHTS and not model.is_dir()
    embedder = import_vggish(model) if weights else bundles.load(model)
    if not isinstance(embedder, bundles.Bundle):
        raise BundleError(
            "the model is an ensemble", expected="a single model", fix="pass one of its members"
        )
    with progress_bar(len(manifest), "embedding") as advance:
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
