from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anymic.data.corpora.folder import folder
from anymic.errors import AnymicWarning, ManifestError


def test_a_label_a_folder(tmp_path: Path, wav: Callable[..., Path]) -> None:
    for name in ("dog/a.wav", "dog/deep/b.WAV", "rain/a.wav", "rain/.hidden.wav", ".git/x.wav"):
        wav(tmp_path / name)
    (tmp_path / "README.txt").write_text("not audio")
    (tmp_path / "dog" / "notes.txt").write_text("not audio")
    with pytest.warns(AnymicWarning, match=r"^4 files skipped: 2 hidden, 2 \.txt$"):
        manifest = folder(tmp_path)
    assert list(manifest.table.itertuples(index=False, name=None)) == [
        ("dog/a.wav", "dog"),
        ("dog/deep/b.WAV", "dog"),
        ("rain/a.wav", "rain"),
    ]
    assert all(path.is_file() for path in manifest.paths())


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], r"has no folders\. .* Make a folder named after each label"),
        (["loose.wav", "dog/a.wav"], "not in the folder of a label: loose.wav"),
        (["dog/a.wav", "cat/a.txt", "hen/b.txt"], "no audio in cat, hen"),
    ],
)
def test_other_layouts_are_refused(
    tmp_path: Path, wav: Callable[..., Path], files: list[str], message: str
) -> None:
    for name in files:
        wav(tmp_path / "x.wav").rename(tmp_path / "kept")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / "kept").rename(tmp_path / name)
    with pytest.raises(ManifestError, match=message):
        folder(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No folder"):
        folder(tmp_path / "none")


def test_folders_of_splits(tmp_path: Path, wav: Callable[..., Path]) -> None:
    """Else the labels would be "train" and "test", and the test clips would train."""
    for name in ("Train/dog/a.wav", "Train/rain/b.wav", "val/dog/c.wav", "testing/rain/d.wav"):
        wav(tmp_path / name)
    with pytest.warns(AnymicWarning, match="folders Train, testing, val are read as splits"):
        manifest = folder(tmp_path)
    assert list(manifest.table.itertuples(index=False, name=None)) == [
        ("Train/dog/a.wav", "dog", "train"),
        ("Train/rain/b.wav", "rain", "train"),
        ("testing/rain/d.wav", "rain", "test"),
        ("val/dog/c.wav", "dog", "validation"),
    ]
    wav(tmp_path / "Train" / "loose.wav")
    with pytest.raises(ManifestError, match=r"not in the folder of a label: loose\.wav"):
        folder(tmp_path)
