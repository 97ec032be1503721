"""Files other than audio that hold anything: each is refused in one line, and nothing else happens.

Through the command line where a verb reads the file: exit status 2, one line, no traceback.
"""

from __future__ import annotations

import io
import json
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymic._internal.build_log import BuildLog, BuiltFile
from anymic._internal.files import file_digest
from anymic._internal.reading import MOST_LEVELS, parse_json, parse_yaml, read_arrays
from anymic._internal.settings import read_yaml
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.data.download import unpack
from anymic.data.manifest import Manifest
from anymic.devices.correction.profile import DeviceProfile
from anymic.errors import AnymicError, BundleError, ConfigError, ManifestError
from anymic.evaluation.report.rows import read_json
from anymic.importers.vggish import import_vggish
from anymic.inference.embedding_head import load_head
from anymic.training import load_config

GOLDEN = Path(__file__).parent / "golden"

DEEP = 100_000
JSON_VALUES = {
    "deep lists": ("[" * DEEP + "]" * DEEP, "levels"),
    "deep objects": ('{"a":' * DEEP + "1" + "}" * DEEP, "levels"),
    "a little too deep": ("[" * 200 + "]" * 200, "levels"),
    "5000 digits": ("9" * 5000, "5000 digits"),
    "400 digits": ("-" + "9" * 400, "401 digits"),
    "65 bits": ("18446744073709551616", "20 digits"),
    "not a number": ("NaN", "not finite"),
    "infinity": ("-Infinity", "not finite"),
    "overflow": ("1e999", "not finite"),
    "half a pair": ('"\\ud800"', "cannot be written"),
    "zero byte": ('"a\\u0000b"', "cannot be written"),
    "a key twice": ('{"a": 1, "b": 2, "a": 3}', "the key 'a' twice"),
    "no JSON": ("{a: 1}", "property name"),
}
YAML_VALUES = {
    **{name: JSON_VALUES[name] for name in ("deep lists", "deep objects", "a little too deep")},
    "deep blocks": ("\n" + "".join(f"{' ' * n}- \n" for n in range(1, 300)), "levels"),
    "dashes": ("- " * DEEP, "sequence entries are not allowed|levels"),
    "5000 digits": ("9" * 5000, "digits"),
    "hexadecimal": ("0x" + "f" * 400, "digits"),
    "a month too many": ("2020-13-45", "month"),
    "no leap year": ("2021-02-29", "day"),
    "a date": ("2021-02-28", "put it in quotes"),
    "a time": ("2001-12-14t21:59:43.10-05:00", "put it in quotes"),
    "infinity": (".inf", "not finite"),
    "not a number": (".nan", "not finite"),
    "python": ("!!python/object/apply:os.system ['exit 1']", "could not determine a constructor"),
    "python's type": ("!!python/name:os.system", "could not determine a constructor"),
    "another tag": ("!thing {a: 1}", "could not determine a constructor"),
    "a set": ("!!set {a, b}", "a set"),
    "bytes": ("!!binary AAAA", "a bytes"),
    "a missing alias": ("*nothing", "undefined alias"),
    "itself": ("&a [*a]", "an alias within"),
    "itself in a mapping": ("&a {b: {c: *a}}", "an alias within"),
    "a key twice": ("{a: 1, b: 2, a: 3}", "the key 'a' twice"),
    "a list as a key": ("{[a, b]: 1}", "unhashable"),
}


def bomb(inner: str, outer: str, *, rounds: int = 12) -> str:
    """Return YAML of a few hundred bytes whose aliases stand for 9 to the power of `rounds`."""
    lines = [f"v0: &v0 {inner}"]
    for number in range(1, rounds):
        parts = ", ".join([f"*v{number - 1}"] * 9)
        lines.append(f"v{number}: &v{number} " + outer.format(parts))
    return "\n".join(lines)


BOMBS = {
    "lists": bomb("[x]", "[{}]"),
    "merges": bomb("{a: 1}", "{{<<: [{}]}}"),
    "values": bomb("{a: 1}", "{{b: [{}]}}"),
}


