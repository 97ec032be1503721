"""``anymic train-head``: train a classifier on the embeddings of another model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anymic._internal.progress import progress_bar, track
from anymic.cli import options
from anymic.cli.evaluate import as_mapping, print_evaluation
from anymic.cli.inputs import require_choice
from anymic.cli.printing import command_line, failures_of, finish, note, print_json
from anymic.errors import ConfigError, Failure

if TYPE_CHECKING:
    from anymic.bundle import Bundle
    from anymic.data.embeddings import Vectors
    from anymic.data.manifest import Manifest
    from anymic.inference.embedding_head import VectorHead
    from anymic.inference.submission import Submission

WEIGHTS = (".pth", ".pt", ".safetensors", ".npz")  # of VGGish, where --model names no folder


def train_head(
    out: options.NewModel,
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
    from anymic.evaluation import evaluate as evaluation
    from anymic.training import TrainingConfig
    from anymic.training.embedding_heads import fit_vectors
    from anymic.training.heads import fit_head
    from anymic.training.loop.augmentation import Mixup

    config = TrainingConfig(
        network=_network(head),
        loss="cross_entropy",
        epochs=epochs,
        batch_size=batch,
        sampling="balanced" if balanced else "shuffled",
        mixup=Mixup(share=1.0, alpha=mixup) if mixup else None,
        monitor="loss",
        seed=seed,
    )
    vectors, clips = _input(data, model, embeddings)
    answers = _open_submission(unlabelled, submission, clips)
    if evaluate:
        clips = _with_test(clips, test_share, seed, out)
    trained: Bundle | VectorHead
    if vectors is not None:
        vectors = replace(vectors, clips=clips)
        trained = fit_vectors(vectors, config, out, segments=segments, hidden=hidden)
    else:
        assert model is not None
        embedder = _embedder(model)
        with progress_bar(len(clips), "embedding") as advance:
            trained = fit_head(
                clips,
                embedder,
                config,
                out,
                segments=segments,
                hidden=hidden,
                cache=cache,
                progress=advance,
            )
    facts = {key: trained.training[key] for key in ("clips", "examples", "kept_epoch", "best")}
    failures = failures_of(trained)
    outcome = {"out": str(out), "labels": list(trained.labels), **facts}
    if not as_json:
        print(
            f"{out}  {len(trained.labels)} labels, {facts['clips']} clips,"
            f" {facts['examples']} sequences; epoch {facts['kept_epoch']} of {epochs} kept"
        )
    if evaluate:
        found = evaluation.evaluate(out, vectors or clips, split="test", seed=seed)
        paths = found.write(out / "report", command=command_line())
        note(found.warning)
        failures += found.failures
        outcome["report"] = as_mapping(found, paths)
        if not as_json:
            print_evaluation(found, paths)
    if answers is not None:
        failures += _classify(unlabelled or [], out, answers)
        outcome["submission"] = str(submission)
        if not as_json:
            print(f"{submission}  the three best labels of each file")
    failed = {one.path: one for one in failures}  # a file may fail in training and evaluation
    if as_json:
        reasons = {path: one.reason for path, one in failed.items()}
        print_json({**outcome, "failures": reasons})
    finish(failed.values())


def _network(head: str) -> str:
    """Return the head's registered name: "lstm" is short for "lstm_head"."""
    from anymic import models

    heads = sorted(spec.name for spec in models.NETWORKS.specs() if spec.head)
    short = head.removesuffix("_head")
    require_choice("--head", short, [name.removesuffix("_head") for name in heads])
    return f"{short}_head"


def _input(
    data: Path | None, model: Path | None, embeddings: Path | None
) -> tuple[Vectors | None, Manifest]:
    """Return the given embeddings, if any, and the clips to train on."""
    from anymic.data.embeddings import read_vectors
    from anymic.data.reading import as_manifest

    if embeddings is not None and data is None and model is None:
        vectors = read_vectors(embeddings)
        return vectors, vectors.clips
    if embeddings is None and data is not None and model is not None:
        return None, as_manifest(data)
    raise ConfigError(
        "the input is unclear",
        expected="--data and --model, or --embeddings alone",
        fix="pass the clips and the model that embeds them, or their embeddings",
    )


def _open_submission(
    places: Sequence[str] | None, path: Path | None, clips: Manifest
) -> Submission | None:
    """Return the table of answers, if one is wanted; refuse it before anything is trained."""
    from anymic.inference.submission import Submission

    if places and path is not None:
        return Submission(path, clips.labels)
    if not places and path is None:
        return None
    given, missing = ("--predict", "--submission") if places else ("--submission", "--predict")
    raise ConfigError(
        f"{given} is given without {missing}",
        expected="both",
        fix="pass the files to classify, and the CSV file for the results",
    )


def _with_test(clips: Manifest, share: float, seed: int, out: Path) -> Manifest:
    """Return the clips with a split test, and write the table of them."""
    from anymic.data.splits import clips_of_split, set_test_aside

    if "split" in clips.table:
        clips_of_split(clips, "test", purpose="evaluate on")  # raises where there is none
    else:
        clips = set_test_aside(clips, share=share, seed=seed)
    clips.write(out / "clips.csv")
    return clips


def _embedder(model: Path) -> Bundle:
    """Return the model in a folder, or a VGGish of a file of weights."""
    from anymic.bundle import Bundle
    from anymic.importers.vggish import import_vggish

    weights = model.suffix in WEIGHTS and not model.is_dir()
    return import_vggish(model) if weights else Bundle.load(model)


def _classify(places: Sequence[str], model: Path, answers: Submission) -> list[Failure]:
    """Write the answers for files; return those that could not be used."""
    from anymic.inference.files import load_model, predict_files

    count, results = predict_files(load_model(model), places)
    failures = []
    for result in track(results, count, "predicting"):
        if isinstance(result, Failure):
            failures.append(result)
        else:
            answers.add(result)
    answers.write()
    return failures
