"""Recordings in a bucket: the rows of the same files on this machine, here and on a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.cli import main
from anymic.inference import resuming
from anymic.inference.event_run import predict_events
from anymic.inference.events import EventRules
from anymic.inference.recordings import EventSettings
from anymic.inference.spreading import HERE, Spreading

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

EVERY = EventSettings(EventRules(threshold=0.0))
SECRET = "not-a-real-secret"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of seven recordings, one of them no sound."""
    folder = tmp_path_factory.mktemp("in")
    (folder / "deep").mkdir()
    generator = np.random.default_rng(1)
    for number in range(6):
        samples = generator.uniform(-0.5, 0.5, 8000 + 3000 * number)
        soundfile.write(folder / f"deep/{number}.flac", samples, 8000)
    (folder / "b.wav").write_text("no sound")
    return folder


@pytest.fixture(scope="module")
def bucket(recordings: Path) -> Iterator[str]:
    """Return the URL of a bucket with the same files, on a server of this machine."""
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs, which `make cluster` installs")
    server_of = pytest.importorskip("moto.server", reason="needs moto, as `make cluster` has it")
    server = server_of.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:  # the workers of a cluster inherit these
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        system = s3fs.S3FileSystem()
        system.mkdir("bucket")
        for file in recordings.rglob("*.*"):
            system.pipe(f"bucket/year/{file.relative_to(recordings)}", file.read_bytes())
        yield "s3://bucket/year/"
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.parametrize("spreading", [HERE, Spreading(2), Spreading(ray="local")], ids=str)
def test_a_bucket_has_the_events_of_the_same_folder_here(
    bucket: str,
    cluster: None,
    spreading: Spreading,
    bundle_folder: Path,
    recordings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resuming, "GROUP_FILES", 2)
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    wanted = predict_events(bundle_folder, [recordings], here, settings=EVERY)
    found = predict_events(bundle_folder, [bucket], there, settings=EVERY, spreading=spreading)
    assert [one.path for one in found.failures] == [f"{bucket}b.wav"]
    assert (found.recordings, found.events) == (wanted.recordings, wanted.events)
    tables = []
    for file, place in ((here, f"{recordings}/"), (there, bucket)):
        table = pd.read_csv(file)
        table["file"] = table["file"].str.removeprefix(place)
        tables.append(table.sort_values(["file", "start_s", "label"]).reset_index(drop=True))
    first, second = tables
    pd.testing.assert_frame_equal(first, second, rtol=0, atol=1e-6)


def test_a_changed_object_is_done_again(
    bucket: str, bundle_folder: Path, recordings: Path, tmp_path: Path
) -> None:
    s3fs = pytest.importorskip("s3fs")

    out = tmp_path / "events.csv"
    predict_events(bundle_folder, [bucket], out, settings=EVERY)
    one = "bucket/year/deep/0.flac"
    s3fs.S3FileSystem().pipe(one, (recordings / "deep/1.flac").read_bytes())
    with pytest.warns(UserWarning, match=rf"1 recording changed .* s3://{one}"):
        again = predict_events(bundle_folder, [bucket], out, settings=EVERY)
    assert again.kept == 5
    s3fs.S3FileSystem().pipe(one, (recordings / "deep/0.flac").read_bytes())


def test_patterns_and_what_may_not_be_read(
    bucket: str, bundle_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    places = [f"{bucket}*/[01].flac", "s3://other/a.wav", f"{bucket}nothing.wav", f"{bucket}no/"]
    assert main(["predict", *places, "--model", str(bundle_folder), "--json"]) == 1
    out, err = capfd.readouterr()
    found = json.loads(out)
    names = [f"{bucket}deep/0.flac", f"{bucket}deep/1.flac", *places[1:]]
    assert [one["path"] for one in found] == names
    assert all("Expected" in one["failed"] for one in found[2:])
    assert SECRET not in out + err
