"""``anymic plot features``: draw the pooled features of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anymic._internal.progress import progress_bar
from anymic.cli import options
from anymic.cli.printing import finish
from anymic.errors import ConfigError, ManifestError

if TYPE_CHECKING:
    from anymic.data.manifest import Manifest


def plot_features(
    model: options.Model,
    data: Annotated[Path, typer.Option(help="A manifest (CSV) with the column split.")],
    out: Annotated[Path, typer.Option(help="The PNG to draw into.")] = Path("features.png"),
    accelerator: options.Accelerator = "auto",
) -> None:
    """Draw the network's pooled features of clips in two dimensions.

    One point is one clip, training clips (split is train) on the left, test clips on the right, by
    class and, where the manifest has devices, again by device. The plane is that of the first two
    principal components of the training clips (Nguyen 2020, figure 2).

    The exit status is 1 if some files failed; they are listed, and not in the figure.

    Example: anymic plot features run --data manifest.csv --out features.png
    """
    from anymic import bundle
    from anymic.data.reading import as_manifest
    from anymic.evaluation.report.features import features_figure
    from anymic.evaluation.report.style import save_png
    from anymic.inference.embedder import Embedder

    if out.suffix.lower() != ".png":
        raise ConfigError(f"{out} cannot be drawn", expected="a .png file", fix="change the name")
    chosen = _of_both_splits(as_manifest(data))
    embedder = Embedder(bundle.load(model), accelerator=accelerator)
    with progress_bar(len(chosen), "embedding") as advance:
        found = embedder.embed_manifest(chosen, progress=advance)
    clips, rows = found.clips()
    table = chosen.rows(rows).table
    figure = features_figure(
        clips,
        training=table["split"] == "train",
        test=table["split"] == "test",
        labels=table["label"].tolist(),
        devices=table["device"].tolist() if chosen.devices else None,
    )
    print(save_png(figure, out))
    finish(found.failures, files=len(chosen))


def _of_both_splits(manifest: Manifest) -> Manifest:
    """Return the clips whose split is train or test; ManifestError where a split has none."""
    from anymic.data.splits import check_splits

    manifest.require("split", purpose="a panel of training and one of test clips")
    check_splits(manifest)
    chosen = manifest.where(split=["train", "test"])
    there = sorted(set(manifest.table["split"]) - {""})
    if not {"train", "test"} <= set(there):
        raise ManifestError(
            f"the manifest has the splits {', '.join(there) or '(none)'}",
            expected="train and test",
            fix="write both in the column split",
        )
    return chosen
