from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anymic.data.manifest import Manifest, concatenate
from anymic.data.splits import check_splits, split_groups
from anymic.errors import ManifestError


def example() -> Manifest:
    rows = [
        {"path": f"{device}/{take}.wav", "label": label, "device": device, "take": str(take),
         "group": f"g{take // 2}", "fold": take % 4, "start_s": 0.5, "kbps": np.nan}
        for take, label in enumerate(["bus", "park"] * 6)
        for device in ("A", "B", "C")
    ]  # fmt: skip
    return Manifest.from_table(pd.DataFrame(rows), root="corpus", name="example")


def test_written_and_read_again_is_the_same(tmp_path: Path) -> None:
    original = Manifest.from_table(example().table, root=tmp_path)
    again = Manifest.read(original.write(tmp_path / "manifest.csv"))
    pd.testing.assert_frame_equal(again.table, original.table)
    assert again.digest() == original.digest()
    assert again.clip_ids() == original.clip_ids()
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.csv"]


def test_text_stays_text(tmp_path: Path) -> None:
    """Labels such as NA, 007 and 1e3 are names, not numbers or missing cells."""
    (tmp_path / "m.csv").write_text("path,label,group\na.wav,NA,007\nb.wav,1e3,\nc.wav,nan,x\n")
    manifest = Manifest.read(tmp_path / "m.csv")
    assert manifest.labels == ["1e3", "NA", "nan"]
    assert manifest.table["group"].tolist() == ["007", "", "x"]


def test_paths_outside_the_csv_folder_are_written_absolute(tmp_path: Path) -> None:
    manifest = Manifest.from_table(
        pd.DataFrame({"path": ["in/a.wav", "../b.wav"], "label": "x"}), root=tmp_path / "data"
    )
    again = Manifest.read(manifest.write(tmp_path / "data" / "m.csv"))
    assert again.table["path"].tolist() == ["in/a.wav", (tmp_path / "b.wav").as_posix()]
    assert [os.path.normpath(p) for p in manifest.paths()] == [str(p) for p in again.paths()]


def test_ids_do_not_depend_on_the_machine_and_tell_clips_apart() -> None:
    here = example()
    there = Manifest(here.table, root=here.root / "elsewhere")
    assert here.clip_ids() == there.clip_ids()
    assert here.digest() == there.digest()
    assert len(set(here.clip_ids())) == len(here)
    assert here.where(device="B").clip_ids() == here.clip_ids()[1::3]
    assert here.digest() != here.with_columns(label="other").digest()


