"""``anymic push``: send a model to a folder, a URL or the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.printing import Outcome
from anymic.errors import counted


def push(model: Path, where: str, *, license: str | None = None, private: bool = False) -> Outcome:
    """Send a model to a folder, a URL or the Hugging Face hub, with a model card.

    WHERE is a folder, a URL that fsspec opens (s3://bucket/name, sftp://..., with the package for
    it), or hf://owner/name. URLs need the extra hub. The token for the hub is that of
    huggingface_hub: the environment variable HF_TOKEN, or `hf auth login`.

    Only the files of the model are sent: no checkpoints, logs, features or recordings. The card is
    MODEL_CARD.md in the model's folder, if it is there (`anymic card` writes it); else it is
    written from what the model records. The hub shows it as README.md.

    Example: anymic push run hf://owner/birds --license apache-2.0
    """
    from anymic.sharing import transfer

    names = transfer.push(model, where, license_name=license, private=private)
    return Outcome(
        {"where": where, "files": names}, [f"sent {counted(len(names), 'file')} to {where}"]
    )
