"""The command: `python -m tests.fuzz` (`make fuzz`) changes files at random and reads them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.run import fuzz, table


def main() -> int:
    """Fuzz, print the table, and return 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--audio", type=int, default=2000, help="changed audio files")
    parser.add_argument("--text", type=int, default=500, help="changed files of other kinds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first file of each")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--kind", help="only files of this kind, such as a.mp3 or bundle.json")
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    given = parser.parse_args()
    counts = {"audio": range(given.first, given.first + given.audio)}
    counts["text"] = range(given.first, given.first + given.text)
    found = fuzz(counts, seed=given.seed, out=given.out, workers=given.workers, only=given.kind)
    print(table(found))
    return int(any(one.problem for one in found))


if __name__ == "__main__":
    sys.exit(main())
