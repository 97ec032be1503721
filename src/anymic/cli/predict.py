"""``anymic predict``: a row a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anymic.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from anymic.bundle import Bundle, Ensemble
    from anymic.errors import Failure
    from anymic.inference.embedding_head import VectorHead
    from anymic.inference.prediction import Prediction
    from anymic.inference.predictor import Predictor

NOT_SURE = "not sure"
HEADS = ("file", "label", "probability", "device", "how it is known", "notes")


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders, or patterns such as 'in/*.wav'."),
    ],
    model: Annotated[Path, typer.Option(help="The model: the folder that `anymic train` wrote.")],
    device: Annotated[
        str | None, typer.Option(help="What the files were recorded with, as the model names it.")
    ] = None,
    together: Annotated[
        bool,
        typer.Option(
            "--together",
            help="Files of unknown device are all of one device: estimate its gains from all.",
        ),
    ] = False,
    windows: Annotated[
        bool, typer.Option("--windows", help="A row for each window of a long file.")
    ] = False,
    min_confidence: Annotated[
        float,
        typer.Option(help="Answer 'not sure' where the best label's probability is below this."),
    ] = 0.0,
    top: Annotated[int, typer.Option(min=1, help="The most probable so many labels.")] = 1,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Windows in one pass of the network. [default: 4 to 32]"),
    ] = None,
    accelerator: Annotated[
        str, typer.Option(help="auto, cpu or cuda; auto is a GPU where there is one.")
    ] = "auto",
    submission: Annotated[
        Path | None,
        typer.Option(help="Also write the three best labels of each file, as Kaggle takes them."),
    ] = None,
    as_json: options.Rows = False,
) -> None:
    """Say what is heard in audio files.

    A file longer than the model's clips is cut into windows, read one by one, and the mean of
    their probabilities decides. What was done to fit a file to the model (rate, channels, length)
    is in its notes. Where no device is stated the model names it, if it was given an identifier. An
    unknown device is heard as it is, with gains estimated from the file's first half minute
    (blind; with --together, from all such files), or refused, as the model says: see `anymic
    devices policy`.

    With --min-confidence 0.8, a file (or window) whose most probable label has less than 0.8 is
    answered with "not sure"; the probability stays, and the notes name that label (in JSON,
    "answer" is null). How sure a model may be is made right by `anymic calibrate`;
    how much is answered at such a threshold, and how well, says `anymic evaluate`.

    Into a pipe, rows are tab-separated: file, label, probability, device, how the device is known
    and what was done about it ("stated: profile", "identified 0.98: profile", "assumed: identity")
    or "failed", and notes or the reason; --windows puts the window's start in seconds behind the
    file, --top 3 adds two more pairs of label and probability.

    --submission FILE writes a CSV with the columns fname and label: the file's name, and its three
    most probable labels divided by spaces (Freesound General-Purpose Audio Tagging Challenge). A
    file that failed has no row in it.

    With a head on embeddings (`anymic train-head --embeddings`) the files are .npz of embeddings,
    as `anymic embed` writes them, and a row is one of their paths.

    The exit status is 1 if some files failed; the others' rows are complete.

    Example: anymic predict recordings/ --model run --device B
    """
    from anymic._internal.progress import progress_bar
    from anymic.cli.inputs import load_model
    from anymic.errors import Failure
    from anymic.inference.embedding_head import VectorHead
    from anymic.inference.prediction import require_share
    from anymic.inference.submission import Submission

    require_share(min_confidence, "--min-confidence")
    loaded = load_model(model)
    answers = Submission(submission, loaded.labels) if submission else None
    if isinstance(loaded, VectorHead):
        _refuse_of_sounds(device=device, together=together, windows=windows)
    elif device and loaded.devices and device not in loaded.devices:
        known = ", ".join(loaded.devices)
        print(f"note: {device} is none of the model's devices ({known})", file=sys.stderr)
    count, results = hear(
        loaded,
        paths,
        device=device,
        together=together,
        batch=batch,
        accelerator=accelerator,
        min_confidence=min_confidence,
    )
    show = _Plain(windows, top)
    if as_json:
        show = _Json(windows, top)
    elif sys.stdout.isatty():
        show = _Terminal(windows, top)
    failed = 0
    with progress_bar(count, "hearing") as advance:
        for result in results:
            failed += isinstance(result, Failure)
            show.add(result)
            if answers is not None and not isinstance(result, Failure):
                answers.add(result)
            advance(1)
    show.finish()
    if answers is not None:
        answers.write()
    if failed:
        print(f"{failed} of {count} files failed", file=sys.stderr)
        raise typer.Exit(1)


def hear(
    loaded: Bundle | Ensemble | VectorHead,
    places: list[str],
    *,
    device: str | None = None,
    together: bool = False,
    batch: int | None = None,
    accelerator: str = "auto",
    min_confidence: float = 0.0,
) -> tuple[int, Iterable[Prediction | Failure]]:
    """Return how many answers there are, and what gives them one by one."""
    from anymic.cli.inputs import find_files
    from anymic.inference.embedding_head import VectorHead
    from anymic.inference.predictor import Predictor

    if isinstance(loaded, VectorHead):
        answers = _answers(loaded, places, min_confidence)
        return len(answers), answers
    predictor = Predictor(
        loaded, batch_size=batch, accelerator=accelerator, min_confidence=min_confidence
    )
    found = find_files(places)
    return len(found), _results(predictor, found, device, together)


def _results(
    predictor: Predictor, found: list[Path | Failure], device: str | None, together: bool
) -> Iterator[Prediction | Failure]:
    """Predict the files, and put what never was one in its place among them."""
    files = [place for place in found if isinstance(place, Path)]
    heard = predictor.predict_many(files, devices=device, together=together)
    for place in found:
        yield next(heard) if isinstance(place, Path) else place


def _answers(
    head: VectorHead, places: list[str], min_confidence: float
) -> list[Prediction | Failure]:
    """Answer the paths of embeddings, file by file."""
    from anymic.data.embeddings import read_vectors
    from anymic.errors import AnymicError, Failure

    found: list[Prediction | Failure] = []
    for place in places:
        try:
            vectors = read_vectors(place, labelled=False)
            found += head.answers(vectors, min_confidence=min_confidence)
        except AnymicError as error:
            found.append(Failure(place, str(error)))
    return found


def _refuse_of_sounds(**options: object) -> None:
    """Refuse options that say how sounds are heard, where there are only embeddings."""
    from anymic.errors import ConfigError

    if given := [f"--{name}" for name, value in options.items() if value]:
        raise ConfigError(
            f"{' and '.join(given)} for a head on embeddings",
            expected="a model that hears sounds",
            fix="leave it out, or train with anymic train-head --data --model",
        )


class _Plain:
    """Tab-separated rows, each as soon as it is known."""

    def __init__(self, windows: bool, top: int) -> None:
        self.windows, self.top = windows, top

    def add(self, result: Prediction | Failure) -> None:
        for cells in _rows(result, self.windows, self.top):
            print("\t".join(" ".join(cell.split()) for cell in cells), flush=True)

    def finish(self) -> None:
        pass


class _Terminal(_Plain):
    """One table at the end."""

    def __init__(self, windows: bool, top: int) -> None:
        super().__init__(windows, top)
        self.table = _empty_table(windows, top)

    def add(self, result: Prediction | Failure) -> None:
        from rich.markup import escape

        for cells in _rows(result, self.windows, self.top):
            style = "red" if "failed" in cells[-2:-1] else None
            self.table.add_row(*map(escape, cells), style=style)

    def finish(self) -> None:
        from rich.console import Console

        Console().print(self.table)


class _Json(_Plain):
    """A list of one object a file."""

    def __init__(self, windows: bool, top: int) -> None:
        super().__init__(windows, top)
        self.found: list[dict[str, Any]] = []

    def add(self, result: Prediction | Failure) -> None:
        self.found.append(_as_mapping(result, self.windows, self.top))

    def finish(self) -> None:
        print(json.dumps(self.found, indent=2, allow_nan=False))


def _empty_table(windows: bool, top: int) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    more = [name for place in range(2, top + 1) for name in (f"label {place}", "probability")]
    for name in (HEADS[0], *(["start (s)"] if windows else []), *HEADS[1:3], *more, *HEADS[3:]):
        number = name in ("probability", "start (s)")
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    return table


def _rows(result: Prediction | Failure, windows: bool, top: int) -> Iterator[tuple[str, ...]]:
    """Return the cells of a result's rows."""
    from anymic.errors import Failure

    if isinstance(result, Failure):
        blank = [""] * (2 * top + 1 + windows)
        yield (result.path, *blank, "failed", result.reason)
        return
    behind = (result.device or "", f"{_known_from(result)}: {result.device_policy}")
    least = result.min_confidence
    if not windows:
        best, notes = _best(result.probabilities, top, least)
        yield (result.path, *best, *behind, "; ".join((*notes, *result.notes)))
        return
    each = zip(result.window_starts_s, result.window_probabilities.tolist(), strict=True)
    for start_s, probabilities in each:
        named = dict(zip(result.probabilities, probabilities, strict=True))
        best, notes = _best(named, top, least)
        cells = (result.path, f"{start_s:.3f}", *best, *behind)
        yield (*cells, "; ".join((*notes, *result.notes)))


