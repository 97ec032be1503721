"""Balanced batches: the same number of clips of each class, whatever the class sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymic.errors import ConfigError, counted


class BalancedOrder:
    """The clips of each batch; they depend on the seed and the epoch alone.

    Every clip of the largest class is used once in an epoch. Those of the other classes are
    repeated, in a new order each time; no batch holds a clip twice. In Xu 2018 (section 2.2) a
    batch has one clip of each of 41 classes, with all of its patches: about 280.

    Parameters
    ----------
    targets : (row,) int, or (row, class) of 0 and 1
        The class of each training row, or its classes. A row of several classes is drawn for each
        of them, but is in no batch twice.
    classes, seed : int
    clips : (row,), optional
        The clip of each row, where a row is a part of one (a patch); a batch has all rows of a
        clip. By default every row is a clip.
    clips_a_class : int
        Number of clips of each class in a batch.
    labels : sequence of str, optional
        The names of the classes, for error messages.

    Raises
    ------
    ConfigError
        If a class has fewer clips than a batch needs, or a clip has rows of two classes.
    """

    def __init__(
        self,
        targets: ArrayLike,
        *,
        classes: int,
        seed: int,
        clips: Sequence[Any] | NDArray[Any] | None = None,
        clips_a_class: int = 1,
        labels: Sequence[str] = (),
    ) -> None:
        of_row = np.asarray(targets)
        names = np.arange(len(of_row)) if clips is None else np.asarray(clips)
        if names.shape != of_row.shape[:1] or clips_a_class < 1:
            raise ConfigError(
                f"{counted(len(names), 'clip')} for {counted(len(of_row), 'row')}, and"
                f" {clips_a_class} of a"
                " class in a batch",
                expected="a clip for each row, and 1 or more in a batch",
            )
        _, first, index = np.unique(names, return_index=True, return_inverse=True)
        of_clip = of_row[first]
        if (of_clip[index] != of_row).any():
            raise ConfigError("a clip has rows of two classes", expected="one class for each clip")
        if of_clip.ndim == 1:
            of_clip = of_clip[:, None] == np.arange(classes)
        members = [np.flatnonzero(of_clip[:, number]) for number in range(classes)]
        few = [number for number, own in enumerate(members) if len(own) < clips_a_class]
        if few:
            name = labels[few[0]] if labels else f"class {few[0]}"
            smaller = f", or batches of at most {classes * min(map(len, members))}"
            raise ConfigError(
                f"there are {len(members[few[0]])} training clips of {name}",
                expected=f"at least {clips_a_class} of each class for a balanced batch",
                fix="add clips of it, or leave its label out"
                + (smaller if all(map(len, members)) else ""),
            )
        self._members, self._each, self._seed = members, clips_a_class, seed
        order = np.argsort(index, kind="stable")
        self._rows = np.split(order, np.cumsum(np.bincount(index))[:-1])
        self.steps = -(-max(map(len, members)) // clips_a_class)  # batches in an epoch

    def batch(self, epoch: int, step: int) -> NDArray[np.int64]:
        """Return the rows of one batch, class by class."""
        place = slice(step * self._each, (step + 1) * self._each)
        clips = dict.fromkeys(
            clip
            for number, own in enumerate(self._members)
            for clip in self._stream(epoch, number, own)[place].tolist()
        )
        return np.concatenate([self._rows[clip] for clip in clips]).astype(np.int64)

    def _stream(self, epoch: int, number: int, own: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the clips of a class in the order of an epoch, with repetitions."""
        generator = np.random.default_rng((self._seed, epoch, number))
        wanted = self.steps * self._each
        stream = generator.permutation(own)
        while len(stream) < wanted:
            # A batch may begin with the last clips of one round: these come late in the next.
            begun = stream[len(stream) - len(stream) % self._each :]
            more = generator.permutation(own)
            late = np.isin(more, begun)
            stream = np.concatenate([stream, more[~late], more[late]])
        return stream
