"""Device sets: the devices of a YAML file, and the clips that each of them records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from anymic._internal.files import encoded
from anymic._internal.settings import from_mapping, of_file, preset_file, read_yaml
from anymic.data.spelling import usual_split
from anymic.devices.simulation.chain import Device
from anymic.devices.simulation.response import impulse_response
from anymic.errors import AnymicError, ConfigError, ManifestError, counted

Share = int | float | Literal["all"]
_EXAMPLE = "`train: {A: all, B: 10, C: 0.1}`: all, a count of clips or a share of them"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class DeviceSet:
    """Devices by name, and the share of each split's clips that each of them records.

    Attributes
    ----------
    devices : mapping of str to Device
    recorded : mapping of str to mapping of str to share
        By split and device: "all", a count (whole number), or a share (number with a decimal
        point, at most 1.0). Within a split the clips have one random order, and a device that
        records n clips records the first n. So devices with more clips record every take of a
        device with fewer: these are the aligned takes.
    seed : int
        For the order of clips and the noise of every device.
    responses : Path
        Folder of the measured impulse responses.
    """

    devices: Mapping[str, Device]
    recorded: Mapping[str, Mapping[str, Share]]
    seed: int = 0
    responses: Path = Path()

    @classmethod
    def read(cls, path: str | Path, *, responses: str | Path | None = None) -> DeviceSet:
        """Read a YAML file, or a preset by its name (see `anymic._internal.settings.preset_file`).

        The folder of the impulse responses is by default that of the YAML file.

        Raises
        ------
        ConfigError
            If the file is missing or not YAML, a key or value is not valid, or `recorded` names a
            device that is not defined. The message lists every problem.
        """
        path = preset_file(path, example="microphones")
        values = read_yaml(path)
        with of_file(path):
            return cls.from_mapping(values, responses=responses or path.parent)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, responses: str | Path = ".") -> DeviceSet:
        """Build a set from plain mappings; see `read`."""
        problems = [
            f"unknown key {key!r}" for key in values if key not in ("devices", "recorded", "seed")
        ]
        if "heard" in values:
            problems = ["the key `heard` is now `recorded`"]
        seed = values.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            problems.append(f"seed: {seed!r} is not a whole number from 0")
        devices: dict[str, Device] = {}
        for name, settings in _mapping(values, "devices", problems).items():
            if not _NAME.fullmatch(str(name)):
                problems.append(f"device {name!r} is not a valid name for a folder")
            try:
                devices[str(name)] = from_mapping(Device, settings or {}, where=f"devices.{name}")
            except ConfigError as error:
                problems.append(error.problem)
                devices[str(name)] = Device()
        recorded = {
            usual_split(str(split)) or str(split): _shares(split, shares, devices, problems)
            for split, shares in _mapping(values, "recorded", problems).items()
        }
        if problems:
            raise ConfigError(
                "; ".join(problems),
                expected="a device set with `devices`, `recorded` and `seed`",
                fix="correct the file",
            )
        return cls(devices=devices, recorded=recorded, seed=seed, responses=Path(responses))

    def check_responses(self) -> None:
        """Load every measured response; DeviceError that lists all missing or unusable ones."""
        problems: list[AnymicError] = []
        for device in self.devices.values():
            if device.response is not None and device.response.file is not None:
                try:
                    impulse_response(device.response, 44100, str(self.responses))
                except AnymicError as error:
                    problems.append(error)
        if problems:
            got = "; ".join(problem.problem for problem in problems)
            raise type(problems[0])(got, expected=problems[0].expected, fix=problems[0].fix)

    def require_splits(self, splits: Iterable[str]) -> None:
        """Raise a ConfigError if `recorded` does not have exactly these splits."""
        have, named = set(splits), set(self.recorded)
        if have != named:
            raise ConfigError(
                f"`recorded` has the splits {', '.join(sorted(named))}, "
                f"and the clips have {', '.join(sorted(have))}",
                expected="one line under `recorded` for each split of the clips",
                fix=f"write {_EXAMPLE}",
            )

    def draw(self, split: str, labels: Sequence[str], *, salt: int = 0) -> dict[str, list[int]]:
        """Draw the clips of a split that each device records.

        `labels` are those of the clips of the split, and `salt` gives each fold its own draw.
        Returns the indices of the clips of each device, ascending.

        Raises a ManifestError if a device should record more clips than there are.
        """
        key = [self.seed, salt, *encoded(split)]
        order = stratified_order(labels, np.random.default_rng(key))
        return {
            device: sorted(order[: _count(share, len(labels), f"{device} in {split}")])
            for device, share in self.recorded[split].items()
        }


def stratified_order(labels: Sequence[str], generator: np.random.Generator) -> list[int]:
    """Return all row numbers in a random order whose first n rows are stratified, for every n.

    The rows of each label are shuffled and spread evenly over the whole. Labels that are equally
    frequent alternate.
    """
    names = sorted(set(labels))
    rank = generator.permutation(len(names))
    places: list[tuple[float, int, int]] = []
    for number, name in enumerate(names):
        rows = [row for row, label in enumerate(labels) if label == name]
        for turn, row in enumerate(generator.permutation(rows).tolist()):
            places.append(((turn + 0.5) / len(rows), int(rank[number]), int(row)))
    return [row for _, _, row in sorted(places)]


def _count(share: Share, clips: int, what: str) -> int:
    if share == "all":
        return clips
    count = max(1, round(share * clips)) if isinstance(share, float) else int(share)
    if count > clips:
        raise ManifestError(
            f"{counted(count, 'clip')} are asked for device {what}, and there are {clips}",
            expected="at most the number of clips",
            fix="write a smaller number under `recorded`, or `all`",
        )
    return count


def _mapping(values: Mapping[str, Any], key: str, problems: list[str]) -> Mapping[Any, Any]:
    inner = values.get(key)
    if isinstance(inner, Mapping) and inner:
        return inner
    problems.append(f"there is no mapping under {key!r}")
    return {}


def _shares(
    split: str, shares: Any, devices: Mapping[str, Device], problems: list[str]
) -> dict[str, Share]:
    if not isinstance(shares, Mapping) or not shares:
        problems.append(f"recorded.{split}: {shares!r} is not a mapping such as {{A: all, B: 10}}")
        return {}
    good: dict[str, Share] = {}
    for device, share in shares.items():
        whole = isinstance(share, int) and not isinstance(share, bool) and share >= 1
        part = isinstance(share, float) and 0 < share <= 1
        if str(device) not in devices:
            problems.append(f"recorded.{split}: device {device!r} is not defined under `devices`")
        elif not (whole or part or share == "all"):
            problems.append(f"recorded.{split}.{device}: {share!r} is not all, a count or a share")
        else:
            good[str(device)] = share
    return good
