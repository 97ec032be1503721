"""``anymic codec list``: the codecs, and which of them are available."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from anymic.cli.printing import print_json


def codec_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """List every codec, its rates and bitrates, and whether it is available here.

    Rates are those of the audio that is encoded; bitrates are nominal, in kbps, for one channel.
    A codec that is not available is never replaced by another: the table shows how to install it.

    Example: anymic codec list
    """
    from anymic.codecs import CODECS
    from anymic.codecs.table import describe

    rows = [describe(spec) for spec in CODECS.specs()]
    if as_json:
        print_json(rows)
    else:
        _print(rows)


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for head in ("codec", "what it is", "container", "rates (kHz)", "kbps", "available"):
        table.add_column(head, overflow="fold")
    for row in rows:
        rates = ", ".join(f"{rate / 1000:g}" for rate in row["rates_hz"])
        kbps = ", ".join(f"{one:g}" for one in row["kbps"])
        cells = (row["codec"], row["title"], row["container"], rates, kbps)
        table.add_row(*(cell or "·" for cell in cells), "yes" if row["available"] else "no")
    Console().print(table)
    for row in rows:
        if not row["available"]:
            print(f"{row['codec']} is not available: {row['reason']}. To get it: {row['remedy']}")
