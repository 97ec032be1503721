"""``anymic demo``: train and evaluate on synthetic scenes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from anymic.cli.printing import Outcome, command_line

if TYPE_CHECKING:
    from anymic.training.demo import Demo


def demo(
    *,
    out: Path = Path("demo"),
    seed: int = 0,
    quick: bool = False,
) -> Outcome:
    """Make ten urban scenes, train without and with spectrum correction, and report.

    Three devices record the scenes: A all training clips, B and C ten each. No download is needed;
    it takes about a minute on two cores. Audio in --out is used again.

    Example: anymic demo --out demo
    """
    from anymic.training.demo import QUICK, run_demo

    found = run_demo(out, seed=seed, command=command_line(), **(QUICK if quick else {}))
    return outcome_of(found)


def outcome_of(found: Demo) -> Outcome:
    """Return the result, and where the files are."""
    from anymic.evaluation.report.tables import comparison_table, rich_table

    places = {
        "html": "the report, with figures",
        "json": "the same in numbers",
        "corrected": "the model: see anymic predict --help",
        "manifest": "the clips",
    }
    return Outcome(
        {
            "finding": found.finding,
            "rows": [asdict(row) for row in found.rows],
            "paths": {name: str(path) for name, path in found.paths.items()},
            "seconds": {name: round(seconds, 1) for name, seconds in found.seconds.items()},
        },
        [
            rich_table(comparison_table(found.rows)),
            f"\n{found.finding}\n",
            *(f"{found.paths[name]}  {what}" for name, what in places.items()),
            f"{sum(found.seconds.values()):.0f} s in total",
        ],
    )
