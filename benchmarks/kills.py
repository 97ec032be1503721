"""Kill runs at moments spread over them, run them again, and compare with runs left alone.

    python benchmarks/kills.py

makes small built-in scenes, runs each command once, and then kills it by SIGKILL, SIGTERM or
SIGINT, several times. It prints a line for each kill: how the killed run and its children ended,
whether the second run gave the same results (weights, audio, tables and rows bit by bit), and what
is left beside them: temporary files, folders, processes. The exit status is 1 if anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
STATUS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
FIRST, LAST = 0.1, 0.95  # of a run's duration
EARLIER = 0.8  # of the moment of a kill that came too late
PATIENCE_S = 10.0
# Entries of JSON files that differ between runs: times, and the hash of a file that holds one.
UNEQUAL = {"created", "seconds", "command", "profile.json"}
FRESH = (sys.executable, "-m", "anymic")
NAMES_ONLY = {".html", ".ckpt"}  # these files hold times
OUT = "out"

TRAINING = (
    *("--preset", "scenes", "--set", "clip_s=1", "--set", "precision=float32"),
    *("--set", "batch_size=10", "--set", "width=0.25", "--set", "validation_share=0.2"),
)


@dataclass(frozen=True)
class Command:
    """One command, without its output folder, which is `out` in the folder it runs in."""

    name: str
    arguments: tuple[str, ...]
    again: tuple[str, ...] = ()  # added where it runs a second time
    out: str = "out"


def commands(corpus: Path) -> list[Command]:
    """Return the commands that are killed; they use what `prepare` wrote."""
    clean, devices, coded = (str(corpus / name) for name in ("clean.csv", "devices", "coded"))
    recorded, model = f"{devices}/manifest.csv", str(corpus / "model")
    codecs, many = str(corpus / "codecs.yaml"), str(corpus / "many")
    train = ("train", "--data", recorded, *TRAINING, "--set", "epochs=4")
    return [
        Command("train", train, ("--resume",)),
        Command("train --members", (*train, "--members", "3", "--workers", "2")),
        Command("data simulate", ("data", "simulate", clean, "--devices", "scenes")),
        Command("data encode", ("data", "encode", clean, "--codecs", codecs)),
        Command(
            "finetune",
            (
                *("finetune", model, "--data", f"{coded}/manifest.csv", "--epochs", "4"),
                *("--report-epochs", "0,1,2", "--set", "precision=float32"),
            ),
            ("--resume",),
        ),
        Command(
            "robustness",
            (
                *("robustness", model, "--data", clean, "--devices", "scenes"),
                *("--codecs", codecs, "--cache", f"{OUT}/cache"),
            ),
        ),
        Command("predict", ("predict", many, "--model", model), out="events.csv"),
        Command(
            "predict --workers",
            ("predict", many, "--model", model, "--workers", "2"),
            out="events.csv",
        ),
        Command("embed", ("embed", many, "--model", model), out="features.npz"),
        Command("embed, shards", ("embed", many, "--model", model, "--format", "npz")),
    ]


def prepare(corpus: Path, chosen: Sequence[Command], *, recordings: int) -> None:
    """Write scenes of a second, and of them what the chosen commands need."""
    from anymic.cli import main as anymic
    from anymic.data.corpora.scenes import Settings, scenes

    settings = Settings(train_locations=2, test_locations=1, takes=1, clip_s=1.0)
    scenes(corpus / "scenes", settings, progress=False).write(corpus / "clean.csv")
    (corpus / "codecs.yaml").write_text("codecs: {wav: null, mu-law: [64], mp3: [16, 64]}\n")
    clean, recorded = str(corpus / "clean.csv"), str(corpus / "devices" / "manifest.csv")
    given = [one for each in chosen for one in each.arguments]
    needed = {one.removeprefix(f"{corpus}/").split("/")[0] for one in given}
    needed |= {"devices"} if "model" in needed else set()
    for out, arguments in (
        ("devices", ("data", "simulate", clean, "--devices", "scenes")),
        ("coded", ("data", "encode", clean, "--codecs", str(corpus / "codecs.yaml"))),
        ("model", ("train", "--data", recorded, *TRAINING, "--set", "epochs=1")),
    ):
        if out not in needed:
            continue
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as said:
            status = anymic([*arguments, "--out", str(corpus / out)])
        assert status == 0, said.getvalue()
    join(corpus / "many", sorted((corpus / "scenes").rglob("*.flac")), recordings=recordings)


def join(folder: Path, clips: Sequence[Path], *, recordings: int, seconds: int = 30) -> None:
    """Write recordings of scenes, one after another in random order."""
    import numpy as np
    import soundfile

    folder.mkdir(exist_ok=True)
    read = [soundfile.read(clip, dtype="int16") for clip in clips]
    generator = random.Random(0)
    for number in range(recordings):
        chosen = [generator.choice(read)[0] for _ in range(seconds)]
        soundfile.write(folder / f"{number:03d}.flac", np.concatenate(chosen), read[0][1])


def start(program: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a program in a folder, in a session of its own, with its own temporary folder."""
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    own = {"TMPDIR": str(temporary), "TORCHINDUCTOR_CACHE_DIR": str(folder.parent)}
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        return subprocess.Popen(
            program,
            cwd=folder,
            env={"OMP_NUM_THREADS": "1", **os.environ, **own},
            stdout=out,
            stderr=err,
            start_new_session=True,
        )


