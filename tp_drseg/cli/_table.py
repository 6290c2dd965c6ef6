"""A plain table on stdout, as wide as the terminal, or as 200 letters in a file."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence

import typer

from tp_drseg._runtime.text import visible


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of text under a head line; what comes from outside is shown, not interpreted.

    Args:
        head: Names of the columns.
        rows: The cells of each row; a cell may have several lines.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*("\n".join(map(visible, cell.split("\n"))) for cell in row))
    # a file or a pipe has no width at which a word would have to be cut
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    text = io.StringIO()
    console = Console(
        file=text,
        markup=False,
        highlight=False,
        emoji=False,
        width=Console().width if is_terminal else 200,
        force_terminal=is_terminal,
    )
    console.print(table)
    typer.echo(text.getvalue(), nl=False)
