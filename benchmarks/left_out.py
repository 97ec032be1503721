"""The share of members that could be left out without changing any label of an ensemble.

    python benchmarks/left_out.py

Members are those of benchmarks/voting.py, twelve of them with ten epochs; they vote on test scenes
(or on fold 4 of ESC-10). A member can be left out where the label is decided: a member's vote
changes the difference of two labels by at most 1, so the leading label stays where its lead over
every other one, summed over the members that have voted, exceeds the number of those that have not.
Two orders are counted for each clip: the members as they come (the mean of random orders), and the
best order, which nobody knows in advance. Its figure is a bound: for each other label, the members
with the largest lead over it come first, and the label that needs most members counts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from voting import Votes, asked  # type: ignore[import-not-found]

ORDERS = 20


def needed(leads: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many members decide (...), of leads (..., member) in the order in which they vote.

    They decide where the sum of their leads exceeds the number of members that have not voted.
    """
    members = leads.shape[-1]
    decided = leads.cumsum(axis=-1) > members - np.arange(1, members + 1)
    first: NDArray[np.int64] = decided.argmax(axis=-1) + 1
    return np.where(decided.any(axis=-1), first, members)


def left_out(p: NDArray[np.float64], generator: np.random.Generator) -> dict[str, float]:
    """Return the share of members that are left out, mean over clips, in each order.

    `p` are the votes (member, clip, label).
    """
    members, clips, labels = p.shape
    winner = p.mean(axis=0).argmax(axis=1)
    leads = p[:, np.arange(clips), winner][..., None] - p  # (member, clip, label)
    others = np.arange(labels) != winner[:, None]
    against = leads.transpose(1, 2, 0)[others].reshape(clips, labels - 1, members)
    counts = {"best order, at most": needed(-np.sort(-against, axis=-1)).max(axis=1)}
    drawn = [
        needed(against[..., generator.permutation(members)]).max(axis=1) for _ in range(ORDERS)
    ]
    counts["as they come"] = np.mean(drawn, axis=0)
    return {name: float(1 - np.mean(count) / members) for name, count in counts.items()}


def shares(found: Votes) -> dict[str, dict[str, float]]:
    """Return the shares of both ways of voting."""
    calibrators = found.calibrators()
    calibrated = [one.transform(own) for one, own in zip(calibrators, found.p, strict=True)]
    return {
        voting: left_out(p, np.random.default_rng(0))
        for voting, p in (("soft", found.p), ("calibrated", np.stack(calibrated)))
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each way of voting and each order."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the shares to this file")
    options, found = asked(parser, arguments, members=12, epochs=10)
    right = (found.p.mean(axis=0).argmax(axis=1) == found.targets).mean()
    clips, labels = found.p.shape[1:]
    print(f"{options.members} members, {clips} clips of {labels} labels, {right:.0%} right")
    rows = shares(found)
    for voting, orders in rows.items():
        for name, share in orders.items():
            print(f"  {voting:10} {name:20} {share:6.1%} of the members left out")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
