"""``anymic train-head``: train a classifier on the embeddings of another model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymic._internal.progress import progress_bar, track
from anymic.cli.evaluate import as_mapping, evaluation_lines
from anymic.cli.inputs import require_both, require_choice
from anymic.cli.predict_rows import recorded
from anymic.cli.printing import Outcome, command_line, failures_of, note
from anymic.cli.settings import with_codecs
from anymic.errors import ConfigError, Failure, counted

if TYPE_CHECKING:
    from anymic.bundle import Bundle
    from anymic.data.embeddings import Vectors
    from anymic.data.manifest import Manifest
    from anymic.inference.embedding_head import VectorHead
    from anymic.inference.submission import Submission

WEIGHTS = (".pth", ".pt", ".safetensors", ".npz")  # of VGGish, where --model names no folder


def train_head(
    *,
    out: Path,
    data: Path | None = None,
    model: Path | None = None,
    embeddings: Path | None = None,
    head: str = "attention",
    segments: int | None = None,
    hidden: int | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    mixup: float | None = None,
    copies: int | None = None,
    codecs: str | None = None,
    balanced: bool = False,
    several: bool = False,
    cache: Path | None = None,
    evaluate: bool = False,
    test_share: float = 0.2,
    unlabelled: list[str] | None = None,
    submission: Path | None = None,
    seed: int = 0,
) -> Outcome:
    """Train a classifier of clips of any length on the embeddings of their segments.

    Every clip is cut into windows of --segments segments; a shorter one is repeated. The embeddings
    are computed once, and the head is trained on them: logistic regression, attention at three
    levels, an LSTM, or dense layers. The result classifies audio files: `anymic predict` repeats
    short files and averages over the windows of long ones.

    Where clips validate, every other head is compared with logistic regression on the same
    embeddings; a note states if that is better, and which settings may be the reason.

    With --evaluate the clips of the split test, or where there are no splits a fifth of each
    label's recordings, are not trained on but measure the tagger: accuracy and MAP@3, of all and of
    each class, in OUT/report; OUT/clips.csv lists them. With --predict and --submission it
    classifies other files. The exit status is 1 if some files failed; they are listed.

    Logistic regression is also trained on copies of each clip through random devices (--copies), so
    that it classifies recordings of unknown microphones better.

    With `--codecs any` every clip is also embedded through a few codecs, and the head trained on
    these embeddings too.

    With --several a clip may have several labels, separated by semicolons, or none.

    With --embeddings the vectors of a path, in the order of starts_s, are the segments of a clip;
    the result is the head alone, for `anymic predict` and `anymic evaluate` on embeddings.

    Example: anymic train-head --data sounds/ --model vggish --out tagger --evaluate
    """
    from anymic.data.splits import set_test_aside
    from anymic.evaluation import evaluate as evaluation
    from anymic.training.embedding_heads import fit_vectors
    from anymic.training.head_settings import head_config
    from anymic.training.heads import SEGMENTS, fit_head

    given = {"epochs": epochs, "batch_size": batch}
    changes = with_codecs({k: value for k, value in given.items() if value is not None}, codecs)
    if mixup is not None:
        changes["mixup"] = {"share": 1.0, "alpha": mixup} if mixup else None
    if copies is not None or embeddings is not None:  # embeddings have no audio to copy
        changes["random_devices"] = None if copies is None else {"copies": copies}
    if balanced:
        changes["sampling"] = "balanced"
    if several:
        changes["targets"] = "several"
    network = _network(head)
    vectors, clips = _input(data, model, embeddings, several=several)
    config = head_config(network, clips=len(clips), seed=seed, changes=changes)
    answers = _open_submission(unlabelled, submission, clips)
    if evaluate:
        clips = set_test_aside(clips, share=test_share, seed=seed)
        clips.write(out / "clips.csv")
    trained: Bundle | VectorHead
    if vectors is not None:
        vectors = replace(vectors, clips=clips)
        number = SEGMENTS if segments is None else segments
        trained = fit_vectors(vectors, config, out, segments=number, hidden=hidden)
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
    plain = {"out": str(out), "labels": list(trained.labels), **facts}
    lines = [
        f"{out}  {counted(len(trained.labels), 'label')}, {counted(facts['clips'], 'clip')},"
        f" {facts['examples']} sequences; {_trained(trained.training)}"
    ]
    if evaluate:
        found = evaluation.evaluate(out, vectors or clips, split="test", seed=seed)
        paths = found.write(out / "report", command=command_line())
        note(found.warning)
        failures += found.failures
        plain["report"] = as_mapping(found, paths)
        lines += evaluation_lines(found, paths)
    if answers is not None:
        failures += _classify(unlabelled or [], out, answers)
        plain["submission"] = str(submission)
        lines.append(f"{submission}  the three best labels of each file")
    failed = {one.path: one for one in failures}  # a file may fail in training and evaluation
    plain["failures"] = {path: one.reason for path, one in failed.items()}
    return Outcome(plain, lines, failed.values())


def _trained(record: Mapping[str, Any]) -> str:
    """Return how the head was trained: by epochs, or as logistic regression."""
    if (chosen := record.get("regularization")) is None:
        return f"epoch {record['kept_epoch']} of {record['epochs']} kept"
    return f"logistic regression with C = {chosen['C']:g}"


def _network(head: str) -> str:
    """Return the head's registered name: "lstm" is short for "lstm_head"."""
    from anymic.training.head_settings import heads

    require_choice("--head", head.removesuffix("_head"), heads())
    return heads()[head.removesuffix("_head")]


def _input(
    data: Path | None, model: Path | None, embeddings: Path | None, *, several: bool
) -> tuple[Vectors | None, Manifest]:
    """Return the given embeddings, if any, and the clips to train on."""
    from anymic.data.embeddings import read_vectors
    from anymic.data.reading import as_manifest

    if embeddings is not None and data is None and model is None:
        vectors = read_vectors(embeddings, several=several)
        return vectors, vectors.clips
    if embeddings is None and data is not None and model is not None:
        return None, as_manifest(data, several=several)
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

    require_both("--predict", places, "--submission", path)
    require_both("--submission", path, "--predict", places)
    return None if path is None else Submission(path, clips.labels)


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
    found = recorded(track(results, count, "predicting"), answers)
    return [result for result in found if isinstance(result, Failure)]
