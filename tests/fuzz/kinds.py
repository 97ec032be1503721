"""The kinds of files that the fuzzer changes: how a good one is written, and what reads it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np
import soundfile
import torch
from tests.fuzz.audio_files import WRITERS
from tests.fuzz.mutations import Generator, change_bytes, change_tensors, change_text, change_zipped
from tests.odd_files.writing import noise

from anymic import load
from anymic._internal.build_log import BuildLog, BuiltFile
from anymic._internal.files import file_digest
from anymic.cli import main
from anymic.codecs.codec_set import CodecSet
from anymic.data.corpora import scenes
from anymic.data.download import unpack
from anymic.data.manifest import Manifest
from anymic.devices.simulation.device_set import DeviceSet
from anymic.errors import AnymicError
from anymic.evaluation.report.rows import Row, read_json, write_json
from anymic.features import feature_store
from anymic.importers.vggish import import_vggish
from anymic.inference.prediction import Prediction
from anymic.inference.predictor import Predictor
from anymic.models import build
from anymic.training import load_config
from anymic.training.run import TrainingRun

GOLDEN = Path(__file__).parents[1] / "golden"
PRESETS = Path(str(resources.files("anymic") / "presets"))
LONGEST_LINE = 2000  # characters of a message

Change = Callable[[bytes, Generator, Sequence[bytes]], bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    name: str
    file: str  # in a folder of its own, which `write` fills and `read` reads
    write: Callable[[Path], object]
    read: Callable[[Path], str]  # returns accepted or refused; raises what should not be
    change: Change = change_text


class FoundError(Exception):
    """Something that should not be, other than an exception."""


def refused(read: Callable[[Path], object], folder: Path) -> str:
    """Read with a function; what it refuses is an error of the library, in one line of three."""
    try:
        read(folder)
    except AnymicError as error:
        _check_line(str(error))
        if not error.expected and not error.fix:
            raise FoundError(f"neither what was expected nor a fix: {error}") from error
        return "refused"
    return "accepted"


def commanded(arguments: Callable[[Path], Sequence[object]], folder: Path) -> str:
    """Read with a command; what it refuses is one line, with exit status 1 or 2."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(one) for one in arguments(folder)])
    errors = [line for line in err.getvalue().splitlines() if line.startswith("error: ")]
    if status not in (0, 1, 2) or len(errors) != (status == 2):
        raise FoundError(f"exit status {status} with {err.getvalue()[-500:]!r}")
    for line in err.getvalue().splitlines():
        _check_line(line)
    return "accepted" if status == 0 else "refused"


def _check_line(text: str) -> None:
    if "\n" in text or len(text) > LONGEST_LINE:
        raise FoundError(f"a message of {len(text)} characters: {text[:300]}")
    if not text.isprintable():
        raise FoundError(f"a message with control characters: {text[:300]!r}")


# Audio files: predicted between two good ones, whose answers must not change.


def _write_audio(name: str, folder: Path) -> None:
    (folder / name).write_bytes(WRITERS[name]())
    for seed, good in enumerate(("first.wav", "last.wav")):
        soundfile.write(folder / good, noise(1.5, seed=seed), 16000)


def _predict(name: str, folder: Path) -> str:
    predictor = _predictor()
    paths = [folder / "first.wav", folder / name, folder / "last.wav"]
    first, changed, last = predictor.predict_many(paths)
    for place, found in ((paths[0], first), (paths[2], last)):
        if not isinstance(found, Prediction):
            raise FoundError(f"the answer of a good file is lost: {found.reason}")
        known = _answers.setdefault(place, found.probabilities)
        if any(abs(known[label] - p) > 1e-5 for label, p in found.probabilities.items()):
            raise FoundError("the answer of a good file changes")
    if isinstance(changed, Prediction):
        return "accepted"
    _check_line(changed.reason)
    return "refused"


_answers: dict[Path, dict[str, float]] = {}
_predictors: list[Predictor] = []


def _predictor() -> Predictor:
    if not _predictors:
        _predictors.append(load(GOLDEN / "basic1", accelerator="cpu"))
    return _predictors[0]


# Models, and what belongs to them.


def _copy(name: str, folder: Path) -> None:
    if (GOLDEN / name).is_dir():
        shutil.copytree(GOLDEN / name, folder, dirs_exist_ok=True)
    else:
        shutil.copy(GOLDEN / name, folder)


def _predicted(folder: Path) -> list[object]:
    return ["predict", GOLDEN / "clip.flac", "--model", folder, "--accelerator", "cpu"]


