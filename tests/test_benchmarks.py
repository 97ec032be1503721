"""Benchmarks that no test time allows at full size run small; what they keep becomes the page."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from anymic.codecs import Codec

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts import what several of them need from their folder, as where they are started."""
    monkeypatch.syspath_prepend(BENCHMARKS)


def loaded(name: str) -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARKS / f"{name}.py"))


@pytest.mark.usefixtures("one_thread")
def test_the_gpu_script_runs_small_on_the_processor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main, out = loaded("gpu")["main"], tmp_path / "gpu.json"
    assert main(["--small", "--accelerator", "cpu", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert len(found["epoch_s"]) == 2
    assert found["difference"] <= 1e-6  # the same processor
    assert found["limit_s"] > 0
    assert "an epoch" in capsys.readouterr().out


@pytest.mark.usefixtures("one_thread")
def test_the_scaling_benchmark_measures_every_size(tmp_path: Path) -> None:
    main, out = loaded("scaling")["main"], tmp_path / "scaling.json"
    main(["--quick", "--rounds", "1", "--json", str(out)])
    rows = json.loads(out.read_text())
    assert [(row["name"], row["size"]) for row in rows] == [
        (name, size) for name, sizes in loaded("scaling")["QUICK"].items() for size in sizes
    ]
    assert all(row["clock_s"] > 0 for row in rows)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore")  # of networks that are trained for one epoch
def test_the_benchmark_of_voting_compares_ten_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On noise in the layout of ESC-10: two labels, and a fold 4 that tests."""
    root, rows, generator = tmp_path / "ESC-50", [], np.random.default_rng(0)
    for part in ("audio", "meta"):
        (root / part).mkdir(parents=True)
    for number in range(24):
        name, label, fold = f"{number}.wav", number % 2, 1 if number < 16 else 4
        noise = 0.1 * generator.standard_normal(5 * 44_100 + 1)
        sound = noise[1:] + (0.9 - 1.8 * label) * noise[:-1]
        soundfile.write(root / "audio" / name, sound, 44_100)
        rows.append((name, fold, label, ("dog", "rooster")[label], True, number, "A"))
    columns = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "meta" / "esc50.csv", index=False)
    small = ["--members", "3", "--epochs", "1", "--workers", "1", "--esc50", str(root)]
    monkeypatch.setattr(sys, "argv", ["voting.py", *small])
    voting = loaded("voting")
    monkeypatch.setitem(voting["main"].__globals__, "VOTERS", 2)
    voting["main"]()
    first, head, *lines, last = capsys.readouterr().out.splitlines()
    assert first == "8 clips of no split; 4 clips calibrate a member"
    assert head.split("\t")[1:4] == [f"soft: {score}" for score in voting["SCORES"]]
    values = np.array([line.split("\t") for line in lines], dtype=float)
    assert values.shape == (voting["DRAWS"], 1 + 9)
    assert np.isfinite(values[:, :7]).all()
    told = [int(one.split()[-1]) for one in last.split(": ")[1].split(", ")]
    soft, calibrated = values[:, 1:4], values[:, 4:7]  # as printed: equal ones may differ
    assert np.all((calibrated < soft).sum(axis=0) <= told)
    assert np.all(told <= (calibrated <= soft).sum(axis=0))


def test_the_files_of_the_scaling_benchmark_are_separate(tmp_path: Path) -> None:
    folder = loaded("scaling")["filled"](tmp_path / "files", 20)
    files = sorted(folder.iterdir())
    assert len(files) == 20
    assert len({file.read_bytes() for file in files}) == loaded("scaling")["SOUNDS"] == 16


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_benchmark_of_coded_trainings_runs_small(tmp_path: Path) -> None:
    out = tmp_path / "coded.json"
    small = ["--clips", "8", "--seconds", "1", "--rounds", "1", "--epochs", "1", "--consistency"]
    loaded("coded_training")["main"]([*small, "--json", str(out)])
    figures = json.loads(out.read_text())
    assert 0 < figures["again_processor_s"] < figures["encode_processor_s"]
    assert {"epoch_plain_s", "epoch_coded_s", "epoch_any_s"} <= set(figures)


@pytest.mark.slow
def test_the_benchmark_of_workers_compares_bytes(tmp_path: Path) -> None:
    out = tmp_path / "workers.json"
    loaded("workers")["main"](["--quick", "--json", str(out)])
    rows = json.loads(out.read_text())
    every = len(os.sched_getaffinity(0))
    assert [(row["files"], row["workers"], row["processors"]) for row in rows] == [
        (files, *place)
        for files, _ in loaded("workers")["QUICK"]
        for place in ((1, 1), (1, every), (2, every))
    ]
    assert all(row["clock_s"] > 0 for row in rows)


@pytest.mark.slow
def test_the_benchmark_of_long_recordings_measures_every_case(tmp_path: Path) -> None:
    out = tmp_path / "long.json"
    loaded("long_recordings")["main"](["--quick", "--json", str(out)])
    rows = json.loads(out.read_text())
    assert len(rows) == 5
    assert all(row["clock_s"] > 0 and row["bytes"] > 1e7 for row in rows)


@pytest.mark.alone
def test_anymic_starts_within_its_limits(capsys: pytest.CaptureFixture[str]) -> None:
    """`import anymic` and `anymic --help`, in processor time: other work may go on."""
    assert loaded("startup")["main"](["--rounds", "5"]) == 0, capsys.readouterr().out


SCRIPTS = {  # benchmarks of which one is over its limit, and one writes nothing
    "good": "0",
    "over": "1",
    "empty": "2",
}


@pytest.mark.parametrize("names", [["good"], ["over", "good"], ["empty", "good"]])
@pytest.mark.parametrize("state", ["", ".changed"])
def test_a_benchmark_over_its_limit_is_an_error_after_all_have_run(
    names: list[str],
    state: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The figures are kept, but those of a changed checkout only where this is asked for."""
    (tmp_path / "benchmarks").mkdir()
    for name, status in SCRIPTS.items():
        write = "" if name == "empty" else "pathlib.Path(sys.argv[2]).write_text('[]');"
        script = f"import pathlib, sys; {write} sys.exit({status})"
        (tmp_path / "benchmarks" / f"{name}.py").write_text(script)
    main, history = loaded("record")["main"], tmp_path / "history"
    own = {"ROOT": tmp_path, "RECORDED": tuple(SCRIPTS), "HISTORY": history}
    for name, value in {**own, "commit": lambda: "a" * 40 + state}.items():
        monkeypatch.setitem(main.__globals__, name, value)
    assert main(names) == int(names[0] != "good")
    said = capsys.readouterr().out
    assert ("nothing will be kept" in said) == bool(state)
    assert history.is_dir() == (not state)
    shutil.rmtree(history, ignore_errors=True)  # a file is named by its minute, which may end here
    main([*names, "--changed"])
    (kept,) = [json.loads(path.read_text()) for path in history.glob("*.json")]
    assert set(kept["benchmarks"]) == set(names) - {"empty"}


def run_of(version: str, created: str, **benchmarks: Any) -> dict[str, Any]:
    machine = {"processor": "a processor", "torch": "2.13", "python": "3.11", "system": "Linux"}
    kept = {"version": version, "created": created, "commit": "", "machine": machine, "load": 1.0}
    return {**kept, "benchmarks": benchmarks}


def test_the_table_has_a_column_for_each_kept_run() -> None:
    table = loaded("record")["table"]
    runs = [
        run_of("0.1.0", "2026-11-01T00:00", run=[{"name": "features", "ratio": 2.5}]),
        run_of(
            "0.2.0",
            "2026-12-01T00:00",
            run=[{"name": "features", "ratio": 3.0}],
            ensemble=[{"name": "small", "ratio": {"clock": 9.0, "processor": 8.0}}],
            scaling=[
                {"name": "files", "size": 10, "clock_s": 1.0, "processor_s": 2.0},
                {"name": "threads", "size": 1, "clock_s": 4.0, "processor_s": 4.0},
                {"name": "threads", "size": 2, "clock_s": 3.0, "processor_s": 5.0},
            ],
        ),
    ]
    grown_only = run_of("0.3.0", "2026-12-02T00:00", scaling=runs[1]["benchmarks"]["scaling"])
    assert table([*runs, grown_only]) == table(runs)  # it has none of these figures
    lines = table(runs).splitlines()
    assert lines[0] == "| figure | 0.1.0<br>2026-11-01 | 0.2.0<br>2026-12-01 |"
    assert "| features | 2.5 x | 3 x |" in lines
    assert "| small |  | 8 x |" in lines
    assert not any("files" in line for line in lines)
    grown = loaded("record")["growth"](runs).splitlines()
    assert grown[2] == "| files | 10 | 1 s | 2 s | 200 ms |"
    assert grown[4] == "| threads | 2 | 3 s | 5 s | clock 0.75 of one thread |"
    assert grown[-1].startswith("- 0.2.0: a processor")


def test_the_two_peers_of_a_training_step_have_names_of_their_own() -> None:
    """Also those of the first files, where both were called float32."""
    step, peer = "training step, 64 x 256 x 431, bfloat16", {"anymic_s": [1.0], "peer_s": [7.0]}
    first = [
        {"name": step, "ratio": 7.0, "peer": "float32", **peer},
        {"name": f"{step}, both with kept memory", "ratio": 2.0, "peer": "float32", **peer},
    ]
    today = [
        {"name": step, "ratio": 7.0, "peer": "PyTorch defaults", **peer},
        {"name": step, "ratio": 2.0, "peer": "float32, kept memory", **peer},
    ]
    kept = [run_of("0.1.0", "2026-11-01T00:00", run=rows) for rows in (first, today)]
    record = loaded("record")
    then, now = (list(record["figures"](run)) for run in kept)
    assert then == now
    assert [name for name, _, _ in now] == [
        f"{step}, beside PyTorch defaults",
        f"{step}, beside float32, kept memory",
    ]
    assert record["output"](kept[:1]) == record["output"](kept[1:])
    assert "\n  PyTorch defaults    7000.0 ms [7000.0, 7000.0]\n" in record["output"](kept)


@pytest.mark.usefixtures("one_thread")
def test_every_number_format_and_layout_has_a_cell_on_the_page(tmp_path: Path) -> None:
    out, formats = tmp_path / "formats.json", loaded("formats")
    formats["main"](["--quick", "--rounds", "1", "--threads", "1", "--json", str(out)])
    rows = json.loads(out.read_text())
    run = run_of("0.1.0", "2026-11-01T00:00", formats=rows)
    lines = loaded("record")["formats"]([run]).splitlines()
    for row in rows:
        (line,) = [one for one in lines if one.startswith(f"| {row['name']} |")]
        assert f"{1e3 * row['processor_s']:,.1f} ms" in line
    assert {row["name"] for row in rows} == {
        *(f"training step, 2 x 32 x 64, {layout}" for layout in formats["LAYOUTS"]),
        "prediction, 1 x 32 x 64",
        *(f"two convolutions, which decide for a {work}" for work in ("training", "prediction")),
    }


@pytest.mark.usefixtures("one_thread")
def test_members_together_answer_as_one_after_another(tmp_path: Path) -> None:
    """The benchmark refuses ways whose logits differ."""
    out = tmp_path / "grouped.json"
    loaded("grouped")["main"](
        ["--quick", "--members", "3", "--rounds", "1", "--json", str(out)],
    )
    ways = [row["way"] for row in json.loads(out.read_text())]
    assert ways == 2 * ["one after another", "grouped convolutions", "vmap"]


def test_members_that_are_left_out_cannot_change_the_label() -> None:
    """Whatever the others vote; and one member fewer would leave the label open."""
    needed, left_out = (loaded("left_out")[name] for name in ("needed", "left_out"))
    generator = np.random.default_rng(0)
    p = generator.dirichlet([2.0, 0.3, 0.3], size=(9, 40))  # members that mostly agree
    winner = p.mean(axis=0).argmax(axis=1)
    checked = 0
    for clip, label in enumerate(winner):
        other = [one for one in range(3) if one != label]
        leads = p[:, clip, label, None] - p[:, clip, other]
        count = int(needed(leads.T).max())
        against = np.zeros_like(p[:, clip])  # the worst votes of the others
        for rival in other:
            against[:] = np.eye(3)[rival]
            against[:count] = p[:count, clip]
            assert against.sum(axis=0).argmax() == label
        worst = [np.eye(3)[rival] * (9 - count + 1) for rival in other]
        sums = [p[: count - 1, clip].sum(axis=0) + one for one in worst]
        checked += count < 9
        assert any(one[label] <= one[other].max() for one in sums)
    assert checked > 10
    shares = left_out(p, generator)
    assert 0 < shares["as they come"] <= shares["best order, at most"] < 0.5


@pytest.mark.filterwarnings("error")  # of a layout for which there is no room
def test_the_plot_has_room_for_many_figures(tmp_path: Path) -> None:
    """A line for each of those that can be compared."""
    from matplotlib.image import imread

    heights = []
    for many in (2, 40):
        rows = [{"name": f"what is measured {number}", "ratio": 2.0} for number in range(many)]
        others = [{"name": f"another {number}", "ratio": 1.0} for number in range(40)]
        kept = [("2026-11-01T00:00", rows), ("2026-12-01T00:00", rows), ("2026-12-02", others)]
        runs = [run_of("0.1.0", created, run=one) for created, one in kept]
        loaded("record")["draw"](runs, tmp_path / "plot.png")
        heights.append(imread(tmp_path / "plot.png").shape[0])
    assert heights[1] - heights[0] == pytest.approx(38 * 0.2 * 120, abs=2)


@pytest.mark.usefixtures("one_thread")
def test_a_kept_figure_names_its_peer() -> None:
    """Also those that once were only printed, and that of ffmpeg, where it is installed."""
    pretrained = loaded("pretrained")
    kept = {"pretrained": pretrained["compared"](pretrained["measure"](None, 1), 1)}
    names = ["YAMNet, 5 s, threads: 1, beside plain PyTorch"]
    service = loaded("service")
    rates = {(kind, clients): 4.0 for kind in service["KINDS"] for clients in service["CLIENTS"]}
    rates["anymic serve", 8] = 6.0
    kept["service"] = service["compared"]("small", rates)
    names += [f"service, small, clients: {many}, beside plain FastAPI" for many in (1, 8, 32)]
    if shutil.which("ffmpeg"):
        codecs = loaded("codecs")
        kept["codecs"] = codecs["compare"]([Codec("mu-law")], codecs["clip_of"](1.0), 1)
        names.append("codec mu-law 64, beside ffmpeg")
    found = list(loaded("record")["figures"](run_of("0.1.0", "2026-11-01T00:00", **kept)))
    assert [name for name, _, _ in found] == names
    assert [ratio for _, ratio, _ in found][1:4] == [1.0, 1.5, 1.0]
    assert all(ratio > 0 and unit == "x" for _, ratio, unit in found)


@pytest.mark.parametrize("name", ["output", "formats", "batches", "history", "growth"])
def test_the_page_shows_the_kept_runs(name: str) -> None:
    record = loaded("record")
    text = record["PAGE"].read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    shown = text.split(begin)[1].split(end)[0].strip()
    assert shown == record["WRITTEN"][name](record["history"]())
