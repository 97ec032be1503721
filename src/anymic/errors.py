"""The errors of the library. Each is one line: the problem, what was expected, and the fix."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from unicodedata import category

from anymic._version import version

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

JOINERS = "\u200c\u200d"  # of characters within a word, or of emoji
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class AnymicError(Exception):
    """The base class of every error that the library raises on purpose.

    The message is one line of sentences: `Problem. Expected <expected>. Fix.`

    Parameters
    ----------
    problem : str
        What is wrong, with the file or setting in question: a short statement.
    expected : str
        What would have been accepted: a noun phrase.
    fix : str
        What the user can do about it: an imperative.

    Examples
    --------
    >>> import anymic
    >>> print(anymic.AnymicError("no file x.yaml", expected="a YAML file", fix="check the path"))
    No file x.yaml. Expected a YAML file. Check the path.
    """

    def __init__(self, problem: str, *, expected: str = "", fix: str = "") -> None:
        self.problem = problem
        self.expected = expected
        self.fix = fix
        parts = (problem, f"Expected {expected}" if expected else "", fix)
        super().__init__(" ".join(_sentence(readable(part)) for part in parts if part.strip()))


def readable(text: str, *, most: int = 1500) -> str:
    """Return a text on one line, at most so long, and safe to print.

    Control characters and halves of surrogate pairs are escaped, and words of more than 200
    characters are cut: a file may hold anything, and a message repeats some of it.
    """
    words = [f"{word[:100]}..." if len(word) > 200 else word for word in text.split()]
    text = " ".join(words)
    text = text if len(text) <= most else f"{text[:most]}..."
    return visible(text)


def counted(number: int, name: str) -> str:
    """Return "1 seed", "3 seeds"."""
    return f"{number} {name}" + ("s" if number != 1 else "")


def part_of(
    part: int, number: int, name: str, which: str = "", *, verb: tuple[str, str] = ("", "")
) -> str:
    """Return how many of some things: "2 of 3 clips", "all 3 clips", "the only clip", "no clip".

    `which` follows the name, and then the verb, for one thing or for several.

    Examples
    --------
    >>> part_of(1, 3, "clip", "to calibrate on", verb=("has", "have"))
    '1 of 3 clips to calibrate on has'
    >>> part_of(1, 1, "clip", verb=("is", "are"))
    'the only clip is'
    """
    text = f"{part} of " + counted(number, name)
    if part == number:
        text = f"the only {name}" if number == 1 else f"all {counted(number, name)}"
    if part == 0:
        text = f"no {name}"
    return " ".join(filter(None, (text, which, verb[part > 1])))


def visible(text: str, *, kept: str = "") -> str:
    """Return a text without control characters for a terminal: they are escaped.

    Control characters move the cursor or change the title and the colours of a terminal, others
    reverse the order of what follows, and halves of surrogate pairs cannot be written. Those in
    `kept` stay. Blanks of other widths, and joiners within words and emoji, are text.
    """
    if text.isprintable():
        return text
    return "".join(
        one
        if one.isprintable() or one in kept or one in JOINERS or category(one) == "Zs"
        else ascii(one)[1:-1]
        for one in text
    )


def require_type(
    value: object,
    kinds: type | tuple[type, ...],
    what: str,
    *,
    expected: str,
    error: type[AnymicError] | None = None,
) -> None:
    """Raise an error (a ConfigError by default) for an argument that is of none of these types."""
    if not isinstance(value, kinds):
        found = "None" if value is None else f"of type {type(value).__name__}"
        raise (error or ConfigError)(
            f"{what} is {found}", expected=expected, fix="pass such a value"
        )


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for a name that resembles a known one, else nothing."""
    text, names = str(name)[:100], list(known)
    near = difflib.get_close_matches(text, names, n=1)
    near = near or difflib.get_close_matches(text.lower(), names, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def none_of(device: str, known: Iterable[str]) -> str:
    """Return the note that a stated device is unknown to a model."""
    names = list(known)
    near = did_you_mean(device, names)
    return f"{device} is none of the model's devices ({', '.join(names)}){near}"


def _sentence(text: str) -> str:
    """Return a line with a full stop, and a capital where it begins with a word."""
    first = text.split(" ", 1)[0].removesuffix(",")
    if first.isalpha() and first.islower():  # not a path, a flag or the name of a setting
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else text + "."


class AudioError(AnymicError):
    """A file or clip that cannot be used as audio."""


class ManifestError(AnymicError):
    """A table of clips that cannot be used; every problem found is listed in the one line."""


class ConfigError(AnymicError):
    """A setting that does not exist or has a value that cannot be."""


class DeviceError(AnymicError):
    """A device, a device profile or an aligned take that is missing or does not fit."""


class BundleError(AnymicError):
    """A bundle that is missing a file, was altered, or comes from elsewhere."""


class ClassifierError(AnymicError):
    """A classifier that cannot be used, or whose answer is not valid."""


class DependencyError(AnymicError):
    """An optional package or program that is not installed."""


class AnymicWarning(UserWarning):
    """A note: what was skipped, not used, or read differently than it is written."""


def version_fix(found: object, readable: int, *, written_by: object = None, otherwise: str) -> str:
    """Return the fix for a file whose format has version `found`, where `readable` is read.

    `written_by` is the version of anymic that wrote it, where the file states it; `otherwise` what
    the user can do instead, such as "train it again".
    """
    this = version()
    if isinstance(written_by, str):
        return f"install anymic {written_by}, which wrote it (this is {this}), or {otherwise}"
    if not isinstance(found, int):
        return f"install the anymic that wrote it (this is {this}), or {otherwise}"
    age = "a newer anymic" if found > readable else "an older anymic"
    return f"install {age} than this one ({this}), or {otherwise}"


@dataclass(frozen=True)
class Failure:
    """What stands in the place of a result for a clip that could not be used.

    Attributes
    ----------
    path : str
        The clip.
    reason : str
        One line: the problem, what was expected, the fix.

    Examples
    --------
    >>> import anymic
    >>> model = anymic.load("run")
    >>> for result in model.predict_many(["clip.wav", "absent.wav"]):
    ...     print(isinstance(result, anymic.Failure))
    False
    True
    """

    path: str
    reason: str

    @classmethod
    def of(cls, path: object, error: Exception) -> Failure:
        """Return the failure of one file; see `as_anymic_error` for what is raised again."""
        return cls(str(path), str(as_anymic_error(error)))


def attempt(
    path: object,
    function: Callable[Arguments, Result],
    *arguments: Arguments.args,
    **settings: Arguments.kwargs,
) -> Result | Failure:
    """Return what a function returns for one file, or whatever it raises as that file's failure.

    The other files are not affected. What concerns them all is raised: see `as_anymic_error`.

    Examples
    --------
    >>> attempt("a.wav", int, "12")
    12
    >>> attempt("a.wav", int, "x").path
    'a.wav'
    """
    try:
        return function(*arguments, **settings)
    except Exception as error:
        return Failure.of(path, error)


@contextmanager
def of_one_file() -> Iterator[None]:
    """Raise any exception of the block, about its only file, as an AnymicError."""
    try:
        yield
    except AnymicError:
        raise
    except Exception as error:
        raise as_anymic_error(error) from error


def as_anymic_error(error: Exception) -> AnymicError:
    """Return whatever was raised while one file was processed as an error of the library.

    Raises
    ------
    Exception
        The error itself if it concerns every file: memory or the disk ran out.
    """
    if isinstance(error, AnymicError):
        return error
    if concerns_every_file(error):
        raise error
    return AudioError(
        f"the file cannot be processed ({type(error).__name__}: {error})",
        expected="a recording that can be decoded and classified",
        fix="convert it to WAV or FLAC, or leave it out",
    )


def kept_error(error: Exception) -> AnymicError:
    """Return whatever was raised for one file as an error that is kept in place of its result.

    It has no traceback: this would keep the variables of all functions that were running, and so
    the samples of the file, as long as the error itself. See `as_anymic_error` for what is raised.
    """
    kept = as_anymic_error(error)
    one: BaseException | None = kept
    while one is not None:
        one.__traceback__ = None
        one = one.__cause__ or one.__context__
    return kept


def concerns_every_file(error: BaseException) -> bool:
    """Return whether memory or the disk ran out, so that the next file fails as well."""
    if isinstance(error, OSError):
        return error.errno in NO_SPACE
    if isinstance(error, RuntimeError):  # of torch, on a processor or a GPU
        return "allocate memory" in str(error) or "out of memory" in str(error)
    return isinstance(error, MemoryError)
