from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anymic.data.corpora.esc50 import esc50
from anymic.errors import ManifestError

HEADER = "filename,fold,target,category,esc10,src_file,take\n"
ROWS = (
    "1-100032-A-0.wav,1,0,dog,True,100032,A\n"
    "1-100210-A-36.wav,1,36,vacuum_cleaner,False,100210,A\n"
    "1-100210-B-36.wav,1,36,vacuum_cleaner,False,100210,B\n"
    "2-104952-A-10.wav,2,10,rain,True,104952,A\n"
)


def release(root: Path, text: str = HEADER + ROWS) -> Path:
    (root / "audio").mkdir(parents=True)
    (root / "meta").mkdir()
    (root / "meta" / "esc50.csv").write_text(text)
    return root


def test_rows_of_the_release(tmp_path: Path, wav: Callable[..., Path]) -> None:
    root = release(tmp_path)
    for line in ROWS.splitlines():
        wav(root / "audio" / line.split(",")[0])
    manifest = esc50(root)
    assert list(manifest.table.columns) == ["path", "label", "group", "fold"]
    assert manifest.table["fold"].tolist() == [1, 1, 1, 2]
    assert manifest.table["group"].tolist() == ["100032", "100210", "100210", "104952"]
    assert all(path.is_file() for path in manifest.paths())
    assert esc50(root, subset="esc10").labels == ["dog", "rain"]


def test_the_folder_above_will_do(tmp_path: Path) -> None:
    release(tmp_path / "ESC-50-master")
    assert len(esc50(tmp_path)) == 4


def test_the_other_takes_of_the_release_are_not_aligned_takes(tmp_path: Path) -> None:
    assert "take" not in esc50(release(tmp_path)).table.columns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace(",category", "") + "x,1,0,True,1,A\n", "also category"),
        (HEADER + "x.wav,1,0,hound,True,1,A\n", "unknown category hound"),
        (HEADER + "x.wav,1,3,dog,True,1,A\n", "target 3 for dog"),
        (HEADER + "x.wav,6,0,dog,True,1,A\n", "fold 6"),
        (HEADER + "x.wav,1,0,dog,True,1,A\n" * 2, "the same path"),
        (HEADER, "no rows"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        esc50(release(tmp_path, text))


def test_the_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"has no meta/esc50\.csv"):
        esc50(tmp_path)


def test_real_recordings(shared_data: Path) -> None:
    manifest = esc50(shared_data / "ESC-50", subset="esc10")
    assert len(manifest) == 320
    assert set(manifest.table["label"].value_counts()) == {32}
    assert sorted(set(manifest.table["fold"])) == [1, 2, 3, 4]
    assert manifest.table.groupby("group")["fold"].nunique().max() == 1
    assert all(path.is_file() for path in manifest.paths())