def one_line(text: str) -> str:
    """Check that a refusal is one line of a readable length that can be printed."""
    assert text.isprintable()
    assert len(text) < 2000
    assert "Expected" in text
    return text


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command that is refused, in five seconds, and its line."""

    def refuse(*arguments: object) -> str:
        begun = time.process_time()
        assert main([str(argument) for argument in arguments]) == 2
        assert time.process_time() - begun < 5
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        return one_line(line)

    return refuse


@pytest.mark.parametrize("name", JSON_VALUES)
def test_json_that_cannot_be(name: str, tmp_path: Path) -> None:
    text, says = JSON_VALUES[name]
    with pytest.raises((ValueError, RecursionError)):
        parse_json(f'{{"a": {text}}}')
    path = tmp_path / "report.json"
    path.write_text(f'{{"format": "anymic-report", "version": 1, "a": {text}}}')
    with pytest.raises(AnymicError, match=says) as error:
        read_json(path)
    one_line(str(error.value))


@pytest.mark.parametrize("name", YAML_VALUES)
def test_yaml_that_cannot_be(name: str, tmp_path: Path) -> None:
    text, says = YAML_VALUES[name]
    path = tmp_path / "settings.yaml"
    path.write_text(f"a: {text}\n")
    with pytest.raises(ConfigError, match=says) as error:
        read_yaml(path)
    one_line(str(error.value))


@pytest.mark.parametrize("text", BOMBS.values(), ids=list(BOMBS))
def test_aliases_that_multiply_are_refused_before_they_do(text: str) -> None:
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than 100000 values"):
        parse_yaml(text)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_what_settings_and_records_hold_is_read() -> None:
    """Aliases, merges, levels up to the limit and the largest whole numbers."""
    text = "a: &a {x: 1}\nb: {<<: *a, y: [*a, *a]}\nc: 1.5\nd: ~\ne: '2021-02-28'"
    assert parse_yaml(text) == {
        "a": {"x": 1},
        "b": {"x": 1, "y": [{"x": 1}, {"x": 1}]},
        "c": 1.5,
        "d": None,
        "e": "2021-02-28",
    }
    deep = "[" * (MOST_LEVELS - 2) + "]" * (MOST_LEVELS - 2)
    assert parse_json(f'{{"a": {deep}, "b": 999999999999999999}}')["b"] == 10**18 - 1
    assert parse_yaml(f"a: {deep}") == parse_json(f'{{"a": {deep}}}')


def test_a_text_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    for name, read in (("a.yaml", read_yaml), ("profile.json", DeviceProfile.read)):
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(8 << 30)  # takes no space on the disk
        with pytest.raises(AnymicError, match="it has 8589934592 bytes, and at most"):
            read(path)


@pytest.mark.parametrize("text", ["2020-13-45", "9" * 5000, "[" * 2000, ".nan", "!!python/none"])
def test_settings_of_a_training(text: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    """In a file and in --set alike."""
    (tmp_path / "s.yaml").write_text(f"epochs: {text}\n")
    command = ["train", "--data", tmp_path, "--out", tmp_path / "run"]
    assert "s.yaml cannot be read" in refused(*command, "--config", tmp_path / "s.yaml")
    assert "--set epochs is" in refused(*command, "--set", f"epochs={text}")


@pytest.mark.parametrize("value", [10**15, "9" * 300, [1], {}, None, True, -0.0, 1e308, "x" * 9999])
@pytest.mark.parametrize("key", ["epochs", "clip_s", "frontend.bands", "seed", "codecs"])
def test_values_of_any_kind_for_any_setting(key: str, value: Any) -> None:
    """Each is accepted, or refused by a ConfigError in one line."""
    try:
        load_config("small", changes={key: value})
    except ConfigError as error:
        one_line(str(error))


# Models: every value of their indexes is replaced by every odd one.

ODD: list[Any] = [
    None,
    True,
    -1,
    -0.0,
    0.5,
    10**17,
    1e308,
    "",
    "x" * 5000,
    "\x1b[1m",
    [],
    {},
    [[]],
    [{}],
    {"a": {}},
]


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of each value within lists (their first only) and mappings."""
    found = [place] if place else []
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*place, key))
    elif isinstance(value, list) and value:
        found += places(value[0], (*place, 0))
    return found


def with_value(values: Any, place: tuple[Any, ...], value: Any) -> str:
    """Return JSON with another value at a place."""
    changed = json.loads(json.dumps(values))
    at = changed
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    return json.dumps(changed)


@pytest.mark.parametrize(
    ("folder", "index", "load"),
    [
        ("basic1", "bundle.json", Bundle.load),
        ("fcnn", "bundle.json", Bundle.load),
        ("head", "head.json", load_head),
    ],
)
def test_an_index_with_values_of_any_kind(
    folder: str, index: str, load: Callable[[Path], object], tmp_path: Path
) -> None:
    """Each is read, or refused by a BundleError in one line; the wrong types always are."""
    for path in (GOLDEN / folder).iterdir():
        (tmp_path / path.name).symlink_to(path)
    values = json.loads((GOLDEN / folder / index).read_text())
    (tmp_path / index).unlink()
    generator = np.random.default_rng(1)
    for place in places(values):
        chosen = generator.choice(len(ODD), 3, replace=False)
        for odd in (ODD[number] for number in chosen):
            (tmp_path / index).write_text(with_value(values, place, odd))
            try:
                load(tmp_path)
            except BundleError as error:
                one_line(str(error))


