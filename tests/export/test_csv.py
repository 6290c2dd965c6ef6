from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tp_drseg.export import write_csv
from tp_drseg.export.csv import Cell, csv_bytes

COLUMNS = ("image", "regions", "share")


def back(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_round_trip(tmp_path: Path) -> None:
    rows: list[dict[str, Cell]] = [
        {"image": 'größe "b", c.jpg', "regions": 3, "share": 0.25},
        {"image": "d"},
    ]
    write_csv(tmp_path / "x.csv", COLUMNS, rows)
    data = (tmp_path / "x.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfimage,")  # the mark that Excel looks for
    assert data.count(b"\r\n") == data.count(b"\n") == 3
    assert back(data) == [
        {"image": 'größe "b", c.jpg', "regions": "3", "share": "0.25"},
        {"image": "d", "regions": "", "share": ""},
    ]


@pytest.mark.parametrize(
    "text",
    ["=1+1.jpg", "+1.jpg", "-1.jpg", "@SUM(1).jpg", "\t=1.jpg", "=a\r.jpg", "a\nb", "\udcff\ud800"],
)
def test_names_from_outside_are_one_harmless_cell(text: str) -> None:
    data = csv_bytes(COLUMNS, [{"image": text, "regions": -1}])
    assert len(data.splitlines()) == 2
    (row,) = back(data)
    assert row["image"][0] not in "=+-@\t\r"
    assert row["regions"] == "-1"  # a number is no text
    # not when a spreadsheet splits at semicolons either
    assert not data.split(b"\r\n")[1].startswith((b"=", b"+", b"-", b"@"))


def test_heads_come_from_outside_too() -> None:
    assert csv_bytes(["=lesion"], []).endswith(b"'=lesion\r\n")


def test_a_row_with_a_key_too_many(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more"):
        write_csv(tmp_path / "x.csv", COLUMNS, [{"image": "a", "more": 1}])
    assert list(tmp_path.iterdir()) == []
