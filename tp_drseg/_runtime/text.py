"""Text from outside (names, messages), made safe for the place where it is shown."""

from __future__ import annotations

import unicodedata
from typing import Final

_JOINERS: Final = frozenset("\u200c\u200d")  # parts of words and of emoji, and harmless
_FORMULA: Final = frozenset("=+-@")


def one_line(text: str) -> str:
    r"""Return a text as one line for a terminal or a log, nothing in it interpreted.

    Control characters (line ends, escape codes), marks of direction and bytes that are no Unicode
    become escapes such as ``\x1b``; runs of plain blanks and line ends become one blank.

    Example:
        >>> one_line("eye\x1b[2J.jpg" + chr(10) + "Error: forged")
        'eye\\x1b[2J.jpg Error: forged'
    """
    return visible(" ".join(text.split()))


def visible(text: str) -> str:
    r"""Return a text with all that is not seen escaped, line ends too.

    Example:
        >>> visible("a\r\nb\udcff")
        'a\\r\\nb\\udcff'
    """
    return "".join(_escape(letter) if is_unseen(letter) else letter for letter in text)


def valid(text: str) -> str:
    r"""Return a text that every encoding of Unicode can hold: what is no Unicode is escaped.

    Names of files may hold such letters, which stand for bytes that are no UTF-8.

    Example:
        >>> valid("eye\udcff.jpg")
        'eye\\udcff.jpg'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def table_cell(text: str) -> str:
    r"""Return a text as a cell that no spreadsheet program takes for a formula.

    One that begins like a formula gets an apostrophe in front; what is not seen is escaped, so that
    a cell is one line and the file is valid UTF-8.

    Example:
        >>> table_cell("=1+1.jpg")
        "'=1+1.jpg"
    """
    shown = visible(text)
    first = unicodedata.normalize("NFKC", shown.lstrip()[:1])  # wide and small forms count too
    return f"'{shown}" if first[:1] in _FORMULA and first else shown


def is_unseen(letter: str) -> bool:
    """Tell whether a letter is a control, a mark of direction, no Unicode, or a line separator."""
    if letter in _JOINERS:
        return False
    return unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