def _known_from(result: Prediction) -> str:
    if result.device_probability is None:
        return result.device_from
    sure = f"{result.device_from} {result.device_probability:.2f}"
    return sure if result.device else f"{sure} as unknown"


def _best(
    probabilities: dict[str, float], top: int, least: float
) -> tuple[list[str], tuple[str, ...]]:
    """Return the cells of the most probable labels, blank where there are none; and a note.

    Below the least confidence the first cell says so, and the note says what would stand there.
    """
    ordered = sorted(probabilities.items(), key=lambda item: -item[1])[:top]
    cells = [cell for label, share in ordered for cell in (label, f"{share:.4f}")]
    notes: tuple[str, ...] = ()
    if ordered[0][1] < least:
        notes = (f"below {least:g}: {cells[0]}",)
        cells[0] = NOT_SURE
    return cells + [""] * (2 * top - len(cells)), notes


def _as_mapping(result: Prediction | Failure, windows: bool, top: int) -> dict[str, Any]:
    from anymic.errors import Failure

    if isinstance(result, Failure):
        return {"path": result.path, "failed": result.reason}
    values = {**asdict(result), "answer": result.answer}
    starts_s = values.pop("window_starts_s")
    each = values.pop("window_probabilities").tolist()
    labels, least = list(result.probabilities), result.min_confidence
    if top > 1:
        best = sorted(result.probabilities.items(), key=lambda item: -item[1])[:top]
        values["top"] = [{"label": label, "probability": share} for label, share in best]
    if windows:
        values["each_window"] = [
            {
                "start_s": start_s,
                "answer": labels[row.index(max(row))] if max(row) >= least else None,
                "probabilities": dict(zip(labels, row, strict=True)),
            }
            for start_s, row in zip(starts_s, each, strict=True)
        ]
    return values
