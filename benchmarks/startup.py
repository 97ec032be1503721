"""How long anymic takes to start: `import anymic`, and `anymic --help`.

    python benchmarks/startup.py

Each is the least processor time of several fresh processes, without what an empty program needs.
The exit status is 1 where one is over its limit: 0.1 s for the import, 0.3 s for the help.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LIMITS_S = {"import anymic": 0.1, "anymic --help": 0.3}
COMMANDS = {
    "nothing": ["-c", "pass"],
    "import anymic": ["-c", "import anymic"],
    "anymic --help": ["-m", "anymic", "--help"],
}


def processor_time(arguments: list[str]) -> float:
    """Return the processor time of a fresh Python, in seconds."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and compare with the limits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="processes of each; default 7")
    parser.add_argument("--json", type=Path, help="also write the times to this file")
    options = parser.parse_args(arguments)
    for command in COMMANDS.values():
        processor_time(command)  # fills the caches
    least = {
        name: min(processor_time(command) for _ in range(options.rounds))
        for name, command in COMMANDS.items()
    }
    found = {name: least[name] - least["nothing"] for name in LIMITS_S}
    for name, seconds in found.items():
        print(f"{name:14} {seconds:.3f} s of processor time, at most {LIMITS_S[name]} s")
    if options.json:
        rows = [{"name": name, "seconds": seconds} for name, seconds in found.items()]
        options.json.write_text(json.dumps(rows, indent=1))
    return int(any(seconds > LIMITS_S[name] for name, seconds in found.items()))


if __name__ == "__main__":
    sys.exit(main())
