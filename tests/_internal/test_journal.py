from __future__ import annotations

from pathlib import Path

import pytest

from anymic._internal.folder_lock import folder_lock
from anymic._internal.journal import COMPLETE, Journal, journal_folder, journal_of
from anymic.errors import AnymicWarning, ConfigError

SETTINGS = {"model": "abc", "threshold": 0.5, "rules": [1, 2]}


def numbers(journal: Journal) -> list[int]:
    return [record["number"] for _, record in journal.records()]


def filled(out: Path, count: int) -> Path:
    with journal_of(out, SETTINGS) as journal:
        for number in range(count):
            journal.add({"number": number, "text": "a\nb \udce9"})
    return journal_folder(out)


def test_records_are_found_again(tmp_path: Path) -> None:
    folder = filled(tmp_path / "out.csv", 3)
    with journal_of(tmp_path / "out.csv", SETTINGS) as journal:
        assert numbers(journal) == [0, 1, 2]
        journal.add({"number": 3})
        assert numbers(journal) == [0, 1, 2, 3]
        journal.end()
    assert not folder.exists()


def test_a_cut_at_any_byte_loses_only_the_last_records(tmp_path: Path) -> None:
    """Wherever a kill ends a write, complete records stay, and nothing is said of the rest."""
    folder = filled(tmp_path / "out.csv", 3)
    (shard,) = folder.glob("*.jsonl")
    data = shard.read_bytes()
    ends = [at + 1 for at, byte in enumerate(data) if byte == 10]
    for cut in range(0, len(data), 7):
        shard.write_bytes(data[:cut])
        with journal_of(tmp_path / "out.csv", SETTINGS) as journal:
            assert numbers(journal) == list(range(sum(end <= cut for end in ends)))


def test_damage_is_one_line_and_the_other_records_stay(tmp_path: Path) -> None:
    folder = filled(tmp_path / "out.csv", 3)
    (shard,) = folder.glob("*.jsonl")
    lines = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(lines[0] + lines[1].replace(b'"number":1', b'"number":7') + lines[2])
    damaged = pytest.warns(AnymicWarning, match=r"1 of 3 lines of .*00000.jsonl cannot be read")
    with damaged, journal_of(tmp_path / "out.csv", SETTINGS) as journal:
        assert numbers(journal) == [0, 2]


@pytest.mark.parametrize("other", [{"threshold": 0.6}, {"model": "def"}])
def test_other_settings_are_refused_and_nothing_is_lost(
    tmp_path: Path, other: dict[str, object]
) -> None:
    filled(tmp_path / "out.csv", 2)
    wanted = "threshold 0.5, now 0.6" if "threshold" in other else "another model"
    refused = pytest.raises(ConfigError, match=f"{wanted}.*Expected.*delete the journal")
    with refused, journal_of(tmp_path / "out.csv", {**SETTINGS, **other}):
        pass
    with journal_of(tmp_path / "out.csv", SETTINGS) as journal:
        assert numbers(journal) == [0, 1]


def test_damaged_settings_are_refused(tmp_path: Path) -> None:
    folder = filled(tmp_path / "out.csv", 2)
    (folder / "settings.json").write_text("{")
    with (
        pytest.raises(ConfigError, match="other settings"),
        journal_of(tmp_path / "out.csv", SETTINGS),
    ):
        pass


def test_the_journal_of_a_complete_run_gives_way_to_other_settings(tmp_path: Path) -> None:
    with journal_of(tmp_path / "out.csv", SETTINGS) as journal:
        journal.add({"number": 0})
        journal.end(keep=True)
    assert (journal_folder(tmp_path / "out.csv") / COMPLETE).exists()
    with journal_of(tmp_path / "out.csv", SETTINGS) as journal:
        assert numbers(journal) == [0]
        assert journal.was_complete
        journal.end(keep=True)
    with journal_of(tmp_path / "out.csv", {**SETTINGS, "threshold": 0.9}) as journal:
        assert numbers(journal) == []


def test_what_is_left_of_a_deleted_journal_is_not_used(tmp_path: Path) -> None:
    folder = filled(tmp_path / "out.csv", 2)
    (folder / "settings.json").unlink()
    with journal_of(tmp_path / "out.csv", SETTINGS) as journal:
        assert numbers(journal) == []


def test_a_folder_of_that_name_keeps_the_files_of_others(tmp_path: Path) -> None:
    folder = journal_folder(tmp_path / "out.csv")
    (folder / "own").mkdir(parents=True)
    (folder / "own" / "diary.txt").write_text("mine")
    (folder / "notes.jsonl").write_text("mine")
    with journal_of(tmp_path / "out.csv", SETTINGS) as journal:
        journal.add({"number": 0})
        journal.end()
    assert sorted(path.name for path in folder.iterdir()) == ["notes.jsonl", "own"]
    assert (folder / "own" / "diary.txt").read_text() == "mine"


def test_two_runs_at_a_time_are_refused(tmp_path: Path) -> None:
    held = folder_lock(journal_folder(tmp_path / "out.csv"))
    refused = pytest.raises(ConfigError, match=r"(?i)another run is writing")
    with held, refused, journal_of(tmp_path / "out.csv", SETTINGS):
        pass


def test_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anymic._internal.journal.SHARD_BYTES", 100)
    folder = filled(tmp_path / "out.csv", 20)
    assert len(list(folder.glob("*.jsonl"))) > 5
    with journal_of(tmp_path / "out.csv", SETTINGS) as journal:
        assert numbers(journal) == list(range(20))
