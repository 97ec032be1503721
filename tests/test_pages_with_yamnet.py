"""The blocks of the pages that need the weights of YAMNet run where these are at hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests import workspace
from tests.importers.test_import_yamnet import write_keras
from tests.test_pages import BLOCKS, Block, run_line

from anymic.cli import main


@pytest.fixture(scope="module")
def yamnet(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real weights, as the file that its authors publish, and installed beside it."""
    weights = shared_data / "yamnet" / "yamnet_float32.npz"
    if not weights.is_file():
        pytest.skip("the weights of YAMNet (shared/data: yamnet) are not on this machine")
    folder = tmp_path_factory.mktemp("yamnet")
    with np.load(weights) as arrays:
        write_keras(dict(arrays), folder / "yamnet.h5")
    assert main(["import", "yamnet", str(weights), "--out", str(folder / "models/yamnet")]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("block", [one for one in BLOCKS if one.with_yamnet], ids=Block.name)
def test_every_block_for_yamnet_runs(
    block: Block, yamnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the page says, but one epoch of heads that have epochs."""
    place = tmp_path / "page"
    place.mkdir()
    workspace.make(place)
    shutil.copy(yamnet / "yamnet.h5", place)
    monkeypatch.chdir(place)
    installs = "import yamnet yamnet.h5" in block.text
    monkeypatch.setenv("ANYMIC_MODELS", str(tmp_path if installs else yamnet / "models"))
    if block.language == "python":
        exec(compile(block.text, block.name(), "exec"), {"__name__": "page"})
        return
    for line in block.text.splitlines():
        run_line(line, place, scratch=False)
    assert not installs or (tmp_path / "yamnet").is_dir()
