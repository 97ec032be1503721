"""Tables as people and spreadsheets write them: read rightly, or refused with row and column."""

from __future__ import annotations

import codecs
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from anymic.cli import main
from anymic.data.manifest import Manifest
from anymic.data.reading import as_manifest
from anymic.data.splits import clips_of_split
from anymic.data.text_tables import MOST_COLUMNS, read_table
from anymic.errors import AnymicWarning, ManifestError

TWO = "path,label\na.wav,dog\nb.wav,rain\n"
ROWS = [("a.wav", "dog"), ("b.wav", "rain")]

Written = Callable[[str | bytes], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(text: str | bytes) -> Path:
        path = tmp_path / "m.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def cells(manifest: Manifest) -> list[tuple[str, ...]]:
    return list(manifest.table.itertuples(index=False, name=None))


def refused(path: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        Manifest.read(path)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 1000
    return line


def notes_of(path: Path) -> tuple[Manifest, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        manifest = as_manifest(path)
    assert {one.category for one in caught} <= {AnymicWarning}
    return manifest, [str(one.message) for one in caught]


# Text lost


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("path,label\na.wav,low, heavy\n", "row 2 has ' heavy' after the last column, label"),
        ("path,label\na.wav,dog\nb,1.wav,cat\n", "row 3 has 'cat' after the last column, label"),
        ("path,label,\na.wav,low, heavy\n", "a cell without a column in row 2: ' heavy'"),
        ("path,label,split\na.wav,dog,test\nb.wav,test\n", "row 3 has no cell for split"),
        ("path,label\na.wav\n", "row 2 has no cell for label"),
        ('path,label\n"a.wav,dog\nb.wav,rain\n', "row 2"),
        ('path,label\na.wav,dog\n"b"x.wav,rain\n', "row 3"),
        ("path\tlabel\na.wav\tlow\theavy\n", "row 2 has 'heavy' after the last column, label"),
    ],
)
def test_no_text_is_lost(text: str, place: str, written: Written) -> None:
    assert place in refused(written(text))


@pytest.mark.parametrize(
    "text",
    [
        'path,label\na.wav,"low, heavy"\n',
        "path;label\na.wav;low, heavy\n",
        "path\tlabel\na.wav\tlow, heavy\n",
    ],
)
def test_a_comma_in_a_cell(text: str, written: Written) -> None:
    assert cells(notes_of(written(text))[0]) == [("a.wav", "low, heavy")]


@pytest.mark.parametrize(
    "text",
    [
        TWO,
        '"path","label"\n"a.wav","dog"\n"b.wav","rain"\n',
        TWO.replace("\n", "\r\n"),
        TWO.replace("\n", "\r"),
        TWO.rstrip(),
        TWO.replace("\n", ",,\n"),  # columns that a spreadsheet left empty
        TWO + ",\n,\n\n",  # rows that a spreadsheet left empty
        TWO.replace(",", "\t"),
        TWO.replace(",", ", "),
        codecs.BOM_UTF8 + TWO.encode(),
        TWO.encode("utf-16"),
        codecs.BOM_UTF16_BE + TWO.encode("utf-16-be"),
        TWO.encode("utf-32"),
    ],
)
def test_forms_that_are_read_without_a_note(text: str | bytes, written: Written) -> None:
    manifest, notes = notes_of(written(text))
    assert cells(manifest) == ROWS
    assert not notes


def test_a_semicolon_is_told_by_that_word(written: Written) -> None:
    manifest, notes = notes_of(written('"path";"label"\n"a.wav";"dog"\n"b.wav";"rain"\n'))
    assert cells(manifest) == ROWS
    assert len(notes) == 1
    assert "separated by semicolons" in notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.wav,caf\xe9\n".encode("latin-1"), "row 2, column label, is not UTF-8"),
        ("path,label\ncaf\xe9.wav,dog\n".encode("latin-1"), "row 2, column path, is not UTF-8"),
        ("path,label,g\xe9\na.wav,x,y\n".encode("latin-1"), "the header is not UTF-8"),
        (TWO.encode("utf-16-le"), "NUL byte in line 1"),
        (b"path,label\na.wav,dog\nb.wav,\0\n", "NUL byte in line 3"),
        (codecs.BOM_UTF16_LE + b"path,label\n", "utf-16"),
        (b"PK\x03\x04\0\0", "NUL byte in line 1"),
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"path,label\n", "no rows"),
        (b"# only a comment\n", "empty"),
        (b"path,label,label\na.wav,dog,cat\n", "column label twice"),
        (b"path,path,label\na.wav,a.wav,cat\n", "column path twice"),
        (b"path,label,city,city\na.wav,dog,x,y\n", "column city twice"),
    ],
)
def test_what_is_no_table_is_refused(text: bytes, message: str, written: Written) -> None:
    assert message in refused(written(text))


