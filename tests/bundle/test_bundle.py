from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymic.bundle import Bundle, InputContract
from anymic.errors import BundleError, ConfigError


def logits(bundle: Bundle) -> torch.Tensor:
    samples = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (2, 8000)))
    device = bundle.frontend.device_index(["B", None])
    with torch.inference_mode():
        found: torch.Tensor = bundle.network(bundle.frontend(samples.float(), device))
    return found


def edit(folder: Path, **changes: Any) -> None:
    index = folder / "bundle.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), **changes}))


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_loaded_bundle_is_the_saved_one(small_bundle: Bundle, bundle_folder: Path) -> None:
    loaded = Bundle.load(bundle_folder)
    assert torch.equal(logits(loaded), logits(small_bundle))
    assert loaded.frontend.config == small_bundle.frontend.config
    for name in [
        "labels",
        "contract",
        "network_name",
        "network_arguments",
        "training",
        "fitted_on",
        "devices",
    ]:
        assert getattr(loaded, name) == getattr(small_bundle, name), name
    assert loaded.profile is not None
    assert small_bundle.profile is not None
    assert loaded.profile.reference == ("A",)
    gains = small_bundle.profile.gains_for("B")
    np.testing.assert_array_equal(loaded.profile.gains_for("B"), gains)


def test_saving_twice_replaces_only_the_bundle(small_bundle: Bundle, bundle_folder: Path) -> None:
    checkpoint = bundle_folder / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir()
    checkpoint.write_text("mine")
    small_bundle.profile = None
    network: Any = small_bundle.network
    torch.nn.init.zeros_(network.classifier.bias)
    small_bundle.save(bundle_folder)
    assert torch.equal(logits(Bundle.load(bundle_folder)), logits(small_bundle))
    assert checkpoint.read_text() == "mine"
    assert sorted(path.name for path in bundle_folder.iterdir()) == [
        "bundle.json",
        "checkpoints",
        "weights.safetensors",
    ]


def test_a_failed_save_leaves_the_old_bundle(small_bundle: Bundle, bundle_folder: Path) -> None:
    before = logits(Bundle.load(bundle_folder))
    small_bundle.training = {"loss": float("nan")}
    with pytest.raises(BundleError, match="cannot be written as JSON"):
        small_bundle.save(bundle_folder)
    small_bundle.training = {}
    small_bundle.frontend.scale[0] = float("inf")
    with pytest.raises(BundleError, match=r"not finite \(frontend.scale\)"):
        small_bundle.save(bundle_folder)
    assert torch.equal(logits(Bundle.load(bundle_folder)), before)
    assert not list(bundle_folder.glob(".bundle.*"))


def test_files_are_readable_as_the_users_umask_says(bundle_folder: Path) -> None:
    for path in bundle_folder.iterdir():
        assert path.stat().st_mode & 0o077, path


def test_loading_needs_neither_librosa_nor_pickle(bundle_folder: Path) -> None:
    script = (
        "import sys; from anymic.bundle import Bundle; Bundle.load(sys.argv[1]);"
        "print(sorted({'librosa', 'numba', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(bundle_folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    suffixes = {path.suffix for path in bundle_folder.iterdir()}
    assert suffixes == {".json", ".safetensors"}


def test_missing_places_and_files(bundle_folder: Path, tmp_path: Path) -> None:
    assert "No folder" in refusal(tmp_path / "nowhere")
    assert "has no bundle.json" in refusal(tmp_path)
    assert "is a file" in refusal(bundle_folder / "weights.safetensors")
    (bundle_folder / "profile.json").unlink()
    (bundle_folder / "weights.safetensors").unlink()
    line = refusal(bundle_folder)
    assert "has no profile.json and no weights.safetensors" in line


@pytest.mark.parametrize("name", ["weights.safetensors", "profile.json"])
def test_altered_file(bundle_folder: Path, name: str) -> None:
    path = bundle_folder / name
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    assert f"altered since it was saved: {name}" in refusal(bundle_folder)


def test_foreign_index(bundle_folder: Path) -> None:
    index = bundle_folder / "bundle.json"
    index.write_text('{"format": "someone else\'s"}')
    assert "not the index of a bundle" in refusal(bundle_folder)
    index.write_text("[1, 2]")
    assert "not the index of a bundle" in refusal(bundle_folder)
    index.write_text("not json")
    assert "cannot be read" in refusal(bundle_folder)


def test_newer_version_and_unknown_network(bundle_folder: Path) -> None:
    edit(bundle_folder, network={"name": "transformer9", "arguments": {}})
    refused = refusal(bundle_folder)
    assert "unknown network 'transformer9'" in refused
    assert "Import the module that registers it with anymic.register_network" in refused
    edit(bundle_folder, version=2, library="9.9")
    assert "version 2, written by anymic 9.9. Expected version 1" in refusal(bundle_folder)


def test_unknown_keys_are_named_with_their_path(bundle_folder: Path) -> None:
    contract = {"rate_hz": 8000, "clip_s": 1.0, "chanel": "left"}
    edit(bundle_folder, contract=contract, calibrater={})
    line = refusal(bundle_folder)
    assert "'contract.chanel' (did you mean 'channel'?)" in line
    assert "'calibrater'" in line


def test_weights_that_do_not_fit(bundle_folder: Path) -> None:
    edit(bundle_folder, labels=["dog", "rain"])
    assert "do not fit its settings" in refusal(bundle_folder)
    edit(
        bundle_folder, labels=["dog", "rain", "siren"], network={"name": "basic2", "arguments": {}}
    )
    assert "Expected the weights of basic2 for 3 labels" in refusal(bundle_folder)


def test_parts_that_do_not_belong_together(small_bundle: Bundle) -> None:
    parts: dict[str, Any] = {
        "network": small_bundle.network,
        "frontend": small_bundle.frontend,
        "contract": InputContract(rate_hz=16000, clip_s=1.0),
        "network_name": "basic1",
    }
    with pytest.raises(
        BundleError, match="labels are 'a', 'a'; the front-end is for 8000 Hz and the contr"
    ):
        Bundle(labels=("a", "a"), **parts)
    with pytest.raises(ConfigError, match=r"length of a clip nan s"):
        InputContract(rate_hz=8000, clip_s=float("nan"))


def test_a_message_spells_a_folder_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=r"The folder model has no bundle\.json"):
        Bundle.load("model")


def test_a_bundle_is_shown_in_a_few_words(small_bundle: Bundle) -> None:
    """Weights, arrays and the ids of clips are not printed."""
    shown = repr(replace(small_bundle, fitted_on={"weights": ("0123456789abcdef",) * 100}))
    assert "labels=('dog', 'rain', 'siren')" in shown
    assert "0123456789abcdef" not in shown
    assert "array(" not in shown
    assert len(shown) < 1000
