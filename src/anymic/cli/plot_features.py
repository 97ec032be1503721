"""``anymic plot features``: draw the pooled features of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anymic._internal.progress import progress_bar
from anymic.cli.inputs import require_png
from anymic.cli.printing import Outcome
from anymic.errors import ManifestError

if TYPE_CHECKING:
    from anymic.data.manifest import Manifest


def plot_features(
    model: Path,
    *,
    data: Path,
    out: Path = Path("features.png"),
    accelerator: str = "auto",
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

    require_png(out)
    chosen = _of_both_splits(as_manifest(data, several=None))
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
    place = str(save_png(figure, out))
    Outcome(place, [place], found.failures, files=len(chosen)).show(as_json=False)


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
