"""Send a bundle to a place, and fetch it from there."""

from __future__ import annotations

from pathlib import Path

from anymic import bundle as bundles
from anymic._internal.files import encoded
from anymic.bundle.format import FOLDER
from anymic.bundle.installed import resolve
from anymic.errors import BundleError
from anymic.sharing.card import card_text
from anymic.sharing.parts import CARD, collect, names_of
from anymic.sharing.places import HUB, README, SharingError, place_at


def push(
    model: str | Path, where: str, *, license_name: str | None = None, private: bool = False
) -> list[str]:
    """Send a model to a folder, a URL or the hub; return the names of the files that were sent.

    Only the bundle's own files are sent, and a model card: `MODEL_CARD.md` of the model's folder
    where it has one, else a new one. Checkpoints, logs, features and reports stay.

    Parameters
    ----------
    model : path
        The folder of a model or an ensemble, or the name of an installed model.
    where : str
        A folder, a URL that fsspec opens (extra hub), or hf://owner/name.
    license_name : str, optional
        For the card, such as "apache-2.0"; without one, the card states none.
    private : bool
        Whether a new repository on the hub is private.

    Raises
    ------
    BundleError
        If there is no bundle, or a file of it is missing or altered.
    SharingError
        If the place cannot be written to.

    Examples
    --------
    >>> push("run", "hf://owner/birds", license_name="apache-2.0")  # doctest: +SKIP
    """
    folder = resolve(model)
    loaded = bundles.load(folder)  # every file is there, and is the one that was saved
    names = names_of(folder)
    own = folder / CARD
    if license_name is not None and own.is_file():
        raise BundleError(
            f"a license is given, and {own} is there",
            expected="one of them",
            fix=f"state the license in {CARD}, or delete that file",
        )
    place = place_at(where, private=private)
    if "://" not in where and Path(where).resolve() == folder.resolve():
        raise BundleError(f"the model is in {where} itself", expected="another folder")
    text = own.read_bytes() if own.is_file() else b""
    card = text or encoded(card_text(loaded, folder, license_name=license_name))
    files: dict[str, Path | bytes] = {CARD: card}
    if where.startswith(HUB):
        files[README] = card
    files |= {name: folder / name for name in names}
    place.send(files, message=f"anymic push: {folder.name}")
    return list(files)


def pull(where: str, out: str | Path) -> Path:
    """Fetch a model from a folder, a URL or the hub into a folder; return the folder.

    Every file must be a part of a bundle and have the SHA-256 that its index states, and the model
    must load; otherwise nothing is written. No file is executed or unpickled.

    Parameters
    ----------
    where : str
        As for `push`; hf://owner/name@revision for another revision.
    out : path
        The folder for the model. A model there is replaced.

    Raises
    ------
    BundleError
        If there is no bundle, or it lists files that are no parts of one, or a file was altered.
    SharingError
        If the place cannot be read.
    """
    target, place = Path(out), place_at(where)
    with FOLDER.writing(target) as unfinished:
        collect(unfinished, place.fetch)
        bundles.load(unfinished)
        try:
            place.fetch(CARD, unfinished / CARD)
        except SharingError:  # a model without a card is a model
            (unfinished / CARD).unlink(missing_ok=True)
    return target
