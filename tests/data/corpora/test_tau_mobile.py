from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anymic.data.corpora.tau_mobile import DEVICES, SCENES, tau2019_mobile, tau2020_mobile
from anymic.data.manifest import Manifest
from anymic.data.splits import check_splits
from anymic.errors import ManifestError


class Tree:
    """A development set: every scene in one training and one test location, all devices."""

    def __init__(self, root: Path, year: int) -> None:
        self.root = root
        suffixes = [device.lower() for device in DEVICES[year]]
        self.meta: list[list[str]] = []
        self.train: list[list[str]] = []
        self.test: list[list[str]] = []
        for number, scene in enumerate(SCENES):
            for side, city, location in (
                (self.train, "barcelona", number),
                (self.test, "lyon", 1000 + number),
            ):
                for suffix in suffixes:
                    path = f"audio/{scene}-{city}-{location}-{number}-{suffix}.wav"
                    self.meta.append([path, scene, f"{city}-{location}", suffix])
                    side.append([path, scene])
        self.meta.append(["audio/bus-lyon-2000-7-a.wav", "bus", "lyon-2000", "a"])  # not in use

    def write(self) -> Path:
        self._table(
            "meta.csv", ["filename", "scene_label", "identifier", "source_label"], self.meta
        )
        setup = "evaluation_setup"
        self._table(f"{setup}/fold1_train.csv", ["filename", "scene_label"], self.train)
        self._table(f"{setup}/fold1_test.csv", ["filename"], [row[:1] for row in self.test])
        self._table(f"{setup}/fold1_evaluate.csv", ["filename", "scene_label"], self.test)
        return self.root

    def _table(self, name: str, columns: list[str], rows: list[list[str]]) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join("\t".join(row) + "\n" for row in [columns, *rows]))


@pytest.mark.parametrize(
    ("year", "read"), [(2019, tau2019_mobile), (2020, tau2020_mobile)], ids=["2019", "2020"]
)
def test_rows_of_the_development_set(
    tmp_path: Path, wav: Callable[..., Path], year: int, read: Callable[[Path], Manifest]
) -> None:
    tree = Tree(tmp_path, year)
    for path, *_ in tree.meta:
        wav(tmp_path / path)
    manifest = read(tree.write())
    devices = DEVICES[year]
    assert len(manifest) == 20 * len(devices) + 1
    assert manifest.labels == sorted(SCENES)
    assert manifest.devices == sorted(devices)
    assert all(path.is_file() for path in manifest.paths())
    assert manifest.table["split"].value_counts().to_dict() == {
        "train": 10 * len(devices),
        "test": 10 * len(devices),
        "": 1,
    }
    row = manifest.where(path=f"audio/tram-lyon-1009-9-{devices[-1].lower()}.wav").table.iloc[0]
    assert row["device"] == devices[-1]
    assert row["group"] == "lyon-1009"
    assert row["take"] == "tram-lyon-1009-9"
    assert row["city"] == "lyon"
    check_splits(manifest)


def test_takes_are_aligned_across_devices(tmp_path: Path) -> None:
    manifest = tau2020_mobile(Tree(tmp_path, 2020).write())
    takes = manifest.takes(["A", "B", "S6"])
    assert len(takes) == 20  # the clip that only A recorded is no take of these three
    for take, rows in takes.iterrows():
        paths = manifest.table.loc[rows, "path"].tolist()
        assert paths == [f"audio/{take}-{suffix}.wav" for suffix in ("a", "b", "s6")]


def test_the_folder_above_will_do(tmp_path: Path) -> None:
    Tree(tmp_path / "TAU-urban-acoustic-scenes-2019-mobile-development", 2019).write()
    assert len(tau2019_mobile(tmp_path)) == 61


@pytest.mark.parametrize(
    "name",
    ["meta.csv", *(f"evaluation_setup/fold1_{x}.csv" for x in ("train", "test", "evaluate"))],
)
def test_the_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (Tree(tmp_path, 2019).write() / name).unlink()
    with pytest.raises(ManifestError, match=rf"has no {name}\. Expected TAU Urban"):
        tau2019_mobile(tmp_path)


def test_the_other_year_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"120 problems.*device S1, not A, B, C.*and 115 more"):
        tau2019_mobile(Tree(tmp_path, 2020).write())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["audio/airport-a.wav", "airport", "x", "a"], "is not audio/scene-city"),
        (["audio/bus-lyon-1-1-a.wav", "coach", "lyon-1", "a"], "unknown scene_label coach"),
        (["audio/bus-lyon-1-1-a.wav", "tram", "lyon-1", "a"], "has scene_label tram"),
        (["audio/bus-lyon-1-1-a.wav", "bus", "lyon-2", "a"], "has identifier lyon-2"),
        (["audio/bus-lyon-1-1-a.wav", "bus", "lyon-1", "b"], "has source_label b"),
        (["audio/bus-lyon-2000-7-a.wav", "bus", "lyon-2000", "a"], "the same path"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tmp_path: Path, row: list[str], message: str) -> None:
    tree = Tree(tmp_path, 2019)
    tree.meta.append(row)
    with pytest.raises(ManifestError, match=message):
        tau2019_mobile(tree.write())


def test_a_setup_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 2019)
    tree.train.append(["audio/bus-lyon-3-3-a.wav", "bus"])
    tree.train.append(tree.test[0])
    tree.test[1] = [tree.test[1][0], "park"]
    with pytest.raises(ManifestError) as caught:
        tau2019_mobile(tree.write())
    line = str(caught.value)
    assert "3 problems" in line
    assert "audio/bus-lyon-3-3-a.wav of fold1_train.csv is not in meta.csv" in line
    assert "is in fold1_train.csv and in fold1_test.csv" in line
    assert "is park in fold1_evaluate.csv, airport in meta.csv" in line


def test_commas_for_tabs_are_refused(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 2019).write()
    meta = tree / "meta.csv"
    meta.write_text(meta.read_text().replace("\t", ","))
    with pytest.raises(ManifestError, match=r"meta\.csv has the columns .*also filename"):
        tau2019_mobile(tree)
