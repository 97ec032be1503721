"""The words of the page."""

from __future__ import annotations

INTRODUCTION = """# Kosmider 2019

M. Kosmider, *Calibrating neural networks for secondary recording devices*, DCASE 2019: the winner
of task 1B. Spectrum correction makes recordings of different devices alike, small networks classify
them, a further network names the device, and ensembles of calibrated members vote.

Made by

    {command}

on {folds} with {seeds}: basic1 and basic2, {bands} bands, hop {hop}, {clip},
{epochs} epochs.{corpus}
Percentages stand with their 95 % interval over whole source recordings, which resamples a recording
with every device, fold and seed that heard it; differences are taken clip by clip.
"""

CORPUS = """
The recordings are ESC-10 (Piczak 2015, folds 1 to 4, each in turn the test set), passed through
measured microphones (MicIRP): A flat and heard by all 240 training clips of a fold; B, dark and
boomy, and C, narrow as a telephone, by ten aligned training clips each.
"""

DECISIONS = """- *Which epoch is kept.* At the paper's scale the one of the highest validation
  accuracy. At the small scale the last: its learning rate has come down to 0 along a cosine, and
  the validation clips are then used for nothing but selecting and calibrating members of ensembles.
- *How mixup and SpecAugment combine.* Mixup first, on 30 % of the clips; then one block of time and
  one band of frequency are masked in every clip, mixed or not, each of a size drawn evenly from 0
  to its limit. At the small scale the limits are the same share of a clip as the paper's (20 of 216
  frames, 13 of 128 bands). Time warp is off, as in all but four of the report's networks.
- *What a mask is filled with.* The training clips' mean of the band, which is 0 where features are
  normalized. A plain 0 in log-mel features that are not would be a burst.
- *Correction.* The mean over aligned takes of the ratio of the reference's spectrum to the
  device's; the reference is the mean of B and C.
- *Splits.* Every line of the table has its own random validation split and weights, so that all of
  them can vote; a line with correction and its counterpart without share theirs.

None of these was chosen by looking at test clips. Microphones, length, batch size and schedule are
those of [the experiment on spectrum correction](spectrum_correction.md), which says which of them
were settled with test clips in sight.
"""

TABLE = """Accuracy in per cent; the report's figures in brackets, on ten-second urban scenes of ten
classes and with far more training clips (its table's header is garbled, the columns are our
reading). n of A is {n}, of B and C together twice that.

{table}
What correction changes, in points:

{gains}
{reading}

{{figure}}
"""

ENSEMBLES = """Members are the table's networks with correction, of all seeds; those that reach 70 %
on their own validation clips vote. Calibrated members pass through isotonic regression
for each label, fitted on those same clips (about 60, hence coarse). Members "trained on all clips"
set none aside. Accuracy in per cent, log loss in nats, ECE in 15 bins; log loss and ECE on A, B and
C together. "Over its average member" is in points on A, B and C.

{table}
{reading}

The report had 46, 36, 31 and 124 members; the best of its four reached 76 % on the private
leaderboard, where a single uncorrected network reached about 54 %.

{{figure}}
"""


DEVICES = """The submission had to recognize devices, for the evaluation data do not name them; the
report says 99.9 % and no more. Here the identifier learns each of A, B and C from 40 uncorrected
training clips, and 40 clips each of six further microphones show it where to stop. "Strangers" are
eight microphones that nothing was fitted on; each of the 80 test clips of a fold is heard by all of
them. Accuracies are of `basic1` with augmentation, normalization and correction, towards the mean
of B and C (as above) and, beside it, towards A. Gets back: of what strangers lose to A when heard
as they are.

{table}
{reading}

"Blind" gains come from the recordings themselves, against the mean spectrum of the network's
training clips; the recordings of a batch are drawn at random from one microphone's, so a batch has
many classes in it. How they are estimated was settled on folds 1 to 3 with other microphones; fold
4 had no part in it. In the last line a stranger that passes for a known device gets that device's
gains, and the others blind ones, each from that clip alone. "Taken for another device's": every
clip of A, B and C with each of the two wrong profiles.
"""

IDENTIFICATION = """How well one unseen clip is recognized, over the number of training clips a
device; n of the accuracy is {n}. Strangers are eight microphones that heard no training clip. Six
further ones (F to K), with as many clips as the others but 40 at most, show the identifier what a
stranger is and set its threshold; in the line "imitations only" nobody does. "At 95 % true accepts"
is the share of strangers' clips that pass where 95 % of A's, B's and C's test clips do. Recordings
are judged together by random batches of one device's; n shrinks accordingly. The last table says
where the errors are: each stranger against each known device, one clip, 40 clips a device.

{table}
{reading}

What made the difference was what the identifier is told a stranger is. Random responses added to
clips of A, B and C gave AUROCs of 0.827 [0.804, 0.854] and, with twice the bands, of 0.820 [0.799,
0.847] in earlier runs of this table, which is why another way was looked for. Other statistics of a
clip (quantiles over time, the power above the noise floor, the level over it) add nothing to those
used. The six teach so much because microphones are more alike than random curves are, and these
more than most: all were measured for one collection, mostly old ribbon and dynamic microphones that
lose some 20 dB above 6 kHz against a flat one, so that much of what they record there is noise. A
stranger of another kind (a telephone, say) is one that nobody has shown, and the figures do not
hold for it.

Settings were chosen on training clips of fold 1, which are test clips of the other folds, with 17
other microphones as strangers (neither F to K nor any of the eight). There, with 40 clips, the
AUROC was 0.84 with the random responses of before, 0.92 with such as lie about the mean of A, B and
C, 0.974 with the clips of one of F to K and 0.978 with those of all six; against A 0.97, B 0.99, C
0.98. The nearest of the 17 to A, by its spectrum, was the hardest: 0.947 against A. The network
that judges also names devices there no worse than the discriminant analysis of before (about 97.9 %
against 97.5 %), which is therefore gone.

{{figure}}
"""