def test_a_long_recording_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    with path.open("wb") as file:
        file.write(b"RIFF\0\0\0\0WAVE")
        file.truncate(1 << 33)
    begin = time.process_time()
    assert "NUL byte" in refused(path)
    assert time.process_time() - begin < 1


@pytest.mark.parametrize("count", [MOST_COLUMNS, 100_000])
def test_many_columns_are_answered_at_once(count: int, written: Written) -> None:
    names = ",".join(f"c{number}" for number in range(count))
    zeros = ",0" * count
    path = written(f"path,label,{names}\n" + "".join(f"{n}.wav,x{zeros}\n" for n in range(3)))
    begin = time.process_time()
    line = refused(path)
    assert f"has {count + 2} columns. Expected at most {MOST_COLUMNS}" in line
    assert time.process_time() - begin < 1


def test_a_wrong_header_with_many_columns_is_one_short_line(written: Written) -> None:
    names = ",".join(f"c{number}" for number in range(900))
    assert "c0, c1" in refused(written(f"{names}\n{',0' * 899}\n"))


def test_the_index_of_pandas_is_not_used(tmp_path: Path) -> None:
    table = pd.DataFrame(ROWS, columns=["path", "label"])
    table.to_csv(tmp_path / "m.csv")
    manifest, notes = notes_of(tmp_path / "m.csv")
    assert cells(manifest) == ROWS
    assert "first column of" in notes[0]
    assert "no name" in notes[0]


def test_what_pandas_reads_is_read_alike(written: Written) -> None:
    text = (
        'path,label,x\n"a,1.wav",NA,"two\nlines"\nb.wav, 1e3 ,"he said ""yes"""\n"c.wav",,5" high\n'
    )
    expected = pd.read_csv(written(text), dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(read_table(written(text)).astype(expected.dtypes), expected)


# Rows in messages


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("path,label\na.wav,x\nb.wav,\n", "row 3"),
        ("path,label\n\n\na.wav,x\n\nb.wav,\n", "row 6"),
        ("\n\npath,label\na.wav,x\n   \nb.wav,\n", "row 6"),
        ("# two,\n# lines\npath,label\na.wav,x\n# b.wav,y\nb.wav,\n", "row 6"),
        ('path,label,x\na.wav,x,"one\n# two\n"\nb.wav,,\n', "row 3 (line 5)"),
        ('path,label,x\r\na.wav,x,"one\r\ntwo"\r\n\r\nb.wav,,\r\n', "row 4 (line 5)"),
    ],
)
def test_a_row_is_that_of_the_file(text: str, row: str, written: Written) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AnymicWarning)
        assert f"empty label in {row}." in refused(written(text))


def test_comments_are_counted_and_a_name_may_begin_with_their_sign(
    tmp_path: Path, written: Written
) -> None:
    manifest, notes = notes_of(written('#1.wav,x\npath,label\n"#1.wav",dog\nb.wav,rain\n'))
    assert cells(manifest) == [("#1.wav", "dog"), ("b.wav", "rain")]
    assert "has 1 comments" in notes[0]
    again, notes = notes_of(manifest.write(tmp_path / "again.csv"))
    assert cells(again) == cells(manifest)
    assert not notes


# Usual spellings


@pytest.mark.parametrize(
    "column", ["phase", "split", "Split", " SPLIT ", "subset", "Set", "partition", "splits"]
)
def test_usual_spellings_of_splits(column: str, written: Written) -> None:
    spelled = {
        "train": ("train", "Train", "train ", "TRAINING", "\u00a0train"),
        "validation": ("val", "valid", "Validation", "dev", "development"),
        "test": ("test", "testing", "eval", "Evaluation", "\uff54est"),
    }
    rows = [(split, name) for split, names in spelled.items() for name in names]
    text = "".join(f"{number}.wav,x,{name}\n" for number, (_, name) in enumerate(rows))
    manifest, notes = notes_of(written(f"path,label,{column}\n{text}"))
    assert manifest.table["split"].tolist() == [split for split, _ in rows]
    if column != "split":
        assert f"the column {column!r} is read as split" in notes[0]
    assert "split 'Train' is read as 'train' (1 row)" in notes[-1]
    assert len(clips_of_split(manifest, "val", purpose="evaluate on")) == 5


