"""The Dockerfile keeps the rules of scripts/check-container, which finds one that does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def check(root: Path) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, str(root / "scripts" / "check-container")]
    return subprocess.run(script, capture_output=True, text=True)


def test_the_dockerfile_keeps_the_rules() -> None:
    done = check(ROOT)
    assert done.returncode == 0, done.stdout
    assert "the image itself was not built" in done.stdout


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("python:3.12-slim", "python:latest", "FROM"),
        ("USER 1000", "USER root", "USER"),
        ("/healthz", "/", "HEALTHCHECK"),
        ("FDKAAC=0", "FDKAAC=1", "FDKAAC"),
        ("--no-cache-dir", "", "--no-cache-dir"),
        ("COPY src", "COPY tests", "COPY tests"),
    ],
)
def test_a_broken_rule_is_found(tmp_path: Path, before: str, after: str, rule: str) -> None:
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/check-container", "scripts/install-fdkaac", ".dockerignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "src"):
        (tmp_path / name).touch()
    text = (ROOT / "Dockerfile").read_text().replace(before, after)
    (tmp_path / "Dockerfile").write_text(text)
    done = check(tmp_path)
    assert done.returncode == 1
    assert rule in done.stdout
