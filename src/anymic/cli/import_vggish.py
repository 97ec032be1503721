"""``anymic import vggish``: make a model of the weights of VGGish."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.inputs import require_both
from anymic.cli.printing import Outcome
from anymic.errors import ConfigError


def import_vggish(
    weights: Path | None = None,
    *,
    out: Path,
    download: Path | None = None,
    random: bool = False,
    width: float = 1.0,
    seed: int = 0,
    linear: bool = False,
    labels: Path | None = None,
) -> Outcome:
    """Make a model of VGGish's public weights, an embedding of 0.96 s of sound in 128 numbers.

    The model has no labels: it is for `anymic embed`, and for training classifiers on its
    embeddings. It works at 16 kHz with the front-end that was published with VGGish. Only tensors
    are read; a file with code in it is refused. With --labels it gets a layer of 100 and one of the
    manifest's labels, for `anymic finetune --preset xu2018` on patches (`anymic data cut`).

    Example: anymic import vggish vggish-10086976.pth --out vggish
    """
    from anymic.data.reading import as_manifest
    from anymic.importers import vggish
    from anymic.training.heads import with_labels

    chosen = [weights is not None, download is not None, random]
    if sum(chosen) != 1:
        raise ConfigError(
            ("no" if not any(chosen) else "more than one") + " source of weights is given",
            expected="one of WEIGHTS, --download and --random",
            fix="see anymic import vggish --help",
        )
    require_both(f"--width {width:g}", width != 1, "--random", random)
    path = vggish.fetch(download) if download is not None else weights
    bundle = vggish.import_vggish(path, width=width, seed=seed, embedding_relu=not linear)
    if labels is not None:
        bundle = with_labels(bundle, as_manifest(labels).labels, seed=seed)
    bundle.save(out)
    count = sum(value.numel() for value in bundle.network.parameters())
    outcome = {"out": str(out), "weights": count, "from": bundle.training["imported"]}
    then = "finetune" if labels is not None else "embed"
    line = f"{out}  VGGish, {count:,} weights; see anymic {then} --help"
    return Outcome(outcome, [line])
