from __future__ import annotations

from pathlib import Path

import pytest

from anymic.data.reading import as_manifest
from anymic.errors import ManifestError


def test_a_missing_path_may_have_been_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"No file or folder .*Expected a folder .* or a table"):
        as_manifest(tmp_path / "sounds")
