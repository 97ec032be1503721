"""VGGish from the public layouts: the same embedding, and one line for everything else."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from anymic import models
from anymic.bundle import Bundle
from anymic.cli import main
from anymic.errors import BundleError
from anymic.importers.vggish import VARIABLES, import_vggish

WIDTH = 1 / 32


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(4)
    return models.build("vggish", classes=0, width=WIDTH).eval()


@pytest.fixture
def state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def as_tensorflow(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Variables as the checkpoint has them: kernels (row, column, in, out), matrices (in, out)."""
    found = {"global_step": np.array(3)}
    for scope, layer in VARIABLES.items():
        weight = state[f"{layer}.weight"].numpy()
        weight = weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T
        found[f"vggish/{scope}/weights"] = weight
        found[f"vggish/{scope}/biases"] = state[f"{layer}.bias"].numpy()
    return found


@pytest.mark.parametrize("suffix", ["pth", "safetensors", "npz"])
def test_every_layout_gives_the_same_embedding(
    network: torch.nn.Module, state: dict[str, torch.Tensor], suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save({**state, "pproc.pca_means": torch.zeros(128)}, path)
    elif suffix == "safetensors":
        save_file(state, path)
    else:
        np.savez(path, **as_tensorflow(state))  # type: ignore[arg-type]
    bundle = Bundle.load(import_vggish(path).save(tmp_path / "bundle"))
    patches = torch.randn(2, 1, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(bundle.network(patches), network(patches), rtol=0, atol=0)


def test_from_weights_to_a_row_for_each_096_s(
    state: dict[str, torch.Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows at 0, 0.96, ... of a file of another rate, equal to patches of the whole clip."""
    from anymic import audio
    from anymic.features import Frontend
    from anymic.features.patches import VGGISH, patches

    torch.save(state, tmp_path / "weights.pth")
    arguments = ["import", "vggish", str(tmp_path / "weights.pth"), "--out", str(tmp_path / "m")]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"] == sum(v.numel() for v in state.values())
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, round(3.1 * 22050))
    for name, seconds in (("a", 3.1), ("b", 0.3)):
        samples = sound[: round(seconds * 22050)].astype(np.float32)
        soundfile.write(tmp_path / f"{name}.wav", samples, 22050)
    out = tmp_path / "features.npz"
    places = [str(tmp_path / "a.wav"), str(tmp_path / "b.wav"), "--model", str(tmp_path / "m")]
    assert main(["embed", *places, "--out", str(out)]) == 0
    found = np.load(out)
    assert found["starts_s"] == pytest.approx([0, 0.96, 1.92, 0])  # 0.22 s are left over
    clip = audio.read(tmp_path / "a.wav", rate_hz=16000)
    whole = patches(Frontend(VGGISH), torch.from_numpy(clip.samples)[None])[0]
    with torch.no_grad():
        expected = Bundle.load(tmp_path / "m").network(whole[:, None]).numpy()
    assert expected.std() > 0
    tolerance = 0.03 * np.abs(expected).max()  # bfloat16, where the processor has it
    assert np.abs(found["features"][:3] - expected).max() < tolerance
    assert main(["predict", str(tmp_path / "a.wav"), "--model", str(tmp_path / "m")]) == 2
    assert "no labels and only calculates embeddings" in capsys.readouterr().err


def test_random_weights_for_trials(tmp_path: Path) -> None:
    first, again = import_vggish(width=WIDTH, seed=1), import_vggish(width=WIDTH, seed=1)
    other = import_vggish(width=WIDTH, seed=2)
    same = [torch.equal(a, b) for a, b in zip(*map(weights_of, (first, again)), strict=True)]
    assert all(same)
    assert not torch.equal(weights_of(first)[0], weights_of(other)[0])


def weights_of(bundle: Bundle) -> list[torch.Tensor]:
    return list(bundle.network.parameters())


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


def test_refused_in_one_line(
    state: dict[str, torch.Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = tmp_path / "whole.pth"
    torch.save(state, whole)
    (tmp_path / "short.pth").write_bytes(whole.read_bytes()[:5000])
    (tmp_path / "code.pth").write_bytes(pickle.dumps({"features.0.weight": Harmful()}))
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    part: dict[str, Any] = {"vggish/conv1/weights": np.zeros((3, 3, 1, 2))}
    np.savez(tmp_path / "part.npz", **part)
    torch.save({"conv.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    torch.save({**state, "embeddings.2.bias": torch.zeros(3)}, tmp_path / "shape.pth")
    (tmp_path / "text.pth").write_text("hello, this is text")
    (tmp_path / "short.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    for name, words in (
        ("none.pth", "No file"),
        ("short.pth", "short.pth cannot be read"),
        ("text.pth", "text.pth cannot be read .not what torch.save writes"),
        ("short.safetensors", "cannot be read"),
        ("code.pth", "cannot be read"),
        ("objects.npz", "cannot be read"),
        ("part.npz", "has no vggish/conv1/biases"),
        ("other.pth", r"without features.0.weight and 17 more and with conv.weight"),
        ("shape.pth", r"embeddings.2.bias of .* has shape \(3,\)"),
    ):
        with pytest.raises(BundleError, match=words) as error:
            import_vggish(tmp_path / name)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()
    assert main(["import", "vggish", "--out", "x"]) == 2
    assert "Expected one of WEIGHTS, --download and --random" in capsys.readouterr().err
