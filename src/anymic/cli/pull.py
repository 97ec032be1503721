"""``anymic pull``: fetch a model from a folder, a URL or the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.printing import Outcome


def pull(where: str, *, out: Path) -> Outcome:
    """Fetch a model from a folder, a URL or the Hugging Face hub.

    WHERE is as for `anymic push`; hf://owner/name@revision is another revision. Each file must be a
    part of a model and have the SHA-256 that the model's index states, and the model must load.
    Otherwise nothing is written. Nothing is unpickled or executed.

    Example: anymic pull hf://owner/birds --out birds
    """
    from anymic.sharing import transfer

    folder = transfer.pull(where, out)
    return Outcome({"model": str(folder)}, [f"model in {folder}"])
