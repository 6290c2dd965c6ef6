from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tp_drseg._runtime.text import one_line, table_cell, valid, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 眼.png", "größe 眼.png"),
        ("\x1b]0;evil\x07", "\\x1b]0;evil\\x07"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\udcff\ud800", "\\udcff\\ud800"),
        ("a\u2028b\x85", "a\\u2028b\\x85"),
        ("👩\u200d⚕\ufe0f", "👩\u200d⚕\ufe0f"),  # an emoji keeps its joiner
    ],
)
def test_what_is_not_seen_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_what_is_no_unicode_is_escaped_and_nothing_else() -> None:
    assert valid("\udcff\n\u202e\U0001f441") == "\\udcff\n\u202e\U0001f441"


def test_one_line_can_not_be_forged() -> None:
    assert one_line("x.jpg\nError: forged\r\n\tmore") == "x.jpg Error: forged more"


@pytest.mark.parametrize(
    "start",
    [
        "=",
        "+",
        "-",
        "@",
        "\t=",
        "\r=",
        " =",
        "\u3000=",
        *"\uff1d\uff0b\uff0d\uff20\ufe62\ufe66\ufe63\ufe6b",
    ],
)
def test_no_cell_begins_like_a_formula(start: str) -> None:
    cell = table_cell(f"{start}1+1.jpg")
    assert cell.startswith(("'", "\\"))


@pytest.mark.parametrize("text", ["", " ", "a=b", "1-2.jpg", "'quoted'"])
def test_other_cells_stay(text: str) -> None:
    assert table_cell(text) == text


@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_any_text_is_one_line_of_unicode(text: str) -> None:
    for shown in (one_line(text), visible(text), table_cell(text)):
        assert len(shown.splitlines()) <= 1
        shown.encode("utf-8")
        assert "\x1b" not in shown