def test_all_problems_are_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("path,label,fold,start_s\na.wav,x,1,\n./a.wav,,2.5,0\n,y,two,-1\n")
    with pytest.raises(ManifestError) as caught:
        Manifest.read(path)
    line = str(caught.value)
    assert "\n" not in line
    for part in (
        "5 problems",
        "empty label in row 3",
        "empty path in row 4",
        "fold is not a whole number in row 3 (2.5), row 4 (two)",
        "start_s is not a number in range in row 4 (-1)",
        "the same path and start_s twice: ./a.wav (row 3)",
    ):
        assert part in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a table"),
        ("path,label\n", "no rows"),
        (
            "file,class\na.wav,x\n",
            r"no column path and no column label \(its columns: file, class\).*file to path",
        ),
        ('path,label\n"a.wav,x\n', "cannot be read as a table"),
        (f"path,label,fold\na.wav,x,1{'0' * 22}\n", r"fold is not a whole number in row 2 \(10000"),
    ],
)
def test_no_table(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(ManifestError, match=message):
        Manifest.read(tmp_path / "m.csv")


def test_missing_or_binary_file(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No file"):
        Manifest.read(tmp_path / "none.csv")
    (tmp_path / "m.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(ManifestError, match="cannot be read"):
        Manifest.read(tmp_path / "m.csv")


def test_windows_of_one_file_are_not_duplicates() -> None:
    table = pd.DataFrame({"path": "a.wav", "label": "x", "start_s": [0.0, 1.0]})
    assert len(Manifest.from_table(table)) == 2


def test_where_takes_values_and_lists() -> None:
    manifest = example()
    assert len(manifest.where(device=["A", "B"], label="bus")) == 12
    assert len(manifest.where(fold=[0, 1])) == 18
    assert len(manifest.where(device="Z")) == 0
    assert manifest.where(fold="1").digest() == manifest.where(fold=1).digest()
    with pytest.raises(ManifestError, match=r"value of fold is 'first'\. Expected a number"):
        manifest.where(fold="first")
    with pytest.raises(ManifestError, match="also city"):
        manifest.where(city="Lyon")


def test_unknown_labels_are_all_named() -> None:
    with pytest.raises(ManifestError, match=r"bus \(18 rows\), park \(18 rows\)"):
        example().require_labels(["tram"])
    example().require_labels(["bus", "park", "tram"])
    with pytest.raises(ManifestError, match=r"bus \(18 rows\)"):
        example().targets(["tram"])


def test_targets_are_places_in_the_order_given() -> None:
    labels = ["tram", "park", "metro", "bus"]
    manifest = example()
    targets = manifest.targets(labels)
    assert targets.dtype == np.int64
    assert [labels[number] for number in targets] == manifest.table["label"].tolist()


def test_a_recording_is_a_group_else_a_take_else_a_file() -> None:
    table = pd.DataFrame(
        {
            "path": ["a.wav", "b.wav", "c.wav", "c.wav", "d.wav"],
            "label": "bus",
            "start_s": [0, 0, 0, 1, 0],
            "take": ["1", "3", "", "", "2"],
            "group": ["", "1", "", "", "g"],
        }
    )
    manifest = Manifest.from_table(table)
    wanted = ["take:1", "group:1", "path:c.wav", "path:c.wav", "group:g"]
    assert manifest.recordings() == wanted


def test_takes_are_aligned_and_complete() -> None:
    manifest = example()
    lost = manifest.rows(np.arange(1, len(manifest)))  # take 0 has no device A any more
    takes = lost.takes(["C", "A"])
    assert list(takes.columns) == ["C", "A"]
    assert len(takes) == 11
    for device in ("A", "C"):
        rows = lost.table.loc[takes[device]]
        assert set(rows["device"]) == {device}
        assert rows["take"].tolist() == takes.index.tolist()
    assert lost.takes(["A", "Z"]).empty


def test_a_device_twice_in_a_take_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"two rows of a device.*0 \(A\)"):
        example().with_columns(take="0").takes(["A"])


@pytest.mark.parametrize("seed", range(5))
def test_a_split_never_divides_a_group(seed: int) -> None:
    rng = np.random.default_rng(seed)
    group = rng.integers(60, size=600)
    label = np.array(["a", "b", "c"])[group % 3]
    manifest = Manifest.from_table(
        pd.DataFrame({"path": [f"{n}.wav" for n in range(600)], "label": label, "group": group})
    )
    rest, part = split_groups(manifest, share=0.2, seed=seed)
    assert not set(rest.table["group"]) & set(part.table["group"])
    assert sorted([*rest.table["path"], *part.table["path"]]) == sorted(manifest.table["path"])
    shares = part.table["label"].value_counts() / manifest.table["label"].value_counts()
    assert np.all(np.abs(shares - 0.2) < 0.05)
    again = split_groups(manifest, share=0.2, seed=seed)[1]
    assert again.digest() == part.digest()
    assert split_groups(manifest, share=0.2, seed=seed + 1)[1].digest() != part.digest()


def test_a_split_keeps_takes_together_and_is_never_empty() -> None:
    manifest = example()
    without_groups = Manifest(manifest.table.drop(columns="group"), manifest.root)
    rest, part = split_groups(without_groups, share=0.01, seed=0)
    assert len(part) == 3
    assert not set(rest.table["take"]) & set(part.table["take"])
    with pytest.raises(ManifestError, match="36 rows are of 1 group"):
        split_groups(manifest.with_columns(group="g"), share=0.5, seed=0)
    with pytest.raises(ManifestError, match="between 0 and 1"):
        split_groups(manifest, share=1.0, seed=0)


def test_a_group_on_both_sides_is_named() -> None:
    manifest = example()
    split = np.where(manifest.table["group"] == "g0", "test", "train")
    check_splits(manifest.with_columns(split=split))
    split[0] = "train"
    split[1] = ""  # unused rows belong to neither side
    with pytest.raises(ManifestError, match=r"group g0 \(test and train\)"):
        check_splits(manifest.with_columns(split=split))


def test_concatenated_manifests_find_their_files(tmp_path: Path) -> None:
    one = Manifest.from_table(
        pd.DataFrame({"path": ["a.wav"], "label": "x", "fold": 1}), root=tmp_path / "one"
    )
    two = Manifest.from_table(
        pd.DataFrame({"path": ["a.wav"], "label": "y", "device": "A"}), root=tmp_path / "two"
    )
    both = concatenate([one, two])
    assert both.paths() == one.paths() + two.paths()
    assert both.table["fold"].tolist() == [1, -1]
    assert both.devices == ["A"]
    with pytest.raises(ManifestError, match="twice"):
        concatenate([one, one])
    with pytest.raises(ManifestError, match="There are no manifests"):
        concatenate([])


def test_the_table_given_is_not_changed() -> None:
    table = pd.DataFrame({"path": ["a.wav"], "label": [3], "fold": ["1"]})
    before = table.copy()
    Manifest.from_table(table).with_columns(label="z")
    pd.testing.assert_frame_equal(table, before)
