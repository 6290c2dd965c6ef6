"""A plain table on stdout, as wide as the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of text under a head line."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False, emoji=False).print(table)
