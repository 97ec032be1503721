"""Events of many recordings: the same as of each alone, whatever interrupts the run."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.inference.event_parsers import read_audacity
from tests.known_sounds import RATE_HZ, WINDOW_S, Span, joined_recording, tone_model

from anymic.bundle import Bundle
from anymic.errors import AnymicWarning, BundleError, ConfigError
from anymic.inference import resuming
from anymic.inference.event_run import predict_events
from anymic.inference.events import EventRules
from anymic.inference.predictor import Predictor
from anymic.inference.recordings import EventSettings

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tone_model().save(tmp_path / "model")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Return a folder of ten recordings of 2 to 11 seconds, and one that is none."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(10):
        joined_recording(
            folder / f"{number}.wav", length_s=2.0 + number, seed=number, longest_s=5.0
        )
    (folder / "3b.wav").write_text("no sound")
    return folder


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Stopped(Exception):
    pass


def stop_after(count: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done == count:
            raise Stopped

    return progress


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of recordings that are read, in order."""
    read: list[str] = []
    before = resuming.Resumed.requests

    def requests(self: object, paths: list[str], begins: object = frozenset()) -> object:
        for one in before(self, paths, begins):  # type: ignore[arg-type]
            read.append(Path(one.path).name)
            yield one

    monkeypatch.setattr(resuming.Resumed, "requests", requests)
    return read


def test_known_sounds_are_found_to_within_a_window(model: Path, tmp_path: Path) -> None:
    """Twenty minutes to labels of Audacity: each sound is one event."""
    spans = joined_recording(tmp_path / "night.flac", length_s=1200, seed=1)
    predict_events(model, [tmp_path / "night.flac"], tmp_path / "night.txt", kind="audacity")
    check_borders(read_audacity(tmp_path / "night.txt"), spans, WINDOW_S)
    predict_events(
        *(model, [tmp_path / "night.flac"], tmp_path / "fine.txt"), kind="audacity", hop_s=0.25
    )
    check_borders(read_audacity(tmp_path / "fine.txt"), spans, WINDOW_S)


def check_borders(
    found: list[tuple[float, float, str]], spans: list[Span], within_s: float
) -> None:
    assert [label for _, _, label in found] == [one.label for one in spans]
    for (start_s, end_s, _), one in zip(found, spans, strict=True):
        assert abs(start_s - one.start_s) <= within_s
        assert abs(end_s - one.end_s) <= within_s


@pytest.mark.parametrize("together", [1, 3])
def test_rows_are_the_events_of_each_recording(
    model: Path, recordings: Path, tmp_path: Path, together: int
) -> None:
    """Files share batches; the events are those of Python for each file."""
    rules = EventRules(threshold=0.6, longest_gap_s=0.5)
    done = predict_events(
        *(model, [recordings], tmp_path / "out.csv"),
        settings=EventSettings(rules),
        batch_size=together,
    )
    assert [Path(one.path).name for one in done.failures] == ["3b.wav"]
    rows = read_csv(tmp_path / "out.csv")
    predictor = Predictor(Bundle.load(model))
    wanted = []
    for number in range(10):
        table = predictor.events(recordings / f"{number}.wav", rules=rules)
        for one in table.to_dict("records"):
            cells = (one["start_s"], one["end_s"], one["probability"])
            wanted.append((str(recordings / f"{number}.wav"), one["label"], *cells))
    assert (done.recordings, done.events) == (10, len(wanted))
    for row, (file, label, start_s, end_s, probability) in zip(rows, wanted, strict=True):
        assert (row["file"], row["label"]) == (file, label)
        assert float(row["start_s"]) == pytest.approx(start_s, abs=1e-3)
        assert float(row["end_s"]) == pytest.approx(end_s, abs=1e-3)
        assert float(row["probability"]) == pytest.approx(probability, abs=1e-4)


def test_every_window(model: Path, recordings: Path, tmp_path: Path) -> None:
    settings = EventSettings(every_window=True, top=2)
    predict_events(model, [recordings / "4.wav"], tmp_path / "out.csv", settings=settings)
    rows = read_csv(tmp_path / "out.csv")
    found = Predictor(Bundle.load(model)).predict(recordings / "4.wav")
    wanted = [
        (start_s, label, row[label])
        for start_s, values in zip(
            found.window_starts_s, found.window_probabilities.tolist(), strict=True
        )
        for row in [dict(zip(found.probabilities, values, strict=True))]
        for label in sorted(row, key=lambda one: -row[one])[:2]
    ]
    assert [(float(row["start_s"]), row["label"]) for row in rows] == [one[:2] for one in wanted]
    assert [float(row["probability"]) for row in rows] == pytest.approx(
        [one[2] for one in wanted], abs=1e-4
    )
    assert float(rows[-1]["end_s"]) == 6.0


