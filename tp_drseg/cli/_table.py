"""A plain table on stdout, as wide as the terminal, or as 200 letters in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of text under a head line."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    # a file or a pipe has no width at which a word would have to be cut
    width = None if sys.stdout.isatty() else 200
    Console(markup=False, highlight=False, emoji=False, width=width).print(table)
