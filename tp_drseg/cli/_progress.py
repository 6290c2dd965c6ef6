"""A progress bar on stderr for what the library counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


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

    with tqdm(unit=unit, disable=quiet, dynamic_ncols=True) as bar:

        def show(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.refresh()

        yield show
