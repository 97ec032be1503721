"""``anymic codec list``: the codecs, and which of them are available."""

from __future__ import annotations

from typing import Any

from anymic._internal.terminal import cell
from anymic.cli.printing import Outcome


def codec_list() -> Outcome:
    """List every codec, its rates and bitrates, and whether it is available here.

    Rates are those of the audio that is encoded; bitrates are nominal, in kbps, for one channel.
    A codec that is not available is never replaced by another: the table shows how to install it.
    --json has the containers of the streams, too.

    Example: anymic codec list
    """
    from anymic.codecs import every_spec
    from anymic.codecs.table import describe

    rows = [describe(spec) for spec in every_spec()]
    missing = [
        f"{row['codec']} is not available: {row['reason']}. To get it: {row['remedy']}"
        for row in rows
        if not row["available"]
    ]
    return Outcome(rows, [_table(rows), *missing])


def _table(rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table()
    table.add_column("codec", no_wrap=True)  # a name that is broken cannot be copied
    for head in ("what it is", "rates (kHz)", "kbps", "available"):
        table.add_column(head, overflow="fold")
    for row in rows:
        rates = ", ".join(f"{rate / 1000:g}" for rate in row["rates_hz"])
        kbps = ", ".join(f"{one:g}" for one in row["kbps"])
        cells = (row["codec"], row["title"], rates, kbps)
        table.add_row(*(cell(one or "·") for one in cells), "yes" if row["available"] else "no")
    return table
