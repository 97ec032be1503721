from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import anymic
from anymic._internal.files import file_digest
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.errors import BundleError, ConfigError
from anymic.sharing import pull, push
from anymic.sharing.places import SharingError

GOLDEN = Path(__file__).parents[1] / "golden"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["basic1", "ensemble", "identifier", "tagger"])
@pytest.mark.parametrize("scheme", ["", "file://", "memory://"])
def test_what_is_pulled_is_what_was_pushed(name: str, scheme: str, tmp_path: Path) -> None:
    if not (GOLDEN / name / "bundle.json").is_file():
        pytest.skip(f"{name} is no bundle")
    if scheme == "memory://":
        pytest.importorskip("fsspec")
    where = f"{scheme}{tmp_path / 'place'}"
    push(GOLDEN / name, where)
    found = contents(pull(where, tmp_path / "out"))
    card = found.pop("MODEL_CARD.md").decode()
    assert card.startswith("---\nlibrary_name: anymic\n")
    assert "license" not in card.split("---")[1]
    assert found == contents(GOLDEN / name)
    assert anymic.load(tmp_path / "out").labels == anymic.load(GOLDEN / name).labels


def test_only_the_bundle_is_sent(bundle_folder: Path, tmp_path: Path) -> None:
    for name in ("checkpoints/last.ckpt", "logs/a", "features/b", "training.json", "secret.txt"):
        (bundle_folder / name).parent.mkdir(exist_ok=True)
        (bundle_folder / name).write_bytes(b"x")
    sent = push(bundle_folder, str(tmp_path / "place"))
    assert sent[-1] == "bundle.json", "without it, an interrupted push is no model"
    assert set(contents(tmp_path / "place")) == {
        "MODEL_CARD.md",
        "bundle.json",
        "profile.json",
        "weights.safetensors",
    }


def test_a_model_of_another_kind_is_replaced_whole(bundle_folder: Path, tmp_path: Path) -> None:
    push(GOLDEN / "basic1", str(tmp_path / "place"))
    push(bundle_folder, str(tmp_path / "place"))
    assert anymic.load(tmp_path / "place").labels == ("dog", "rain", "siren")
    assert not (tmp_path / "place" / "calibration.safetensors").exists()


@pytest.fixture
def place(bundle_folder: Path, tmp_path: Path) -> Path:
    push(bundle_folder, str(tmp_path / "place"))
    return tmp_path / "place"


def _list(place: Path, name: str) -> None:
    index = json.loads((place / "bundle.json").read_text())
    digest = file_digest(place / "weights.safetensors")
    index["sha256"][name] = digest
    (place / "bundle.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    "name",
    [
        "../escaped.txt",
        "/tmp/escaped.txt",
        "members/00/../../../escaped/bundle.json",
        "members\\00\\bundle.json",
        "code.py",
        "weights.pkl",
        "WEIGHTS.safetensors",
        "bundle.json/x",
        "",
    ],
)
def test_a_file_that_is_no_part_is_refused(place: Path, tmp_path: Path, name: str) -> None:
    _list(place, name)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(BundleError, match="no part of a bundle"):
        pull(str(place), tmp_path / "out")
    assert {path for path in set(tmp_path.rglob("*")) - before if path.is_file()} == set()


def test_an_altered_file_is_refused_and_the_old_model_stays(place: Path, tmp_path: Path) -> None:
    pull(str(place), tmp_path / "out")
    before = contents(tmp_path / "out")
    data = bytearray((place / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (place / "weights.safetensors").write_bytes(data)
    with pytest.raises(BundleError, match="not the one that was saved"):
        pull(str(place), tmp_path / "out")
    assert contents(tmp_path / "out") == before
    (place / "weights.safetensors").unlink()
    with pytest.raises(SharingError, match="cannot be reached"):
        pull(str(place), tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_a_model_that_does_not_load_is_refused(place: Path, tmp_path: Path) -> None:
    """Also where the checksums fit."""
    pull(str(place), tmp_path / "out")
    before = contents(tmp_path / "out")
    (place / "weights.safetensors").write_bytes(b"no weights")
    _list(place, "weights.safetensors")
    with pytest.raises(BundleError, match="weights"):
        pull(str(place), tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_a_link_out_of_the_folder_is_not_followed(place: Path, tmp_path: Path) -> None:
    shutil.move(place / "weights.safetensors", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", place / "weights.safetensors")
    with pytest.raises(SharingError, match="a link to another folder"):
        pull(str(place), tmp_path / "out")


def test_an_edited_card_is_sent(bundle_folder: Path, tmp_path: Path) -> None:
    assert main(["card", str(bundle_folder), "--license", "apache-2.0"]) == 0
    card = bundle_folder / "MODEL_CARD.md"
    assert card.read_text().startswith("---\nlicense: apache-2.0\n")
    card.write_text("my own\n")
    push(bundle_folder, str(tmp_path / "place"))
    assert (tmp_path / "place" / "MODEL_CARD.md").read_text() == "my own\n"
    with pytest.raises(BundleError, match="license"):
        push(bundle_folder, str(tmp_path / "place"), license_name="mit")


def test_wrong_places_are_one_line(
    refused: Callable[..., str], bundle_folder: Path, tmp_path: Path
) -> None:
    assert "itself" in refused("push", bundle_folder, bundle_folder)
    assert "owner/name" in refused("push", bundle_folder, "hf://nobody")
    assert "cannot be reached" in refused("pull", tmp_path / "none", "--out", tmp_path / "out")
    assert "nosuch" in refused("push", bundle_folder, "nosuch://x/y")
    assert not (tmp_path / "out" / "bundle.json").exists()
    with pytest.raises(ConfigError):
        pull("hf://../x", tmp_path / "out")


def test_the_card_states_what_the_model_records(small_bundle: Bundle, tmp_path: Path) -> None:
    from dataclasses import replace

    from anymic.sharing import write_card

    odd = ("<script>x</script>", "a|b`c`", "[l](http://x)")
    folder = replace(small_bundle, labels=odd).save(tmp_path / "odd")
    text = write_card(folder).read_text()
    assert "<script>" not in text
    assert "a\\|b\\`c\\`" in text
    assert "](http" not in text.replace("\\](http", "")
    assert "Not measured" in text
    assert "| weights | 1 |" in text
    assert "not calibrated" in text
    assert "| B | its profile |" in text
    assert str(tmp_path) not in text
    (folder / "report").mkdir()
    rows = [
        {"condition": {}, "metric": "accuracy", "value": 0.7, "low": 0.6, "high": 0.8, "n": 40},
        {
            "condition": {"device": "B"},
            "metric": "accuracy",
            "value": 0.5,
            "low": 0.25,
            "high": 0.75,
            "n": 12,
        },
    ]
    report = {"format": "anymic-report", "version": 1, "digest": "abc", "data": "/home/me/x.csv"}
    (folder / "report" / "report.json").write_text(json.dumps({**report, "rows": rows}))
    text = write_card(folder).read_text()
    assert "| all | accuracy | 0.700 | 0.600 to 0.800 | 40 |" in text
    assert "| B | accuracy | 0.500 | 0.250 to 0.750 | 12 |" in text
    assert "/home/me" not in text
