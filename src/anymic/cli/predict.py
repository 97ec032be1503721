"""``anymic predict``: classify audio files, one row a file."""

from __future__ import annotations

from pathlib import Path

from anymic._internal.progress import track
from anymic.cli.predict_rows import print_results, recorded
from anymic.cli.printing import exit_if_failed, note
from anymic.errors import ConfigError


def predict(
    paths: list[str],
    *,
    model: Path,
    device: str | None = None,
    together: bool = False,
    windows: bool = False,
    min_confidence: float = 0.0,
    top: int = 1,
    batch: int | None = None,
    accelerator: str = "auto",
    submission: Path | None = None,
    as_json: bool = False,
) -> None:
    """Classify audio files.

    A file longer than the model's clips is cut into windows, each is classified, and the mean of
    their probabilities decides. The notes list what was done to fit a file to the model (rate,
    channels, length). Where no device is stated, the model's identifier names it, if it has one.
    What is done with a file of unknown device is a setting of the model (`anymic devices policy`):
    it is not corrected, or corrected with gains estimated from its first half minute (with
    --together, from all such files), or refused.

    With --min-confidence 0.8, a file (or window) whose most probable label has less than 0.8 gets
    the answer "not sure"; the probability stays, and the notes name the label (in JSON, "answer"
    is null). `anymic calibrate` calibrates the probabilities; `anymic evaluate` measures how many
    clips are answered at such a threshold, and how well.

    A model of several labels a clip names the labels whose score reaches their threshold, with
    semicolons between them (in JSON, "labels" is a list): several, one, or none of them. --top 5
    then shows the five highest scores, whether they are named or not.

    Into a pipe, rows are tab-separated: file, label, probability, device, correction ("device
    stated: corrected", "device identified (0.98): corrected", "device unknown: not corrected") or
    "failed", and notes or the reason; --windows adds the window's start in seconds after the file,
    --top 3 adds two more pairs of label and probability.

    --submission FILE writes a CSV with the columns fname and label: the file's name, and its three
    most probable labels separated by spaces (Freesound General-Purpose Audio Tagging Challenge). A
    file that failed has no row in it.

    With a head on embeddings (`anymic train-head --embeddings`) the files are .npz of embeddings,
    as `anymic embed` writes them, and each of their paths is a row.

    The exit status is 1 if some files failed; the others' rows are complete.

    Example: anymic predict recordings/ --model run --device B
    """
    from anymic.inference.embedding_head import VectorHead
    from anymic.inference.files import load_model, predict_files
    from anymic.inference.prediction import require_share
    from anymic.inference.submission import Submission

    require_share(min_confidence, "min_confidence")
    loaded = load_model(model)
    answers = Submission(submission, loaded.labels) if submission else None
    if isinstance(loaded, VectorHead):
        _refuse_for_embeddings(device=device, together=together, windows=windows)
    elif device and loaded.devices and device not in loaded.devices:
        known = ", ".join(loaded.devices)
        note(f"{device} is none of the model's devices ({known})")
    count, results = predict_files(
        loaded,
        paths,
        device=device,
        together=together,
        batch_size=batch,
        accelerator=accelerator,
        min_confidence=min_confidence,
    )
    found = recorded(track(results, count, "predicting"), answers)
    exit_if_failed(print_results(found, windows=windows, top=top, as_json=as_json), count)


def _refuse_for_embeddings(**options: object) -> None:
    """Refuse options of audio, where there are only embeddings."""
    if given := [f"--{name}" for name, value in options.items() if value]:
        raise ConfigError(
            f"{' and '.join(given)} cannot be used with a head on embeddings",
            expected="a model of audio",
            fix="leave it out, or train with `anymic train-head --data --model`",
        )
