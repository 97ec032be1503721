"""A Ray cluster of two workers gives the rows of a run in this process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from tests.servers import serving

from anymic._internal.cluster import on_cluster
from anymic._internal.workers import Lost
from anymic.cli import main
from anymic.inference import resuming
from anymic.inference.embedding_run import embed_recordings
from anymic.inference.event_run import predict_events
from anymic.inference.events import EventRules
from anymic.inference.recordings import EventSettings
from anymic.inference.spreading import Spreading

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

EVERY = EventSettings(EventRules(threshold=0.0))
CLUSTER = Spreading(ray="local")
DEVICES = """
seed: 4
devices:
  A:
  B: {noise_db: -60, gain_db: -3}
recorded:
  train: {A: all, B: all}
  test: {A: all, B: all}
"""


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of twelve recordings of 1 to 4 seconds, and one that is none."""
    monkeypatch.setattr(resuming, "GROUP_FILES", 2)
    folder = tmp_path / "in"
    folder.mkdir()
    generator = np.random.default_rng(1)
    for number in range(12):
        samples = generator.uniform(-0.5, 0.5, 8000 + 2000 * number)
        soundfile.write(folder / f"{number:02}.wav", samples, 8000)
    (folder / "03b.wav").write_text("no sound")
    return folder


def _actors() -> list[int]:
    """Return the processes of the actors of this process's cluster."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            if b"MapWorker" in (place / "cmdline").read_bytes() and place.name.isdecimal():
                parent = _parent(int(place.name))
                if os.getpid() in (parent, _parent(parent)):
                    found.append(int(place.name))
        except OSError:
            continue
    return found


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def test_events_are_those_of_one_process_though_a_worker_is_killed(
    cluster: None, bundle_folder: Path, recordings: Path, tmp_path: Path
) -> None:
    one, many = tmp_path / "one.csv", tmp_path / "many.csv"
    single = predict_events(bundle_folder, [recordings], one, settings=EVERY)
    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        if not killed:
            killed.append(_actors()[0])
            os.kill(killed[0], signal.SIGKILL)

    spread = predict_events(
        *(bundle_folder, [recordings], many), settings=EVERY, spreading=CLUSTER, progress=kill_one
    )
    assert killed
    assert not Path(f"/proc/{killed[0]}/fd").exists() or killed[0] not in _actors()
    assert [Path(each.path).name for each in spread.failures] == ["03b.wav"]
    assert (spread.failures, spread.events) == (single.failures, single.events)
    order = ["file", "start_s", "label"]
    wanted, found = (pd.read_csv(file).sort_values(order).reset_index() for file in (one, many))
    pd.testing.assert_frame_equal(wanted, found, rtol=0, atol=1e-6)


@pytest.mark.parametrize("gpus", [True, False])
def test_each_worker_has_one_gpu_where_there_are_some(cluster: None, gpus: bool) -> None:
    def start() -> Callable[[int], tuple[int, list[int]]]:
        def gpus_of(job: int) -> tuple[int, list[int]]:
            import ray

            time.sleep(0.5)
            return os.getpid(), ray.get_gpu_ids()

        return gpus_of

    found = dict(
        result
        for _, _, result in on_cluster(start, range(8), address="local", gpus=gpus)
        if not isinstance(result, Lost)
    )
    assert len(found) == 2
    assert sorted(found.values()) == ([[0], [1]] if gpus else [[], []])


def test_workers_read_urls(
    cluster: None, bundle_folder: Path, recordings: Path, tmp_path: Path
) -> None:
    one, many = tmp_path / "one.csv", tmp_path / "many.csv"
    with serving(recordings) as server:
        single = predict_events(bundle_folder, [server.url], one, settings=EVERY)
        asked = len(server.asked)
        spread = predict_events(
            bundle_folder, [server.url], many, settings=EVERY, spreading=CLUSTER
        )
        assert len(server.asked) > asked
    assert len(single.failures) == 1
    assert spread.failures == single.failures
    wanted, found = (pd.read_csv(file).sort_values(["file", "start_s"]) for file in (one, many))
    assert len(wanted)
    pd.testing.assert_frame_equal(
        wanted.reset_index(drop=True), found.reset_index(drop=True), rtol=0, atol=1e-6
    )


def test_embeddings_are_those_of_one_process(
    cluster: None, bundle_folder: Path, recordings: Path, tmp_path: Path
) -> None:
    one, many = tmp_path / "one.npz", tmp_path / "many.npz"
    wanted = embed_recordings(bundle_folder, [recordings], one)
    found = embed_recordings(
        bundle_folder, [recordings], many, accelerator="cpu", spreading=CLUSTER
    )
    assert found.failures == wanted.failures
    with np.load(one) as expected, np.load(many) as computed:
        np.testing.assert_allclose(computed["features"], expected["features"], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(computed["paths"], expected["paths"])


def test_corpora_have_the_same_bytes(cluster: None, recordings: Path, tmp_path: Path) -> None:
    names = [str(file) for file in sorted(recordings.glob("*.wav"))]
    splits = ["train", "test"] * len(names)
    table = pd.DataFrame({"path": names, "label": "a", "split": splits[: len(names)]})
    table.to_csv(tmp_path / "clips.csv", index=False)
    (tmp_path / "codecs.yaml").write_text("codecs:\n  mu-law:\n")
    (tmp_path / "devices.yaml").write_text(DEVICES)
    for verb, options in (
        ("encode", ["--codecs", str(tmp_path / "codecs.yaml")]),
        ("simulate", ["--devices", str(tmp_path / "devices.yaml")]),
    ):
        written = []
        for kind in ([], ["--ray", "local"]):
            out = tmp_path / f"{verb}{len(kind)}"
            command = ["data", verb, str(tmp_path / "clips.csv"), *options, "--out", str(out)]
            assert main([*command, *kind]) == 1, "03b.wav"
            audio = sorted(out.rglob("*.flac"))
            written.append([(one.relative_to(out), one.read_bytes()) for one in audio])
        assert written[0] == written[1]
        assert written[0]
