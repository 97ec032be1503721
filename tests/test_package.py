"""The package: its version and commit, what a bug report needs, its extras, and completion."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.version import Version
from tests.longest import FIRST

import anymic
from anymic import _version
from anymic._internal.environment import environment
from anymic.cli import main

ROOT = Path(__file__).parents[1]
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")


def module_at(folder: Path) -> ModuleType:
    """Load the module of the version from another place."""
    place = folder / "_version.py"
    place.write_text(Path(_version.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("version_elsewhere", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run([*GIT, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_in_a_checkout_is_that_of_its_files(tmp_path: Path) -> None:
    package = tmp_path / "src" / "anymic"
    package.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    git(tmp_path, "init", "-q")
    (package / "commit.txt").write_text("g" + "0" * 40)  # left by an earlier build
    (tmp_path / ".gitignore").write_text("commit.txt\n__pycache__/\n")
    module_at(package)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    head = git(tmp_path, "rev-parse", "HEAD")
    here = module_at(package)
    assert here.commit() == head
    assert here.version() == f"{here.number()}+g{head[:12]}"
    (tmp_path / "pyproject.toml").write_text("# changed")
    changed = module_at(package)
    assert changed.commit() == f"{head}.changed"
    assert changed.version() == f"{here.number()}+g{head[:12]}.changed"


def test_the_commit_of_an_installed_package_is_the_one_it_was_built_from(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "anymic"
    package.mkdir(parents=True)
    (package / "commit.txt").write_text("g" + "ab" * 20)
    assert module_at(package).commit() == "ab" * 20


@pytest.mark.parametrize(
    ("number", "commit"),
    [("0.1.1.dev9+g57de47cea.d20261129", "57de47cea"), ("0.2.0", ""), ("1.0+changed.g12", "")],
)
def test_a_package_of_a_source_archive_knows_the_commit_in_its_number(
    number: str, commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "lib" / "anymic"
    package.mkdir(parents=True)
    (package / "commit.txt").write_text("None")  # what setuptools-scm writes without a repository
    module = module_at(package)
    monkeypatch.setattr(module, "_installed", lambda: number)
    assert module.commit() == commit
    assert module.version().startswith(number.partition("+")[0])


def test_the_version_is_one_that_installers_order() -> None:
    found = Version(anymic.__version__)
    assert found >= Version("0.1.0")
    assert Version(_version.number()).local is None


def test_a_bug_report_names_every_extra_and_no_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYMIC_CACHE", "/home/somebody/cache")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert main(["--version", "--verbose"]) == 0
    printed = capsys.readouterr().out
    facts = dict(line.split(": ", 1) for line in printed.splitlines())
    assert facts["anymic"] == anymic.__version__
    assert facts["commit"] == (_version.commit() or "unknown")
    assert facts["python"].startswith(sys.version.split()[0])
    assert re.search(r"torch \d", facts["packages"])
    assert "ANYMIC_CACHE is set" in facts["settings"]
    assert "OMP_NUM_THREADS=1" in facts["settings"]
    assert "somebody" not in printed
    assert str(Path.home()) + "/" not in printed
    assert list(facts) == list(environment())


def test_every_extra_is_in_the_table_of_the_readme() -> None:
    configured = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = configured.split("[project.optional-dependencies]")[1].split("\n[")[0]
    extras = set(re.findall(r"^([a-z]+) = \[", block, re.MULTILINE))
    table = re.findall(r"^\| `([a-z]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(table) == sorted(extras)


def plain(name: str) -> str:
    """Return the name of a package without its spelling: PyTorch Lightning is pytorch-lightning."""
    return re.sub(r"[\s_.-]+", "-", name.strip()).lower()


def test_the_table_of_the_readme_names_the_packages_of_each_extra() -> None:
    """All of them, but for `dev`, whose row ends in "and more"."""
    configured = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = configured.split("[project.optional-dependencies]")[1].split("\n[")[0]
    rows = re.findall(
        r"^\| `([a-z]+)` \|[^|]*\|([^|]*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    for extra, cell in rows:
        (listed,) = re.findall(rf"^{extra} = \[(.*?)\]$", block, re.MULTILINE | re.DOTALL)
        packages = set(re.findall(r'"([a-z][\w-]*(?:\[http\])?)', listed)) - {"anymic"}
        named = [re.sub(r"\(.*\)", "", one) for one in cell.split(",") if one.strip()]
        if "and more" in cell:
            packages &= {plain(one) for one in named if "and more" not in one}
            named = [one for one in named if "and more" not in one]
        assert sorted(map(plain, named)) == sorted(packages), extra


def test_every_step_of_a_workflow_is_a_target_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    workflows = {path.stem: path for path in (ROOT / ".github" / "workflows").glob("*.yml")}
    assert set(workflows) == {"docs", "lint", "release", "scheduled", "tests"}
    for path in workflows.values():
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            named = job.get("strategy", {}).get("matrix", {}).get("target", [])
            for step in (step for step in job["steps"] if "run" in step):
                program, *wanted = step["run"].split()
                assert program == "make" or "apt-get" in step["run"], step
                wanted = [one for one in wanted if one.isalpha() or "-" in one]
                assert set(wanted or named) <= set(targets), step


def test_the_files_that_begin_first_are_there() -> None:
    """A file that was renamed would begin last; and pytest-xdist must keep the order."""
    assert [name for name in FIRST if not (ROOT / name).is_file()] == []
    assert len(set(FIRST)) == len(FIRST)
    assert "--dist loadfile --no-loadscope-reorder" in (ROOT / "Makefile").read_text()


def test_no_page_leads_to_a_repository_that_the_package_does_not_state() -> None:
    """An address of the project anywhere begins with that of `[project.urls]`, or there is none."""
    stated = re.findall(
        r'^[A-Z]\w+ = "(https:.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    patterns = (
        "*.md",
        "*.cff",
        "*.toml",
        ".github/**/*.yml",
        ".github/*.md",
        "docs/**/*.md",
        "docs/**/*.py",
    )
    paths = [path for pattern in patterns for path in ROOT.glob(pattern)]
    assert len(paths) > 50
    for path in paths:
        for address in re.findall(
            r"https://[^\s)>\"'`]*anymic[^\s)>\"'`]*", path.read_text("utf-8")
        ):
            assert address.startswith(tuple(stated)), f"{path}: {address}"


def test_verbose_alone_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--verbose"]) == 2
    assert "--verbose belongs to --version" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "wanted"), [("anymic rob", "robustness"), ("anymic predict --dev", "--device")]
)
def test_a_shell_completes_verbs_and_options(
    typed: str, wanted: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    monkeypatch.setenv("_ANYMIC_COMPLETE", "complete_bash")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    assert wanted in capsys.readouterr().out.split()
