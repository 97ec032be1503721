"""`anymic data encode`: pass a corpus through codecs."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.derived import derived_outcome, variant_lines
from anymic.cli.printing import Outcome


def data_encode(
    manifest: Path,
    *,
    codecs: str,
    out: Path,
    workers: int | None = None,
    ray: str | None = None,
) -> Outcome:
    """Pass every clip through every codec.

    OUT/audio/CODEC-KBPS/*.flac are written, each with the rate, length and alignment of its
    original, OUT/manifest.csv with the columns codec and kbps and, for a corpus with folds, one
    OUT/foldK.csv for each fold, ready to train on. Rows of the codec wav name the original files.
    An interrupted run continues where it stopped.

    With --ray, a Ray cluster does the work: see docs/recordings.md.

    Example: anymic data encode esc10.csv --codecs codecs --out esc10-coded
    """
    from anymic.codecs.coded_corpus import encode as run
    from anymic.data.reading import as_manifest

    result = run(as_manifest(manifest, several=None), codecs, out, workers=workers, ray=ray)
    found = [(one, result.measured_kbps[one], over) for one, over in result.over_full_scale.items()]
    plain = [
        {
            "codec": codec.name,
            "kbps": codec.kbps,
            "measured_kbps": kbps,
            "clips_over_full_scale": over,
        }
        for codec, kbps, over in found
    ]
    rows = [(codec, f"{kbps:.1f}", over) for codec, kbps, over in found]
    lines = variant_lines("codec", "measured kbps", rows)
    return derived_outcome(result, out, lines=lines, plain={"codecs": plain})