@pytest.mark.parametrize("odd", [-0.0, 0, None, [], {}, "", "0" * 64, True])
def test_a_hash_of_any_kind(odd: Any, tmp_path: Path, refused: Callable[..., str]) -> None:
    for path in (GOLDEN / "basic1").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    values = json.loads((tmp_path / "bundle.json").read_text())
    values["sha256"]["weights.safetensors"] = odd
    (tmp_path / "bundle.json").write_text(json.dumps(values))
    refused("predict", GOLDEN / "clip.flac", "--model", tmp_path)
    (tmp_path / "bundle.json").write_text(json.dumps({**values, "sha256": odd}))
    refused("predict", GOLDEN / "clip.flac", "--model", tmp_path)


# Arrays.


def safetensors(shape: list[int], *, kind: str = "F32", ends: tuple[int, int] = (0, 4)) -> bytes:
    header = json.dumps({"a": {"dtype": kind, "shape": shape, "data_offsets": ends}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


WEIGHTS = {
    "a trillion values": safetensors([10**12]),
    "overflow": safetensors([2**32, 2**32]),
    "overflow to the right size": safetensors([2**63, 2**63, 0, 1]),
    "negative": safetensors([-1]),
    "ends that cross": safetensors([1], ends=(4, 0)),
    "beyond the end": safetensors([1 << 40], ends=(0, 4 << 40)),
    "another kind": safetensors([1], kind="X9"),
    "a long header": struct.pack("<Q", 1 << 60) + b"{}",
    "no header": b"",
    "a deep header": struct.pack("<Q", 2 * DEEP) + b"[" * (2 * DEEP),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of_an_impossible_shape(
    name: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """The hash is right: somebody made this file."""
    for path in (GOLDEN / "basic1").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights, index = tmp_path / "weights.safetensors", tmp_path / "bundle.json"
    weights.write_bytes(WEIGHTS[name])
    values = json.loads(index.read_text())
    values["sha256"]["weights.safetensors"] = file_digest(weights)
    index.write_text(json.dumps(values))
    refused("predict", GOLDEN / "clip.flac", "--model", tmp_path)
    with pytest.raises(BundleError):
        import_vggish(weights)


def npy(header: str) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64)


HEADERS = {
    "a trillion values": "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
    "overflow": "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
    "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-16,), }",
    "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }",
    "a huge item": "{'descr': '|S2147483647', 'fortran_order': False, 'shape': (1,), }",
    "no shape": "{'descr': '<f4', 'fortran_order': False, 'shape': None, }",
    "code": "{'descr': '<f4', 'fortran_order': False, 'shape': (print(1),), }",
}


@pytest.mark.parametrize("name", HEADERS)
def test_embeddings_of_an_impossible_shape(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "v.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("features.npy", npy(HEADERS[name]))
    assert main(["predict", str(path), "--model", str(GOLDEN / "head")]) == 1  # one of the files
    assert "v.npz cannot be read" in one_line(capsys.readouterr().out.strip().replace("\t", " "))
    with pytest.raises(BundleError):
        import_vggish(path)


def test_an_archive_that_holds_far_more_than_its_bytes(tmp_path: Path) -> None:
    """A gigabyte of zeros in a megabyte: neither arrays nor a corpus are unpacked from it."""
    path = tmp_path / "v.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"{number}.npy", bytes(64 << 20))
    with pytest.raises(ValueError, match="bytes state 335544320 bytes of content"):
        read_arrays(path)
    with pytest.raises(AnymicError, match="bytes of content") as error:
        unpack(path, tmp_path / "root")
    one_line(str(error.value))
    assert not (tmp_path / "root").exists()


# Archives of corpora.


def zipped(name: str = "a.txt", content: bytes = b"a" * 5000) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return target.getvalue()


def damaged(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


ARCHIVES = {
    "wrong data": damaged(zipped(), 40, b"\xff" * 8),
    "wrong checksum": damaged(zipped(), zipped().rindex(b"PK\1\2") + 16, b"abcd"),
    "encrypted": zipped().replace(b"\x14\0\0\0\x08\0", b"\x14\0\x01\0\x08\0"),
    "another method": zipped().replace(b"\x14\0\0\0\x08\0", b"\x14\0\0\0\x63\0"),
    "no text as a name": damaged(zipped(), zipped().rindex(b"a.txt"), b"\xff\xfe\xfd\xfc\xfb"),
    "cut": zipped()[:-30],
    "a long name": zipped("a" * 5000),
    "outside": zipped("../a.txt"),
    "outside, later": zipped("b/../../a.txt"),
    "an absolute path": zipped("/tmp/anymic-outside.txt"),
    "the folder itself": zipped("."),
    "empty": b"",
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_that_cannot_be_unpacked(name: str, tmp_path: Path) -> None:
    path = tmp_path / "corpus.zip"
    path.write_bytes(ARCHIVES[name])
    with pytest.raises(AnymicError) as error:
        unpack(path, tmp_path / "root")
    one_line(str(error.value))
    assert not any(file.is_file() for file in (tmp_path / "root").rglob("*"))
    assert sorted(file.name for file in tmp_path.iterdir() if file.name != "root") == ["corpus.zip"]


def test_a_damaged_member_is_unpacked_again(tmp_path: Path) -> None:
    """It had its full length when its checksum turned out to be wrong, and must not stay."""
    path = tmp_path / "corpus.zip"
    content = bytes(range(256)) * 20
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("a.bin", content)
    path.write_bytes(damaged(stored.getvalue(), 60, b"xx"))
    with pytest.raises(AnymicError, match="Bad CRC"):
        unpack(path, tmp_path / "root")
    path.write_bytes(stored.getvalue())
    unpack(path, tmp_path / "root")
    assert (tmp_path / "root" / "a.bin").read_bytes() == content


def test_links_in_an_archive_lead_nowhere(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        archive.writestr(link, "/etc")
        archive.writestr("link/passwd", "x")
    with pytest.raises(AnymicError):
        unpack(tmp_path / "corpus.zip", tmp_path / "root")
    assert not any(path.is_symlink() for path in (tmp_path / "root").rglob("*"))


# Logs.


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[" * DEEP,
        b"\xff\xfe",
        b"null",
        b'{"path": 1}',
        b'{"path": [], "bytes": "x"}',
        b"1e999",
    ],
)
def test_a_damaged_line_of_a_build_log_is_left_out(line: bytes, tmp_path: Path) -> None:
    with BuildLog(tmp_path) as log:
        log.add(BuiltFile("a", "0" * 32, 0, 0))
    (tmp_path / "a").touch()
    with (tmp_path / "build_log.jsonl").open("ab") as file:
        file.write(line + b"\n")
    with BuildLog(tmp_path) as log:
        assert log.find("a", "0" * 32) == BuiltFile("a", "0" * 32, 0, 0)
    assert (tmp_path / "build_log.jsonl").read_bytes().count(b"\n") == 1


# Formats of others.


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.999])
def test_damaged_onnx_models(cut: float, tmp_path: Path, refused: Callable[..., str]) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx, of the extra dev, is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    values = [helper.make_tensor_value_info(name, number, ("b", 3)) for name in ("x", "y")]
    node = helper.make_node("Softmax", ["x"], ["y"])
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    data = model.SerializeToString()
    path = tmp_path / "m.onnx"
    path.write_bytes(damaged(data[: int(len(data) * cut)], 3, b"\xff\xff\xff\xff"))
    clips = tmp_path / "clips.csv"
    clips.write_text(f"path,label\n{GOLDEN / 'clip.flac'},a\n{GOLDEN / 'long.flac'},b\n")
    command = ["robustness", "--data", clips, "--out", tmp_path / "out", "--model", path]
    refused(*command, "--labels", "a,b,c", "--rate-hz", 8000)


@pytest.mark.parametrize("what", ["attributes", "loop", "shape", "cut"])
def test_damaged_keras_checkpoints(what: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    """An array of a trillion values that takes no space, and bytes that were changed."""
    h5py = pytest.importorskip("h5py", reason="the extra keras is not installed")
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{" if what == "attributes" else '{"config": {"layers": []}}'
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = ["a"]
        layer = group.create_group("a")
        layer.attrs["weight_names"] = ["a/kernel:0"]
        shape = (10**6, 10**6) if what == "shape" else (3,)
        layer.create_dataset("a/kernel:0", shape, "f4", chunks=(3, 3)[: len(shape)])
    data = path.read_bytes()
    if what == "cut":
        path.write_bytes(data[: len(data) // 2])
    if what == "loop":  # the collection of texts names itself
        at = data.rindex(b"GCOL")
        path.write_bytes(damaged(data, at + 16, bytes(16)))
    assert "m.h5" in refused("import", "keras", path, "--out", tmp_path / "out")


def test_a_pickle_of_anything_but_weights(tmp_path: Path, refused: Callable[..., str]) -> None:
    values: list[Any] = [[1, 2], {"features.0.weight": 3}, {"a": torch.zeros(1)}, 7]
    for value in values:
        torch.save(value, tmp_path / "w.pth")
        refused("import", "vggish", tmp_path / "w.pth", "--out", tmp_path / "out")


def test_a_manifest_cell_of_any_length_is_not_repeated(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    path = tmp_path / "m.csv"
    for cell in ("9" * 5000, "x" * 100_000, "\x1b]0;title\x07", "\u202e"):
        path.write_text(f"path,label,start_s\na.wav,dog,{cell}\n", encoding="utf-8")
        refused("data", "show", path)
        with pytest.raises(ManifestError):
            Manifest.read(path)