def _with_right_hashes(folder: Path) -> list[object]:
    """Write the hashes of the files into the index: as whoever alters a file on purpose does."""
    index = folder / "bundle.json"
    values = json.loads(index.read_text(encoding="utf-8"))
    values["sha256"] = {name: file_digest(folder / name) for name in values["sha256"]}
    index.write_text(json.dumps(values), encoding="utf-8")
    return _predicted(folder)


def _correct(folder: Path) -> list[object]:
    options = ["--profile", folder / "profile.json", "--device", "B", "--out", folder / "out.wav"]
    return ["correct", GOLDEN / "clip.flac", *options]


def _identify(folder: Path) -> list[object]:
    return ["devices", "identify", GOLDEN / "clip.flac", "--identifier", folder]


def _of_vectors(folder: Path) -> list[object]:
    return ["predict", GOLDEN / "vectors.npz", "--model", folder]


def _vectors(folder: Path) -> list[object]:
    return ["predict", folder / "vectors.npz", "--model", GOLDEN / "head"]


def _write_vggish(name: str, folder: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        state = build("vggish", classes=0, width=1 / 32).state_dict()
    if name.endswith(".pth"):
        torch.save(state, folder / name)
    elif name.endswith(".npz"):
        np.savez(folder / name, **{key: value.numpy() for key, value in state.items()})
    else:
        from safetensors.torch import save_file

        save_file(state, folder / name)


def _read_vggish(name: str, folder: Path) -> None:
    import_vggish(folder / name)


def _write_keras(folder: Path) -> None:
    from tests.importers.test_import_keras import family

    family(folder / "model.h5")


def _read_keras(folder: Path) -> None:
    from anymic.importers.keras import import_keras

    import_keras(folder / "model.h5")


def _write_onnx(folder: Path) -> None:
    import onnx
    from tests.evaluation.robustness.test_onnx_model import write

    write(onnx, folder / "model.onnx", labels='["a", "b", "c"]', rate_hz="8000")


def _read_onnx(folder: Path) -> None:
    from anymic.audio import Clip
    from anymic.inference.onnx_model import OnnxModel

    clip = Clip(noise(0.5), 16000)
    OnnxModel(folder / "model.onnx").classify([clip], [None])


# Tables, settings, records and archives.


def _write_manifest(folder: Path) -> None:
    rows = [
        f"audio/{number}.wav,{'dog' if number % 2 else 'rain'},{'AB'[number // 4 % 2]},"
        f"{number // 2},{number % 3},0.0,1.5"
        for number in range(12)
    ]
    header = "path,label,device,take,fold,start_s,duration_s"
    (folder / "m.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def _write_training(folder: Path) -> None:
    (folder / "audio").mkdir()
    for number in range(12):
        soundfile.write(folder / f"audio/{number}.wav", noise(1.5, seed=number), 16000)
    _write_manifest(folder)
    _run(folder).begin()


def _run(folder: Path) -> TrainingRun:
    manifest = Manifest.read(folder / "m.csv")
    return TrainingRun(manifest, load_config("small", changes={"clip_s": 1.5}), folder)


def _write_preset(name: str, folder: Path) -> None:
    shutil.copy(PRESETS / name, folder / Path(name).name)


def _write_report(folder: Path) -> None:
    row = Row({"device": "B"}, "accuracy", 0.5, 0.25, 0.75, 12)
    write_json([row, row], folder / "report.json", model="a")


def _write_log(folder: Path) -> None:
    with BuildLog(folder) as log:
        for number in range(5):
            log.add(BuiltFile(f"audio/{number}.flac", "0" * 32, number, 0))


def _read_log(folder: Path) -> None:
    with BuildLog(folder) as log:
        log.find("audio/1.flac", "0" * 32)


def _write_store(folder: Path) -> None:
    from anymic.features import Frontend, FrontendConfig
    from anymic.features.feature_batches import Length

    _write_training(folder)
    config = FrontendConfig(rate_hz=16000, bands=8)
    length = Length(1.5)
    manifest, frontend = Manifest.read(folder / "m.csv"), Frontend(config)
    feature_store.open_features(manifest, frontend, folder / "c", length=length)
    (stored,) = (folder / "c").iterdir()
    stored.rename(folder / "store.npy")


def _read_store(folder: Path) -> None:
    feature_store._read(folder / "store.npy")


def _write_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "corpus.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"corpus/{number}.txt", f"{number}\n" * 300)


def _unpack(folder: Path) -> None:
    try:
        unpack(folder / "corpus.zip", folder / "root" / "corpus")
        outside = [path for path in (folder / "root").iterdir() if path.name != "corpus"]
        if outside or any(path.is_symlink() for path in (folder / "root").rglob("*")):
            raise FoundError(f"files outside of the folder, or links: {outside}")
    finally:
        shutil.rmtree(folder / "root", ignore_errors=True)


def _write_scenes(folder: Path) -> None:
    settings = {"version": scenes._VERSION, "seed": 1, "takes": 2, "clip_s": 3.0}
    (folder / scenes._SETTINGS_FILE).write_text(json.dumps(settings), encoding="utf-8")


AUDIO = [
    Kind(name, name, partial(_write_audio, name), partial(_predict, name), change_bytes)
    for name in WRITERS
]


def _library(read: Callable[[Path], object]) -> Callable[[Path], str]:
    return partial(refused, read)


def _command(arguments: Callable[[Path], Sequence[object]]) -> Callable[[Path], str]:
    return partial(commanded, arguments)


def _installed(*names: str) -> bool:
    from importlib.util import find_spec

    return all(find_spec(name) is not None for name in names)


TEXT = [
    Kind("m.csv", "m.csv", _write_manifest, _command(lambda f: ["data", "show", f / "m.csv"])),
    Kind("bundle.json", "bundle.json", partial(_copy, "basic1"), _command(_predicted)),
    Kind("parts", "bundle.json", partial(_copy, "fcnn"), _command(_predicted)),
    Kind("ensemble", "bundle.json", partial(_copy, "ensemble"), _command(_predicted)),
    Kind("identifier", "identifier.json", partial(_copy, "identifier"), _command(_identify)),
    Kind("head.json", "head.json", partial(_copy, "head"), _command(_of_vectors)),
    Kind("profile.json", "profile.json", partial(_copy, "profile.json"), _command(_correct)),
    Kind(
        "training.yaml",
        "scenes.yaml",
        partial(_write_preset, "training/scenes.yaml"),
        _library(lambda folder: load_config(str(folder / "scenes.yaml"))),
    ),
    Kind(
        "devices.yaml",
        "microphones.yaml",
        partial(_write_preset, "microphones.yaml"),
        _library(lambda folder: DeviceSet.read(folder / "microphones.yaml")),
    ),
    Kind(
        "codecs.yaml",
        "codecs.yaml",
        partial(_write_preset, "codecs.yaml"),
        _library(lambda folder: CodecSet.read(folder / "codecs.yaml")),
    ),
    Kind(
        "report.json",
        "report.json",
        _write_report,
        _library(lambda folder: read_json(folder / "report.json")),
    ),
    Kind(
        "training.json",
        "training.json",
        _write_training,
        _library(lambda folder: _run(folder).has_begun()),
    ),
    Kind("build log", "build_log.jsonl", _write_log, _library(_read_log)),
    Kind(
        "scenes",
        scenes._SETTINGS_FILE,
        _write_scenes,
        _library(lambda folder: scenes._read_settings(folder / scenes._SETTINGS_FILE)),
    ),
    Kind("store", "store.npy", _write_store, _library(_read_store), change_bytes),
    Kind(
        "vectors.npz",
        "vectors.npz",
        partial(_copy, "vectors.npz"),
        _command(_vectors),
        change_zipped,
    ),
    Kind(
        "weights",
        "weights.safetensors",
        partial(_copy, "basic1"),
        _command(_with_right_hashes),
        change_tensors,
    ),
    *(
        Kind(
            f"vggish{suffix}",
            f"w{suffix}",
            partial(_write_vggish, f"w{suffix}"),
            _library(partial(_read_vggish, f"w{suffix}")),
            change,
        )
        for suffix, change in (
            (".pth", change_zipped),
            (".npz", change_zipped),
            (".safetensors", change_tensors),
        )
    ),
    Kind("corpus.zip", "corpus.zip", _write_zip, _library(_unpack), change_zipped),
]
if _installed("h5py"):
    TEXT.append(Kind("model.h5", "model.h5", _write_keras, _library(_read_keras), change_bytes))
if _installed("onnx", "onnxruntime"):
    TEXT.append(Kind("model.onnx", "model.onnx", _write_onnx, _library(_read_onnx), change_bytes))

GROUPS: dict[str, list[Kind]] = {"audio": AUDIO, "text": TEXT}