def finish(command: Command, folder: Path, *, again: Sequence[str] = ()) -> float:
    """Run a command to its end, `again` by this program; return its duration in seconds."""
    begun = time.monotonic()
    more = command.again if again else ()
    own = (*command.arguments, *more, "--out", command.out)
    with start((*(again or FRESH), *own), folder) as run:
        if run.wait() != 0:
            sys.exit(f"{command.name} ended with {run.returncode}: {folder / 'stderr'}")
    return time.monotonic() - begun


def kill(
    command: Command, folder: Path, after_s: float, sent: signal.Signals
) -> tuple[int, bool] | None:
    """Start a command and send a signal to it alone; return its status, and whether all ended.

    None if it had ended before the signal, or did not need to heed it.
    """
    with start((*FRESH, *command.arguments, "--out", command.out), folder) as run:
        try:
            run.wait(after_s)
        except subprocess.TimeoutExpired:
            run.send_signal(sent)
        run.wait()
        deadline = time.monotonic() + PATIENCE_S
        while (left := list(session(run.pid))) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    return (run.returncode, not left) if run.returncode != 0 else None


def session(leader: int) -> Iterator[int]:
    """Yield the processes of a session that have not ended."""
    for place in Path("/proc").iterdir():
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if place.name.isdecimal() and int(fields[3]) == leader and fields[0] != "Z":
            yield int(place.name)


def results(folder: Path) -> dict[str, str]:
    """Return every file that a run left, by its path, with a hash of what must be equal in it."""
    rows = (folder / "stdout").read_text().splitlines()
    printed = "\n".join(row for row in rows if "kept from an earlier run" not in row)
    found = {"stdout": digest(printed.encode())}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if "logs" in name.parts or name.name in ("stdout", "stderr"):
            continue  # TensorBoard's files are named by time and process
        named = path.is_dir() or path.suffix in NAMES_ONLY or name.parts[0] == "tmp"
        content = b"" if named else path.read_bytes()
        if path.suffix == ".json":
            content = json.dumps(equal_part(json.loads(content))).encode()
        found[str(name)] = digest(content)
    return found


def equal_part(value: Any) -> Any:
    """Return what of a JSON value is equal in equal runs."""
    if isinstance(value, list):
        return [equal_part(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: equal_part(one) for key, one in value.items() if key not in UNEQUAL}


def digest(content: bytes) -> str:
    """Return the hash of a file."""
    return hashlib.sha256(content).hexdigest()


def compare(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """Return what differs: files that are missing, left behind, or have another content."""
    return [
        *(f"missing {name}" for name in sorted(set(wanted) - set(found))),
        *(f"left behind {name}" for name in sorted(set(found) - set(wanted))),
        *(f"different {name}" for name in wanted if found.get(name, wanted[name]) != wanted[name]),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if a run after a kill gave other results or left something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="in all; the commands take turns")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recordings", type=int, default=120, help="of 30 s, to classify")
    parser.add_argument(
        "--first", type=float, default=FIRST, help="no kill before this share of a run's duration"
    )
    parser.add_argument("--only", nargs="*", help="names of commands, such as 'data encode'")
    parser.add_argument("--again", help="the anymic that runs after a kill; by default this one")
    parser.add_argument("--folder", type=Path, help="where to work; it is kept")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit none
    again = (options.again,) if options.again else FRESH
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="anymic-kills-"))).resolve()
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    chosen = [one for one in commands(corpus) if not options.only or one.name in options.only]
    prepare(corpus, chosen, recordings=options.recordings)
    generator = random.Random(options.seed)
    wanted, duration_s = {}, {}
    for command in chosen:
        place = folder / command.name.replace(" ", "") / "whole"
        duration_s[command.name] = finish(command, place)
        wanted[command.name] = results(place)
    print(f"{'command':<16} {'signal':<8} {'after':>12} {'status':>6} {'processes':<10} second run")
    wrong = 0
    for number in range(options.kills):
        command = chosen[number % len(chosen)]
        (turn, place_in_turn), turns = divmod(number, len(chosen)), -(-options.kills // len(chosen))
        share = options.first + (LAST - options.first) * (turn + generator.random()) / turns
        sent = SIGNALS[(turn + place_in_turn) % len(SIGNALS)]  # in turn for each command
        place = folder / command.name.replace(" ", "") / str(number)
        after_s = share * duration_s[command.name]
        while not (killed := kill(command, place, after_s, sent)):  # it was quicker than before
            shutil.rmtree(place)
            share, after_s = share * EARLIER, after_s * EARLIER
        status, ended = killed
        again_s = finish(command, place, again=again)
        differences = compare(results(place), wanted[command.name])
        if status != STATUS[sent]:
            differences.append(f"status {status}, expected {STATUS[sent]}")
        if not ended:
            differences.append("processes left")
        wrong += bool(differences)
        print(
            f"{command.name:<16} {sent.name:<8} {after_s:5.1f} s {share:4.0%} {status:6}"
            f" {'ended' if ended else 'left':<10}"
            f" {'; '.join(differences[:4]) or 'equal'} ({again_s:.1f} s)",
            flush=True,
        )
        if not differences:
            shutil.rmtree(place)
    print(f"{options.kills - wrong} of {options.kills} equal")
    if not options.folder and not wrong:
        shutil.rmtree(folder)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
