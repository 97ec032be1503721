"""Weights, arrays, archives, logs and checkpoints that hold anything: each is refused in one line.

Through the command line where a verb reads the file: exit status 2, one line, no traceback.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.refusals import one_line

from anymic._internal.build_log import BuildLog, BuiltFile
from anymic._internal.files import file_digest
from anymic._internal.npz import read_arrays
from anymic.cli import main
from anymic.data.download import unpack
from anymic.errors import AnymicError, BundleError
from anymic.importers.vggish import import_vggish

GOLDEN = Path(__file__).parent / "golden"
DEEP = 100_000


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
