"""The words of the page."""

from __future__ import annotations

from anymic_experiments.peters2022.grid import Scale

INTRODUCTION = """# Peters 2022

N. Peters, *Improving scene classification models for audio coding artifacts*, 2022. A network that
was trained on clean recordings gets worse on coded ones; fine-tuning it on clean and coded ones
together wins back what was lost, as a whole (experiment A) or one segment of it alone (B).

Made by

    {command}

on {folds} with {seeds}.{corpus}
Percentages stand with their 95 % interval over whole source recordings, which resamples a recording
with every codec, fold and seed that heard it; differences are taken clip by clip.
"""

START: dict[Scale, str] = {
    "paper": " It starts from the published network, `anymic import keras`.",
    "small": """ It starts from the FCNN with a ninth of its channels, trained on the clean
clips of the other folds (the preset `peters2022-small`). The paper's, whose figures stand in
brackets, is nine times as wide and was trained on about 14,000 clips of ten seconds; ESC-10 has
240 of five seconds a fold, and its manifest is written by
`anymic data prepare esc10 --root ESC-50 --out esc10.csv`.""",
}

TABLE = """Accuracy in per cent while all of the network is fine-tuned on the originals and on
AAC 32, HE-AAC 16 and 32 and MP3 64; n is {n} for clean audio and for each codec. *Heard*: that
codec at that bitrate was fine-tuned on; *other bitrate*: the codec was; *other codec*: neither was.
The paper does not test HE-AAC.

{table}
The same in points: what codecs cost against the same clips clean, how accuracy changes, and the
share of the cost that is won back ("-" where the interval of the cost reaches 0).

{changes}
{reading}
"""

SEGMENTS = """Each segment fine-tuned alone for {epochs} epochs, all others frozen with their
running statistics, and the whole network for as long. Gains in points over the network as it was,
and as shares of the whole network's, where that is surely above 0.

{table}
{reading}

{{figure}}

Relative improvement is the gain over the accuracy before; the dashed line is the whole network's.
"""

SCALINGS = """The same network trained on the same clean clips, once with each clip's features
scaled to 0..1 between their extremes, as in the paper, and once with each band standardized over
the training clips. Neither is fine-tuned; the first seed. Accuracy in per cent; cost in points
against the same clips clean. These clips are heard as a user's are, in bfloat16 where the processor
multiplies it, those of table 2 in float32, so a clip or two may answer otherwise there.

{table}
{reading}"""

DECISIONS = """- *What an epoch is.* One pass over the originals and over their four coded versions:
  five times as many clips as on clean audio alone.
- *The schedule.* Cosine decay with warm restarts after 3, 7, 15, 31 and 40 epochs (3, 7 and 10
  where there are ten); the paper gives no lengths. So epochs 10 and 20 lie within a cosine.
- *The learning rate.* {rate}
- *Which epoch is kept.* The last. Nothing is chosen on test clips, but for the best segment, where
  the page says so.
- *Conditions.* {start}
"""
RATE: dict[Scale, str] = {
    "paper": "That of the preset `finetuning`; the paper gives none.",
    "small": """0.01, that of the preset `finetuning`; the paper gives none. On inner splits of the
  training clips of folds 1 and 2 (160 recordings, which are test clips of other folds) ten epochs
  at 0.01, 0.03 and 0.1 led to 83.5, 83.8 and 84.4 % over the coded conditions and to 84.4, 87.5
  and 85.0 % on clean audio, of which the first epoch at 0.1 took 28 points for a while: too alike
  in the end to leave the preset for.""",
}
CONDITIONS: dict[Scale, str] = {
    "paper": "Clips of all devices count alike.",
    "small": "ESC-10's files are Ogg Vorbis: *clean* is what they are, not what was recorded.",
}


def decisions(scale: Scale) -> str:
    """Return what was decided where the paper is silent."""
    return DECISIONS.format(rate=RATE[scale], start=CONDITIONS[scale])
