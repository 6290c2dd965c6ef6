"""A progress bar on stderr for what the library counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm


@contextmanager
def progress_bar(unit: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for as long as the block runs.

    Args:
        unit: What is counted.
        quiet: Whether nothing is shown.

    Yields:
        What is to be called with how many are done and how many there are.
    """
    from tqdm import tqdm

    bar: tqdm[NoReturn] | None = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, unit=unit, disable=quiet, dynamic_ncols=True)
        bar.total, bar.n = total, done
        bar.refresh()

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