def test_columns_that_are_not_used_are_named(written: Written) -> None:
    manifest, notes = notes_of(written("path,label,split,Split\na.wav,x,train,test\n"))
    assert manifest.table["split"].tolist() == ["train"]
    assert notes == ["the column 'Split' is not used, because there is split"]
    manifest, notes = notes_of(written("path,label,set\na.wav,x,1\nb.wav,y,2\n"))
    assert "split" not in manifest.table
    manifest, notes = notes_of(written("Path,LABEL,Fold, Device\na.wav,x,1,A\nb.wav,y,2,A\n"))
    assert manifest.table["fold"].tolist() == [1, 2]
    assert manifest.devices == ["A"]
    assert len(notes) == 1


def test_a_flag_in_place_of_a_split_is_named(written: Written) -> None:
    manifest, notes = notes_of(written("path,label,is_test\na.wav,x,0\nb.wav,y,1\n"))
    assert "split" not in manifest.table
    assert notes == ["the column 'is_test' is not used: name the splits in a column split"]


def test_a_column_of_a_frame_that_is_there_twice() -> None:
    table = pd.DataFrame([["a.wav", "x", "y"]], columns=["path", "label", "label"])
    with pytest.raises(ManifestError, match="column label twice"):
        Manifest.from_table(table)


def test_a_frame_is_read_alike() -> None:
    frame = pd.DataFrame(
        {"path": ["a.wav", "b.wav"], "label": ["x", "y"], "Subset": ["Dev", "test"]}
    )
    with pytest.warns(AnymicWarning, match="'Subset' is read as split"):
        manifest = as_manifest(frame)
    assert manifest.table["split"].tolist() == ["validation", "test"]
    assert list(frame.columns) == ["path", "label", "Subset"]


# Look-alikes


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ("dog", " dog", "' dog'"),
        ("dog", "dog ", "'dog '"),
        ("dog", "Dog", "'Dog'"),
        ("caf\u00e9", "cafe\u0301", "'cafe\\u0301'"),
        ("low heavy", "low\u00a0heavy", "'low\\xa0heavy'"),
        ("dog", "\uff44og", "'\\uff44og'"),
        ("dog", "do\u200bg", "'do\\u200bg'"),
        ("low heavy", "low_heavy", "'low_heavy'"),
    ],
)
@pytest.mark.parametrize("column", ["label", "device"])
def test_look_alikes_are_named_with_their_merge(
    one: str, other: str, shown: str, column: str, written: Written
) -> None:
    rest = "label" if column == "device" else "device"
    text = "".join(f"{n}.wav,{name},{n}\n" for n, name in enumerate((one, one, other)))
    _, notes = notes_of(written(f"path,{column},{rest}\n{text}"))
    (note,) = notes
    assert note.startswith(f"some {column}s look alike: ")
    assert f"{shown} (1 row)" in note
    assert note.endswith(f"in place of {shown}")


def test_different_labels_are_no_look_alikes(written: Written) -> None:
    assert not notes_of(written("path,label\na.wav,dog\nb.wav,dogs\nc.wav,d\u00f6g\n"))[1]


# Paths


def test_backslashes_of_windows(tmp_path: Path, wav: Callable[..., Path], written: Written) -> None:
    wav(tmp_path / "audio" / "a.wav")
    manifest, notes = notes_of(written("path,label\naudio\\a.wav,dog\naudio\\b.wav,rain\n"))
    assert manifest.table["path"].tolist() == ["audio/a.wav", "audio/b.wav"]
    assert "(2 rows)" in notes[0]
    wav(tmp_path / "audio\\a.wav")
    manifest, _ = notes_of(written("path,label\naudio\\a.wav,dog\n"))
    assert manifest.table["path"].tolist() == ["audio\\a.wav"]


def test_the_line_of_the_command(
    bundle_folder: Path, written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written("path,label\na.wav,low, heavy\n")
    assert main(["evaluate", str(bundle_folder), "--data", str(path)]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "row 2 has ' heavy' after the last column, label" in shown
    assert "Put a cell that contains the separator in quotation marks" in shown
