"""The words of the page."""

from __future__ import annotations

from anymic_experiments.nguyen2020.grid import Scale

INTRODUCTION = """# Nguyen, Pernkopf and Kosmider 2020

T. Nguyen, F. Pernkopf, M. Kosmider, *Acoustic scene classification for mismatched recording devices
using heated-up softmax and spectrum correction*, ICASSP 2020. A temperature T divides the logits
inside the softmax *while the network is trained*; spectrum correction makes devices alike.

Made by

    {command}

on {folds} with {seeds}: {network}, {bands} bands, hop {hop}, {clip}, batches of {batch}.{corpus}
Percentages stand with their 95 % interval over whole source recordings, which resamples a recording
with every device, fold and seed that heard it; differences are taken clip by clip. The paper's
figures, in brackets, are of ten-second urban scenes and far more training clips.
"""

CORPUS = """
The recordings are ESC-10 (Piczak 2015, folds 1 to 4, each in turn the test set), passed through
measured microphones (MicIRP): A flat and heard by all 240 training recordings of a fold; B, dark
and boomy, and C, narrow as a telephone, by ten aligned ones each; D and E by test clips only. A
quarter of the training recordings is set aside for calibration.
"""

CURVE = """Accuracy in per cent over the temperature of training; n of A, B and C is {n} each.
"Reached" is the training accuracy of the last three epochs, of clips as they were trained on, some
of them mixed up; a temperature that ends more than {behind} points behind T = 1 counts as not
converged, is marked *behind*, drawn hollow, and not compared. Lines with the paper's figures alone
are temperatures that we did not train. The challenge's baseline had {baseline} on A / B / C / B and
C.

{table}
What heating changes, in points; *chosen* is the temperature for which most validation clips are
right, all folds and seeds together (the smallest of equals):

{gains}
{reading}

{{figure}}
"""

LOSSES = """Both losses at T = 1, {seeds}; accuracy in per cent, the paper's figures in brackets.

{table}
The paper says, without numbers, that gains are better applied to magnitudes, before the mel
filters, than to log-mel bands behind them. Changes are over the line above:

{domains}"""

FEATURES = """The pooled features of training clips (above) and test clips (below) of A, B and C for
four temperatures, Ref.ABC, in the plane of the training clips' first two principal components; the
first seed and fold.

{{figure}}

The same in numbers, over {runs} runs: the share of the features' variance that lies between classes
(1: every class on one point) and between devices (0: devices do not show), with the interval over
runs.

{table}"""

TRUST = """Calibration error (ECE, 15 bins of equal width) by device, before and after calibration.
"On validation clips": one temperature (Guo 2017), or isotonic regression for each class, fitted to
each run's own validation clips, about 65, nearly all of A. "By device, on other recordings": a
temperature for each device, fitted on one half of the test recordings, 40 for each device, and
measured on the other half, and the other way round: what someone can do who has some labelled
recordings of a device. An error estimated from few clips is too large rather than too small.

{errors}
{reading}

Log loss, in nats:

{log_losses}
{{figure}}
"""

DECISIONS = """- *The temperature at prediction.* The network answers with softmax(z / T) of the
  temperature it was trained with, and that is what is calibrated.
- *Mixup.* {mixup}
- *Initial scale.* Glorot uniform, as in the paper, at every temperature. At the start the logits
  divided by T are T times smaller, and so is the gradient.
- *How long.* {length}
- *Which epoch is kept.* {epoch}
"""

LENGTHS = {
    "paper": "150 epochs from a learning rate of 0.5 at every temperature.",
    "small": """With the 30 epochs and the learning rate of 0.5 that are enough at T = 1, training
  at T = 10 stops half-way. So the learning rate grows with T up to 10, and the epochs up to 60.
  This was settled by the training accuracy and loss that are reached, on training clips of folds 1
  and 2 (which are test clips of other folds). So temperatures differ in the length of training too;
  the paper's 150 epochs are 30 to 60 times as many steps.""",
}
EPOCHS = {
    "paper": "The one of the highest validation accuracy.",
    "small": """The last, its learning rate having come down to 0 along a cosine: the validation
  clips are used for calibration and for choosing a temperature, nothing else.""",
}
MIXUP = {
    "paper": "Of all clips, with alpha 0.2: the paper gives alpha and no share.",
    "small": "Of 30 % of the clips, with alpha 0.2, as in Kosmider 2019; the paper gives no share.",
}


def decisions(scale: Scale) -> str:
    """Return what was decided where the paper is silent."""
    return DECISIONS.format(mixup=MIXUP[scale], length=LENGTHS[scale], epoch=EPOCHS[scale])
