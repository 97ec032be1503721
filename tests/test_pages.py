"""Every block of the pages is run: here in a folder with what they name, or by a test named here.

Blocks of the shell and of Python run in their order, those of Python on a page as one program.
Trainings have one epoch, ensembles two members, and the scenes eight training takes and one test
clip a label; all else is as it is written. A block whose first line says that it needs what is not
here (`ABSENT`) is skipped, with this line as the reason.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from tests import workspace

from anymic.cli import main
from anymic.codecs.random_codec import Codecs
from anymic.training import TrainingConfig, load_config
from anymic.training.demo import QUICK, run_demo

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "experiments/README.md")]
PAGES += sorted(path for path in (ROOT / "docs").rglob("*.md") if "generated" not in path.parts)

# What no test has: a first line `# needs ...` with one of these words is the reason of a skip.
ABSENT = (
    "a checkpoint",
    "a network",
    "but pip",
    "pipx or uv",
    "camera",
    "minutes of processor time",
    "container",
    "corpus and the responses",
    "ESC-",
    "MicIRP",
    "terminal",
    "the corpus",
    "the file,",
    "weights of VGGish",
    "YAMNet",
)
FORMULAS = "tests/devices/correction/test_published_formulas.py"
# Blocks that another test runs, by page and language; with a text, only those that contain it.
ELSEWHERE = [
    ("README.md", "sh", "", "tests/test_readme.py"),
    ("README.md", "python", "", "tests/test_readme.py"),
    ("CONTRIBUTING.md", "python", "", "tests/test_extending.py"),
    ("CONTRIBUTING.md", "toml", "", "tests/test_extending.py"),
    ("docs/getting-started.md", "sh", "phone", "tests/test_getting_started.py"),
    ("docs/getting-started.md", "sh", "yamnet", "tests/test_getting_started.py"),
    ("docs/spectrum-correction.md", "python", "", "tests/devices/correction/test_page.py"),
    ("docs/devices.md", "sh", "test_published_formulas", FORMULAS),
    ("docs/deploy.md", "python", "", "tests/test_deploy.py"),
    ("docs/deploy.md", "js", "", "tests/test_browser.py"),
    ("docs/deploy.md", "cpp", "", "tests/test_deploy.py"),
    ("docs/recordings.md", "sh", "benchmarks/long_recordings.py", "tests/test_benchmarks.py"),
    ("docs/recordings.md", "sh", "benchmarks/workers.py", "tests/test_benchmarks.py"),
    ("docs/speed.md", "sh", "benchmarks/gpu.py", "tests/test_benchmarks.py"),
    ("docs/speed.md", "sh", "benchmarks/scaling.py", "tests/test_benchmarks.py"),
    ("docs/service.md", "sh", "anymic serve run --open", "tests/serving/test_page.py"),
    ("docs/service.md", "sh", "the service and clip.wav", "tests/serving/test_service_docs.py"),
    ("docs/service.md", "sh", "test_attack.py", "tests/serving/test_attack.py"),
    ("experiments/README.md", "", "", "experiments/tests/test_readme.py"),
]
# Blocks that tests/test_pages_with_yamnet.py runs where the weights are at hand.
WITH_YAMNET = [
    ("docs/pretrained.md", "anymic import yamnet yamnet.h5"),
    ("docs/pretrained.md", "YAMNet, and a recording"),
    ("docs/pretrained.md", "train --data sounds/ --out run\nanymic predict"),
]
TOO_LARGE = [  # at the size that the page shows
    ("docs/ensembles.md", "--preset kosmider2019", "36 trainings at 44.1 kHz need hours"),
    ("docs/ensembles.md", "run/members", "needs the 36 models of the block above"),
]
BEFORE = {  # what a page that names it does not show, because it needs a download
    "docs/tagging.md": (
        "anymic import vggish --random --width 0.125 --out vggish",
        "anymic embed new/ --model vggish --out more.npz",
    ),
}
OUTPUT = ("text", "console", "csv", "")  # what a program prints, and files to be written by hand
FILES = {  # blocks that are files
    ("docs/robustness.md", "def classify"): "louder.py",
    ("docs/data.md", "seed: 2019"): "devices.yaml",
}


class Block(NamedTuple):
    page: str
    number: int
    language: str
    text: str

    def name(self) -> str:
        """The page and the number of the block on it, from 0."""
        return f"{self.page}:{self.number}"

    @property
    def elsewhere(self) -> str:
        """The test that runs it, if that is another one."""
        for page, language, part, test in ELSEWHERE:
            if page == self.page and language in ("", self.language) and part in self.text:
                return test
        return ""

    @property
    def with_yamnet(self) -> bool:
        """Whether it runs only where the weights of YAMNet are."""
        return any(page == self.page and part in self.text for page, part in WITH_YAMNET)

    @property
    def reason(self) -> str:
        """Why it is not run; empty where it is."""
        if self.elsewhere and self.elsewhere != "tests/test_readme.py":
            return ""
        first = self.text.splitlines()[0]
        if first.startswith("# needs ") and any(word in first for word in ABSENT):
            return first.removeprefix("# ")
        for page, part, why in TOO_LARGE:
            if page == self.page and part in self.text:
                return why
        return ""


def blocks_of(page: Path) -> list[Block]:
    name = page.relative_to(ROOT).as_posix()
    found = BLOCK.findall(page.read_text("utf-8"))
    return [Block(name, number, kind.strip(), text) for number, (kind, text) in enumerate(found)]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
HERE = [one for one in BLOCKS if not one.elsewhere and not one.reason and not one.with_yamnet]
MODELS = {  # the model `run` where that of the folder is not enough: golden, or trained below
    "docs/devices.md": "trained",  # with the mean spectrum of its training clips
}
RUN = sorted({one.page for one in HERE if one.language in ("sh", "python")})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that every page begins with."""
    return workspace.make(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `anymic demo --quick --out demo` writes, of clips of a second, for pages that begin so.

    The command itself runs in `tests/test_readme.py`.
    """
    folder = tmp_path_factory.mktemp("demonstration") / "demo"
    second: dict[str, Any] = {name: {**values, "clip_s": 1.0} for name, values in QUICK.items()}
    run_demo(folder, progress=False, **second)
    for name in ("scenes", "devices"):
        workspace.few_clips(folder / name / "manifest.csv", training=4)
    return folder


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with gains of A and B, trained for an epoch."""
    run = tmp_path_factory.mktemp("trained") / "run"
    command = ["train", "--data", str(prepared / "clips.csv"), "--out", str(run)]
    command += ["--set", "epochs=1", "--set", "correction={reference: [A]}"]
    assert main(command) == 0
    return run


@pytest.fixture
def place(
    page: str,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Path:
    shutil.copytree(prepared, tmp_path / "page", symlinks=True)
    if any("demo/" in block.text for block in HERE if block.page == page):
        shutil.copytree(request.getfixturevalue("demonstration"), tmp_path / "page" / "demo")
    if model := MODELS.get(page):
        found = request.getfixturevalue(model) if model == "trained" else workspace.GOLDEN / model
        shutil.rmtree(tmp_path / "page" / "run")
        shutil.copytree(found, tmp_path / "page" / "run")
    shutil.copytree(tmp_path / "page" / "run", tmp_path / "untouched")
    if page == "docs/tagging.md":
        shutil.copytree(workspace.GOLDEN / "tagger", tmp_path / "page" / "tagger")
    if page == "docs/several-labels.md":
        workspace.several_labels(tmp_path / "page" / "clips.csv")
    monkeypatch.chdir(tmp_path / "page")
    for line in BEFORE.get(page, ()):
        run_line(line, tmp_path / "page")
    return tmp_path / "page"


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("page", RUN)
def test_every_block_runs(page: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program: dict[str, Any] = {"__name__": "page"}
    for block in HERE:
        for (of, part), name in FILES.items():
            if of == block.page == page and part in block.text:
                (place / name).write_text(block.text)
    for block in HERE:
        if block.page != page:
            continue
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                run_line(line, place)
        elif block.language == "python":
            exec(compile(block.text, f"{page}, block {block.number}", "exec"), program)
            check_comments(block.text, capsys.readouterr().out)


def check_comments(text: str, out: str) -> None:
    """What stands beside a `print` as a comment is what it prints."""
    for line in text.splitlines():
        if line.startswith("print(") and ")  # " in line:
            said = line.split(")  # ")[-1].split(":")[0]
            assert said in out or not re.fullmatch(r"[\d.]+", said), f"{line}\n{out}"


def run_line(line: str, place: Path, *, scratch: bool = True) -> None:
    """Run a line of the shell; of `anymic`, in this process.

    What `scratch` trains is a network from random weights, which has epochs.
    """
    if not line.strip() or line.startswith(("#", "make ", "pip ", "tensorboard ")):
        return  # make's targets: tests/test_readme.py; pip: those of the package
    program, *arguments = shlex.split(line)
    if program == "anymic":
        if arguments[0] == "demo":
            return  # what `demonstration` has run
        if arguments[:2] == ["devices", "add"]:  # one of several ways, each to a model without it
            shutil.rmtree(place / "run")
            shutil.copytree(place.parent / "untouched", place / "run")
        if arguments[0] == "train":  # begins in an empty folder
            shutil.rmtree(place / arguments[arguments.index("--out") + 1], ignore_errors=True)
        status = main(quick(expanded(arguments), scratch=scratch))
        limits = "--fail-under" in arguments  # below which the status is 1
        assert status in ((0, 1) if limits else (0,)), line
        return
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line.replace("python ", f"{sys.executable} ")],
        cwd=place,
        env={**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def expanded(arguments: list[str]) -> list[str]:
    """Expand what the shell would: `run/members/*`."""
    found: list[str] = []
    for argument in arguments:
        plain = argument.endswith("/*")
        found += sorted(str(path) for path in Path().glob(argument)) if plain else [argument]
    return found


def quick(arguments: list[str], *, scratch: bool) -> list[str]:
    """Return the command with one epoch, two members and two folds."""
    if arguments[0] == "train-head" and "--epochs" not in arguments:
        return [*arguments, "--epochs", "1"]
    if arguments[0] not in ("train", "finetune"):
        return arguments
    found = [re.sub(r"^epochs=\d+$", "epochs=1", one) for one in arguments]
    for option, value in {"--epochs": "1", "--members": "2", "--folds": "2"}.items():
        if option in found:
            found[found.index(option) + 1] = value
    if scratch and arguments[0] == "train" and "epochs=1" not in found:
        found += ["--set", "epochs=1"]
    return found


@pytest.mark.parametrize(
    "block", [one for one in HERE if one.language in ("yaml", "json")], ids=Block.name
)
def test_data_of_the_pages_is_read(block: Block) -> None:
    """Settings of a training are also accepted as such."""
    if block.language == "json":
        assert json.loads(block.text)
        return
    values = yaml.safe_load(block.text)
    assert isinstance(values, dict)
    codecs = values.get("codecs", "any")
    settings = {one.name for one in fields(Codecs)}
    is_table = not isinstance(codecs, str) and not codecs.keys() <= settings  # for `data encode`
    if values.keys() <= {one.name for one in fields(TrainingConfig)} and not is_table:
        assert load_config("small", changes=values)


@pytest.mark.parametrize(
    "block", [one for one in BLOCKS if one.reason and not one.with_yamnet], ids=Block.name
)
def test_blocks_that_are_not_run(block: Block) -> None:
    pytest.skip(block.reason)


def test_every_block_is_run_by_something() -> None:
    for block in HERE:
        known = ("sh", "python", "yaml", "json", *OUTPUT)
        directive = block.language.startswith("{")  # Sphinx's, which `make docs` runs
        assert directive or block.language in known, block
    for *_, test in ELSEWHERE:
        assert (ROOT / test).is_file(), test
    for word in ABSENT:
        assert any(word in one.reason for one in BLOCKS), word
    for page, part in WITH_YAMNET:
        assert any(one.page == page and part in one.text for one in BLOCKS), part


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.parent != ROOT / "docs/results"],
    ids=lambda one: one.name,
)
def test_commands_stand_in_fences(page: Path) -> None:
    """What is only indented is no block, and nothing would run it."""
    outside = BLOCK.sub("", page.read_text("utf-8"))
    commands = r"^(?: {4}|\t)\s*(?:anymic|docker|make|pip|python) .*"
    assert re.findall(commands, outside, re.MULTILINE) == []
