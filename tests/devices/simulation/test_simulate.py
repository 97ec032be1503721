"""Laws of a simulated corpus: the draw, aligned takes, equal bytes, failures as results."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from typer.testing import CliRunner

from anymic import audio
from anymic.cli import app
from anymic.data.manifest import Manifest
from anymic.data.splits import check_splits
from anymic.devices.simulation.device_set import DeviceSet, stratified_order
from anymic.devices.simulation.simulate import simulate
from anymic.errors import AnymicError, ConfigError, DeviceError, ManifestError

RATE = 16_000
SETTINGS: dict[str, Any] = {
    "seed": 4,
    "devices": {
        "A": None,
        "B": {"noise_db": -60, "gain_db": -3},
        "C": {"response": {"low_cut_hz": 500}, "noise_db": -50},
        "D": {"gain_db": 30},
    },
    "recorded": {
        "train": {"A": "all", "B": 6, "C": 0.25},
        "test": {"A": "all", "B": "all", "C": "all", "D": "all"},
    },
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 4 folds x 3 labels x 2 clips of a fifth of a second, and their manifest."""
    folder = tmp_path_factory.mktemp("clean")
    generator = np.random.default_rng(0)
    rows = []
    for number in range(24):
        samples = 0.1 * generator.standard_normal(RATE // 5)
        soundfile.write(folder / f"clip{number:02d}.wav", samples, RATE, subtype="PCM_16")
        label = ("dog", "rain", "saw")[number % 3]
        rows.append((f"clip{number:02d}.wav", label, 1 + number // 6, f"recording{number // 2}"))
    table = pd.DataFrame(rows, columns=["path", "label", "fold", "group"])
    table.to_csv(folder / "clean.csv", index=False)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(SETTINGS))
    return path


def clean(corpus: Path) -> Manifest:
    return Manifest.read(corpus / "clean.csv")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_each_device_records_its_share_in_every_fold(
    corpus: Path, settings: Path, tmp_path: Path
) -> None:
    result = simulate(clean(corpus), settings, tmp_path / "out", progress=False)
    assert not result.failures
    assert len(result.manifest) == 24 * 4
    assert set(result.folds) == {1, 2, 3, 4}
    drawn = set()
    for fold, csv in result.folds.items():
        manifest = Manifest.read(csv)
        check_splits(manifest)
        table = manifest.table
        counts = Counter(zip(table["split"], table["device"], strict=True))
        assert counts == {("train", "A"): 18, ("train", "B"): 6, ("train", "C"): 4} | {
            ("test", device): 6 for device in "ABCD"
        }
        assert ((table["split"] == "test") == (table["fold"] == fold)).all()
        train = manifest.where(split="train")
        assert len(train.takes(["A", "B", "C"])) == 4
        assert len(train.takes(["A", "B"])) == 6
        assert Counter(train.where(device="B").table["label"]) == {"dog": 2, "rain": 2, "saw": 2}
        assert set(manifest.table["path"]) <= set(result.manifest.table["path"])
        drawn.add(tuple(train.where(device="B").table["take"]))
    assert len(drawn) == 4


def test_splits_of_the_manifest_are_used_as_they_are(corpus: Path, tmp_path: Path) -> None:
    split = ["train"] * 12 + ["validation"] * 6 + ["test"] * 6
    manifest = clean(corpus).with_columns(split=split)
    values = {
        "devices": {"A": {}, "B": {}},
        "recorded": {"train": {"A": "all", "B": 3}, "validation": {"A": 1}, "test": {"B": "all"}},
    }
    result = simulate(manifest, DeviceSet.from_mapping(values), tmp_path, progress=False)
    table = result.manifest.table
    assert Counter(zip(table["split"], table["device"], strict=True)) == {
        ("train", "A"): 12,
        ("train", "B"): 3,
        ("validation", "A"): 1,
        ("test", "B"): 6,
    }
    assert not result.folds
    assert result.written == 22


def test_files_hold_what_the_device_recorded(corpus: Path, settings: Path, tmp_path: Path) -> None:
    result = simulate(clean(corpus), settings, tmp_path / "out", progress=False)
    for row in result.manifest.where(device="A", take="clip07").table.itertuples():
        source = audio.read(corpus / str(row.source))
        recording = audio.read(tmp_path / "out" / str(row.path))
        np.testing.assert_array_equal(recording.samples, source.samples)
        assert recording.rate_hz == RATE
    assert soundfile.info(tmp_path / "out/audio/A/clip07.flac").subtype == "PCM_16"
    assert result.over_full_scale == {"A": 0, "B": 0, "C": 0, "D": 24}


def test_takes_of_all_devices_are_aligned_and_equally_long(
    corpus: Path, settings: Path, tmp_path: Path
) -> None:
    result = simulate(clean(corpus), settings, tmp_path / "out", progress=False)
    takes = result.manifest.takes(["A", "B", "C"])
    paths = result.manifest.paths()
    for rows in takes.to_numpy()[:6]:
        first, *others = (audio.read(paths[row]).samples for row in rows)
        for other in others:
            assert len(other) == len(first)
            correlation = np.correlate(other, first, mode="same")
            assert np.argmax(np.abs(correlation)) == len(first) // 2


def test_reruns_and_worker_counts_give_equal_bytes(
    corpus: Path, settings: Path, tmp_path: Path
) -> None:
    first = simulate(clean(corpus), settings, tmp_path / "one", workers=1, progress=False)
    simulate(clean(corpus), settings, tmp_path / "three", workers=3, progress=False)
    before = contents(tmp_path / "one")
    assert before == contents(tmp_path / "three")
    again = simulate(clean(corpus), settings, tmp_path / "one", progress=False)
    assert (first.written, first.kept) == (96, 0)
    assert (again.written, again.kept) == (0, 96)
    assert again.over_full_scale == first.over_full_scale
    assert contents(tmp_path / "one") == before


def test_an_interrupted_or_changed_corpus_is_completed(
    corpus: Path, settings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    simulate(clean(corpus), settings, out, progress=False)
    before = contents(out)
    (out / "audio/B/clip03.flac").unlink()
    (out / "audio/C/clip04.flac").write_bytes(b"half a fi")
    log = (out / "build_log.jsonl").read_text().splitlines()
    (out / "build_log.jsonl").write_text("\n".join([*log[:-5], log[-1][:20]]))
    assert simulate(clean(corpus), settings, out, progress=False).written == 2 + 5
    assert contents(out) == before
    values = json.loads(json.dumps(SETTINGS))
    values["devices"]["B"]["gain_db"] = -4
    settings.write_text(yaml.safe_dump(values))
    assert simulate(clean(corpus), settings, out, progress=False).written == 24


def test_damaged_files_are_made_again(corpus: Path, settings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    simulate(clean(corpus), settings, out, progress=False)
    before = contents(out)
    cut, zeroed, bit = (
        out / "audio" / name for name in ("B/clip03.flac", "C/clip04.flac", "B/clip05.flac")
    )
    cut.write_bytes(cut.read_bytes()[:-100])
    whole = bytearray(zeroed.read_bytes())
    quarter = len(whole) // 4
    zeroed.write_bytes(whole[:quarter] + bytes(quarter) + whole[2 * quarter :])
    flipped = bytearray(bit.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    bit.write_bytes(flipped)
    assert simulate(clean(corpus), settings, out, progress=False).written == 3
    assert contents(out) == before


def test_a_log_without_checksums_is_continued(corpus: Path, settings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    simulate(clean(corpus), settings, out, progress=False)
    log = out / "build_log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert all(len(line.pop("sha256")) == 64 for line in lines)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert simulate(clean(corpus), settings, out, progress=False).written == 0


def test_a_changed_response_file_is_noticed(corpus: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {"devices": {"B": {"response": {"file": "b.wav"}}}}
    values["recorded"] = {"train": {"B": "all"}, "test": {"B": "all"}}
    devices = DeviceSet.from_mapping(values, responses=tmp_path)
    soundfile.write(tmp_path / "b.wav", np.array([0.5, 0.2, 0.1]), RATE)
    assert simulate(clean(corpus), devices, tmp_path / "out", progress=False).written == 24
    soundfile.write(tmp_path / "b.wav", np.array([0.5, -0.2, 0.1, 0.1]), RATE)
    assert simulate(clean(corpus), devices, tmp_path / "out", progress=False).written == 24
    assert simulate(clean(corpus), devices, tmp_path / "out", progress=False).written == 0


def test_a_bad_clip_is_a_failure_and_the_rest_goes_on(
    corpus: Path, settings: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(corpus, copy)
    (copy / "clip01.wav").write_text("a text")
    (copy / "clip02.wav").unlink()
    result = simulate(clean(copy), settings, tmp_path / "out", progress=False)
    assert [Path(failure.path).name for failure in result.failures] == ["clip01.wav", "clip02.wav"]
    assert len(result.manifest) == 22 * 4
    assert not set(Manifest.read(result.folds[1]).table["take"]) & {"clip01", "clip02"}


def test_stretches_of_one_file_are_takes_of_their_own(corpus: Path, tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "path": ["clip00.wav", "clip00.wav"],
            "label": "dog",
            "split": "train",
            "start_s": [0.0, 0.1],
            "duration_s": 0.1,
        }
    )
    devices = DeviceSet.from_mapping({"devices": {"A": {}}, "recorded": {"train": {"A": "all"}}})
    manifest = Manifest.from_table(table, corpus)
    result = simulate(manifest, devices, tmp_path, progress=False)
    halves = [audio.read(path).samples for path in result.manifest.paths()]
    whole = audio.read(corpus / "clip00.wav").samples
    np.testing.assert_array_equal(np.concatenate(halves), whole)
    assert "start_s" not in result.manifest.table.columns


def test_every_beginning_of_the_drawn_order_is_stratified() -> None:
    labels = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    order = stratified_order(labels, np.random.default_rng(0))
    assert sorted(order) == list(range(100))
    for count in range(1, 101):
        drawn = Counter(labels[row] for row in order[:count])
        for label, share in (("a", 0.6), ("b", 0.3), ("c", 0.1)):
            assert abs(drawn[label] - share * count) <= 1.5
    other = stratified_order(labels, np.random.default_rng(1))
    assert order != other


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sed": 3}, "Unknown key 'sed'"),
        ({"devices": {"A": {"nose_db": -3}}}, "devices.A.nose_db.*did you mean 'noise_db'"),
        ({"devices": {}}, "no mapping under 'devices'"),
        ({"devices": {"A/B": {}}}, "not a valid name for a folder"),
        ({"heard": {"train": {"A": "all"}}}, "`heard` is now `recorded`"),
        ({"recorded": {"train": {"E": 3}}}, "device 'E' is not defined"),
        ({"recorded": {"train": {"A": "some"}}}, "'some' is not all, a count or a share"),
        ({"recorded": {"train": {"A": 1.5}}}, "1.5 is not all"),
        ({"recorded": {"train": {"A": 0}}}, "0 is not all"),
        ({"recorded": {"train": "all"}}, "is not a mapping"),
        ({"seed": -1}, "seed: -1"),
    ],
)
def test_device_sets_that_cannot_be_are_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        DeviceSet.from_mapping(SETTINGS | change)


def test_all_problems_of_a_device_set_come_in_one_line() -> None:
    values = SETTINGS | {"sed": 1, "devices": {"A": {"gain": 3}, "B": {"bits": 7}}}
    with pytest.raises(ConfigError) as caught:
        DeviceSet.from_mapping(values)
    for part in ("'sed'", "devices.A.gain", "devices.B.bits", "device 'C' is not defined"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def recorded(**recorded: dict[str, Any]) -> DeviceSet:
    return DeviceSet.from_mapping(SETTINGS | {"recorded": recorded})


def test_corpora_that_cannot_be_made_are_refused(corpus: Path, tmp_path: Path) -> None:
    manifest, plain = clean(corpus), recorded(train={"A": "all"}, test={"A": "all"})
    bare = Manifest.from_table(manifest.table.drop(columns="fold"), corpus)
    without = manifest.with_columns(fold=[-1] + [1] * 23)
    two = manifest.with_columns(device=["a", "b"] * 12)
    gone = DeviceSet.from_mapping(
        {
            "devices": {"A": {"response": {"file": "x.wav"}}, "B": {"response": {"file": "y.wav"}}},
            "recorded": {"train": {"A": "all"}, "test": {"A": "all"}},
        }
    )
    cases: list[tuple[Manifest, DeviceSet, type[AnymicError], str]] = [
        (
            manifest,
            recorded(train={"A": 19}, test={"A": 1}),
            ManifestError,
            "19 clips are asked for device A in train, and there are 18",
        ),
        (
            manifest,
            recorded(train={"A": "all"}),
            ConfigError,
            "one line under `recorded` for each split",
        ),
        (manifest, recorded(train={"A": 1}, tset={"A": 1}), ConfigError, "test, train"),
        (bare, plain, ManifestError, "a column split .* or fold"),
        (without, plain, ManifestError, "1 clip without a fold"),
        (manifest.with_columns(fold=1), plain, ManifestError, "only fold 1"),
        (two, plain, ManifestError, "clips are of the devices a, b"),
        (
            manifest,
            gone,
            DeviceError,
            "x.wav; there is no impulse response y.wav.*folder of the responses",
        ),
    ]
    for table, devices, kind, says in cases:
        with pytest.raises(kind, match=says):
            simulate(table, devices, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="preset such as microphones"):
        simulate(manifest, "telephones", tmp_path / "out", progress=False)
    shutil.copy(corpus / "clean.csv", tmp_path / "manifest.csv")
    with pytest.raises(ManifestError, match="from elsewhere"):
        simulate(manifest, plain, tmp_path, progress=False)


def test_the_verb_prints_counts_and_its_exit_status_tells_of_failures(
    corpus: Path, settings: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(corpus, copy)
    arguments = ["data", "simulate", str(copy / "clean.csv"), "--devices", str(settings)]
    arguments += ["--out", str(tmp_path / "o")]
    good = CliRunner().invoke(app, arguments)
    assert good.exit_code == 0
    assert "96 files written, 0 kept" in good.stdout
    (copy / "clip01.wav").write_text("a text")
    bad = CliRunner().invoke(app, [*arguments, "--json"])
    assert bad.exit_code == 1
    outcome = json.loads(bad.stdout)
    assert outcome["files_kept"] == 92
    assert outcome["devices"]["D"] == {"clips": 23, "clips_over_full_scale": 23}
    assert [Path(one["path"]).name for one in outcome["failures"]] == ["clip01.wav"]


def test_the_preset_makes_multi_microphone_esc10(shared_data: Path, tmp_path: Path) -> None:
    from anymic.data.corpora.esc50 import esc50

    whole = esc50(shared_data / "ESC-50", subset="esc10")
    few = whole.where(fold=[1, 2]).table.groupby(["fold", "label"]).head(1).index
    manifest = whole.where(fold=[1, 2]).rows(few.to_numpy())
    result = simulate(
        manifest, "microphones", tmp_path, responses=shared_data / "micirp", progress=False
    )
    assert not result.failures
    train = Manifest.read(result.folds[1]).where(split="train")
    assert len(train.takes(["A", "B", "C"])) == 10
    assert train.devices == ["A", "B", "C"]
    assert Manifest.read(result.folds[1]).where(split="test").devices == ["A", "B", "C", "D", "E"]
