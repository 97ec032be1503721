"""What happens to files: each function returns the bytes of a damaged one."""

from __future__ import annotations

from collections.abc import Callable

Damage = Callable[[bytes], bytes]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def zeroed(content: bytes) -> bytes:
    """Return the file with zeros in the second of its quarters."""
    quarter = len(content) // 4
    return content[:quarter] + bytes(quarter) + content[2 * quarter :]


def one_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGES: dict[str, Damage] = {
    "empty": lambda _: b"",
    "cut": cut,
    "zeroed": zeroed,
    "one bit": one_bit,
    "last byte missing": lambda content: content[:-1],
    "foreign": lambda _: b"nothing that anymic wrote",
}
