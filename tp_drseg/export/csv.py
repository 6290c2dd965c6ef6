"""Tables as CSV that spreadsheet programs open as what they are."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tp_drseg._runtime.files import write_bytes
from tp_drseg._runtime.text import table_cell

Cell = str | int | float | None
"""One value of a table."""

_MARK: Final = "\ufeff"  # without it Excel takes UTF-8 for the system's own encoding


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> None:
    """Write a table with a header line, whole or not at all; see `csv_bytes`.

    Args:
        path: The file to write.
        columns: Names of the columns.
        rows: The lines; a key that is missing gives an empty cell.

    Raises:
        ValueError: A row has a key that is no column.
        OutputError: The file cannot be written.
    """
    write_bytes(path, csv_bytes(columns, rows))


def csv_bytes(columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> bytes:
    r"""Return a table as the bytes of a file that Excel reads by a double click.

    It is UTF-8 with a byte order mark, commas, and lines that end in CR LF. Text that a spreadsheet
    program would take for a formula gets an apostrophe in front, and control characters are
    escaped, see `tp_drseg._runtime.text.table_cell`.

    Args:
        columns: Names of the columns.
        rows: The lines; a key that is missing gives an empty cell.

    Raises:
        ValueError: A row has a key that is no column.

    Example:
        >>> csv_bytes(["image", "regions"], [{"image": "=1.jpg", "regions": 2}])
        b"\xef\xbb\xbfimage,regions\r\n'=1.jpg,2\r\n"
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(map(_safe, columns))
    known = set(columns)
    for row in rows:
        if unknown := row.keys() - known:
            raise ValueError(f"A row has columns that the table lacks: {sorted(unknown)}.")
        writer.writerow(_safe(row.get(column)) for column in columns)
    return (_MARK + text.getvalue()).encode("utf-8")


def _safe(value: Cell) -> Cell:
    return table_cell(value) if isinstance(value, str) else value