@pytest.mark.parametrize("count", [1, 4, 5, 10])
@pytest.mark.parametrize("kind", ["csv", "raven"])
def test_a_run_that_goes_on_ends_with_the_same_bytes_and_does_nothing_twice(
    *,
    model: Path,
    recordings: Path,
    tmp_path: Path,
    computed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    kind: str,
) -> None:
    monkeypatch.setattr(resuming, "GROUP_FILES", 2)
    arguments = (model, [recordings])
    predict_events(*arguments, tmp_path / "whole", kind=kind)
    whole = [path.read_bytes() for path in sorted((tmp_path / "whole").iterdir())]
    everything = sorted(computed)
    computed.clear()
    with pytest.raises(Stopped):
        predict_events(*arguments, tmp_path / "out", kind=kind, progress=stop_after(count))
    assert not (tmp_path / "out").exists()
    journal = tmp_path / "out.journal"
    kept = [
        value["key"]
        for line in journal.glob("*.jsonl")
        for record in line.read_text().splitlines()
        for value in json.loads(record.partition(" ")[2])["recordings"]
    ]
    computed.clear()
    with pytest.warns(AnymicWarning, match="done already"):
        done = predict_events(*arguments, tmp_path / "out", kind=kind)
    good = {Path(path).name for path in kept} - {"3b.wav"}
    assert done.kept == len(good) > 0
    assert sorted([*good, *computed]) == everything, "nothing twice"
    assert [path.read_bytes() for path in sorted((tmp_path / "out").iterdir())] == whole


def test_changed_and_new_files_are_done_again_and_said(
    model: Path, recordings: Path, tmp_path: Path, computed: list[str]
) -> None:
    arguments = (model, [recordings], tmp_path / "out.csv")
    (recordings / "3b.wav").unlink()
    with pytest.raises(Stopped):
        predict_events(*arguments, progress=stop_after(10))
    joined_recording(recordings / "5.wav", length_s=9, seed=50)
    joined_recording(recordings / "99.wav", length_s=3, seed=51)
    computed.clear()
    with pytest.warns(AnymicWarning, match="changed since then, and done again: .*5.wav"):
        predict_events(*arguments)
    assert computed == ["5.wav", "99.wav"]
    predict_events(model, [recordings], tmp_path / "fresh.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "fresh.csv").read_bytes()


def test_failed_files_alone_are_tried_again(
    model: Path, recordings: Path, tmp_path: Path, computed: list[str]
) -> None:
    arguments = (model, [recordings], tmp_path / "out.csv")
    first = predict_events(*arguments)
    assert first.journal == tmp_path / "out.csv.journal"
    joined_recording(recordings / "3b.wav", length_s=4, seed=3)
    computed.clear()
    with pytest.warns(AnymicWarning, match="10 of 11 recordings are done already"):
        second = predict_events(*arguments)
    assert computed == ["3b.wav"]
    assert (second.recordings, second.failures, second.journal) == (11, (), None)
    assert not first.journal.exists()


def interrupted(model: Path, recordings: Path, out: Path, **settings: object) -> None:
    with pytest.raises(Stopped):
        predict_events(
            *(model, [recordings], out),
            progress=stop_after(3),
            **settings,  # type: ignore[arg-type]
        )


def test_a_journal_of_another_model_settings_or_recordings_is_refused(
    model: Path, recordings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    interrupted(model, recordings, out)
    before = {path: path.read_bytes() for path in (tmp_path / "out.csv.journal").iterdir()}
    other = tone_model(hop_s=0.5).save(tmp_path / "other")
    strict = EventSettings(EventRules(threshold=0.9))
    for place, settings, said in (
        (other, None, "of another model"),
        (model, strict, "threshold None, now 0.9"),
    ):
        with pytest.raises(ConfigError, match=f"{said}.*Expected.*delete the journal"):
            predict_events(place, [recordings], out, settings=settings)
    (tmp_path / "elsewhere").mkdir()
    joined_recording(tmp_path / "elsewhere" / "a.wav", length_s=3)
    with pytest.raises(ConfigError, match="of other recordings"):
        predict_events(model, [tmp_path / "elsewhere"], out)
    assert before == {path: path.read_bytes() for path in before}
    assert predict_events(model, [recordings], out).kept == 10


def test_a_damaged_shard_is_one_note_and_its_recordings_are_done_again(
    model: Path, recordings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    predict_events(model, [recordings], tmp_path / "whole.csv")
    interrupted(model, recordings, out)
    (shard,) = (tmp_path / "out.csv.journal").glob("*.jsonl")
    shard.write_bytes(shard.read_bytes().replace(b"low", b"lox", 1))
    with pytest.warns(AnymicWarning, match="cannot be read: the recordings in them"):
        done = predict_events(model, [recordings], out)
    assert done.kept == 0
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_device_is_stated_in_each_row(tmp_path: Path, bundle_folder: Path) -> None:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 3 * RATE_HZ)
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ)
    settings = EventSettings(EventRules(threshold=0.0))
    for device, known, correction in (("B", "stated", "profile"), (None, "assumed", "identity")):
        out = tmp_path / f"{device}.csv"
        predict_events(bundle_folder, [tmp_path / "a.wav"], out, settings=settings, device=device)
        for row in read_csv(out):
            assert row["device"] == (device or "")
            assert (row["device_from"], row["correction"]) == (known, correction)
    with pytest.warns(AnymicWarning, match="Q is none of the model's devices"):
        predict_events(bundle_folder, [tmp_path / "a.wav"], tmp_path / "q.csv", device="Q")


def test_together_needs_blind_gains(model: Path, recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="estimates gains blindly"):
        predict_events(model, [recordings], tmp_path / "out.csv", together=True)
