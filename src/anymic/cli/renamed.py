"""Verbs and options that have been renamed: the error gives the new name."""

from __future__ import annotations

from collections.abc import Sequence

from anymic.cli.options import TABLE
from anymic.errors import ConfigError

RENAMED = TABLE["renamed"]
VERBS: dict[str, str] = RENAMED["verbs"]
OPTIONS = {
    verb: {f"--{name}": f"--trainer {name.replace('-', '_')}=" for name in RENAMED["trainer"]}
    for verb in ("train", "finetune")
}
FLAGS: dict[str, dict[str, str]] = RENAMED["flags"]
OF_PROFILES = {f"--{name}" for name in RENAMED["profiles"]}


def refuse_old(verb: str, arguments: Sequence[str]) -> None:
    """Refuse a verb or an option that has another name now.

    Raises
    ------
    ConfigError
        With the new name.
    """
    if verb in VERBS:
        raise ConfigError(
            f"`anymic {verb}` is now `anymic {VERBS[verb]}`", fix=f"run `anymic {VERBS[verb]}`"
        )
    if verb == "calibrate" and _estimates_gains(arguments):
        raise ConfigError(
            "`anymic calibrate` is for probabilities, and device gains are estimated by"
            " `anymic devices profile`",
            fix="run `anymic devices profile` with these arguments",
        )
    for argument, after in zip(arguments, [*arguments[1:], ""], strict=False):
        option, _, value = argument.partition("=")
        if (flag := FLAGS.get(verb, {}).get(option.removeprefix("--"))) and option[:2] == "--":
            raise ConfigError(f"`{option}` is now `--{flag}`", fix=f"pass `--{flag}`")
        if option in OPTIONS.get(verb, {}):
            new = OPTIONS[verb][option] + (value or after)
            raise ConfigError(f"`{option}` is now `{new}`", fix=f"pass `{new}`")


def _estimates_gains(arguments: Sequence[str]) -> bool:
    """Return whether these are the arguments of `devices profile`."""
    options = {argument.partition("=")[0] for argument in arguments}
    if "--data" in options or {"--help", "-h"} & options:
        return False
    files = [argument.rpartition("=")[2] for argument in arguments]
    return bool(options & OF_PROFILES) or any(
        file.endswith((".csv", ".tsv", ".json")) for file in files
    )
