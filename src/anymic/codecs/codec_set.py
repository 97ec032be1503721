"""A set of codecs with their bitrates: codecs.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anymic._internal.settings import of_file, preset_file, read_yaml
from anymic.codecs.codec import Codec
from anymic.codecs.table import CHAINS, CODECS, require
from anymic.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class CodecSet:
    """Codecs with their bitrates, in order, each of them once; "wav" is the original."""

    codecs: tuple[Codec, ...]

    def __iter__(self) -> Iterator[Codec]:
        return iter(self.codecs)

    def __len__(self) -> int:
        return len(self.codecs)

    @classmethod
    def read(cls, path: str | Path) -> CodecSet:
        """Read a YAML file, a preset by its name, or codecs and chains with commas between them.

        The preset "codecs" is the list of Peters 2022.

        Raises
        ------
        ConfigError
            If the file is missing or not YAML, or codecs or bitrates are unknown; one line states
            every problem.

        Examples
        --------
        >>> from anymic.codecs import CodecSet
        >>> [str(codec) for codec in CodecSet.read("voice-message, mp3 32")]
        ['voice-message 16', 'mp3 32']
        """
        if _is_text(path):
            return cls.from_texts(str(path).split(","))
        try:
            file = preset_file(path, example="codecs")
        except (ConfigError, OSError) as error:  # OSError: a text that is too long for a name
            if isinstance(path, Path) or Path(path).suffix:
                raise
            near = did_you_mean(path, [*CODECS.names(), *CHAINS])
            raise ConfigError(
                f"{path[:100]!r} is neither a codec or a chain, nor a file{near}",
                expected="codecs or chains that `anymic codec list` names, a YAML file, or a preset"
                " such as codecs",
                fix="check the name",
            ) from error
        values = read_yaml(file)
        with of_file(file):
            return cls.from_mapping(values)

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> CodecSet:
        """Build a set from codecs as `Codec.parse` reads them, each once.

        Raises
        ------
        ConfigError
            If one is unknown, or does not support its bitrate.
        """
        return cls(tuple(dict.fromkeys(Codec.parse(" ".join(text.split())) for text in texts)))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> CodecSet:
        """Build a set from a mapping, `{"codecs": {"wav": None, "mp3": [32, 64]}}`, as `read`."""
        problems = [f"unknown key {key!r}" for key in values if key != "codecs"]
        named = values.get("codecs")
        if not isinstance(named, Mapping) or not named:
            problems.append("there is no mapping `codecs` of names to bitrates")
            named = {}
        codecs: list[Codec] = []
        for name, wanted in named.items():
            for kbps in wanted if isinstance(wanted, list | tuple) else [wanted]:
                try:
                    codecs.append(_codec(name, kbps))
                except ConfigError as error:
                    problems.append(f"{error.problem} (expected {error.expected})")
        problems += [
            f"{codec} is listed twice" for codec in dict.fromkeys(codecs) if codecs.count(codec) > 1
        ]
        if problems:
            raise ConfigError(
                "; ".join(problems),
                expected="codecs and their bitrates, such as `codecs: {opus: 64, mp3: [32, 64]}`",
                fix="correct the file",
            )
        return cls(tuple(codecs))

    def require(self) -> CodecSet:
        """Return the set; DependencyError names every codec that cannot be encoded here."""
        require(codec.spec for codec in self)
        return self


def _is_text(given: str | Path) -> bool:
    """Return whether codecs are meant, and no file: a name of one, or more than a name."""
    if isinstance(given, Path) or Path(given).suffix in (".yaml", ".yml"):
        return False
    first = given.replace(">", ",").split(",")[0].split()
    return bool(first) and (first[0] in CODECS.names() or first[0] in CHAINS)


def _codec(name: Any, kbps: Any) -> Codec:
    if kbps is not None and (isinstance(kbps, bool) or not isinstance(kbps, int | float)):
        raise ConfigError(f"{kbps!r} is not a bitrate of {name}", expected="a number")
    if kbps is None:
        return Codec.parse(str(name))  # a chain, or a codec with lost packets
    return Codec(str(name), kbps=kbps)
