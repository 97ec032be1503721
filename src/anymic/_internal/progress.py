"""Progress bars on stderr, shown only if it is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from anymic.errors import visible

Item = TypeVar("Item")


def on_terminal() -> bool:
    """Return whether stderr is a terminal; it is None in a program without streams."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def progress_bar(total: int, doing: str, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs; give the function that advances it by a number of items.

    `doing` is the text before the bar, such as "reading files".
    """
    if not (shown and total and on_terminal()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(visible(doing), total=total)
        yield lambda count: bar.advance(task, count)


def track(items: Iterable[Item], total: int, doing: str, *, shown: bool = True) -> Iterator[Item]:
    """Yield the items, with a bar as of `progress_bar` that counts them."""
    with progress_bar(total, doing, shown=shown) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def growing_bar(doing: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar whose total is known later; give the function that takes how many are done.

    It is called with the number of items that are done, and of all.
    """
    with ExitStack() as stack:
        advance: list[Callable[[int], None]] = []
        last = 0

        def show(done: int, total: int) -> None:
            nonlocal last
            if not advance:
                advance.append(stack.enter_context(progress_bar(total, doing)))
            advance[0](done - last)
            last = done

        yield show
