from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.fake_model import FakeModel, photo, run
from tp_drseg.folder import contact_sheet


class Sheet(HTMLParser):
    """What a browser would see."""

    def __init__(self, out: Path) -> None:
        super().__init__()
        self.cards: list[dict[str, str | None]] = []
        self.addresses: list[str] = []
        self.text = ""
        self.source = (out / "index.html").read_text("utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "article":
            self.cards.append(found)
        self.addresses += [str(found[name]) for name in ("src", "href") if name in found]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_all_at_a_glance(photos: Path, out: Path) -> None:
    (photos / "bad.jpg").write_text("no image")
    (photos / "notes.txt").touch()
    model = FakeModel(doubt=lambda name: "looks like a cat" if name == "b.png" else None)
    run(photos, out, model, overlays=True, lesions=["MA", "EX"])
    sheet = Sheet(out)
    assert [card["data-name"] for card in sheet.cards] == ["a.png", "b.png", "bad.jpg", "c.png"]
    assert [card["data-care"] for card in sheet.cards] == ["0", "1", "2", "0"]
    assert str(sheet.cards[0]["data-counts"]).split() == ["1", "1"]
    assert "looks like a cat" in sheet.text
    assert "holds text" in sheet.text
    assert "not a medical device" in sheet.text.lower()
    assert "3 done, 1 failed, 1 in doubt, 1 passed over" in " ".join(sheet.text.split())


def test_its_pictures_are_there_and_nothing_else_is_loaded(tmp_path: Path, out: Path) -> None:
    names = ("a b#1?.png", "größe&co.png", "100%.png", "sub/c.png")
    for name in names:
        photo(tmp_path / "in" / name)
    run(tmp_path / "in", out, overlays=True, recursive=True, lesions=["EX", "MA"])
    sheet = Sheet(out)
    assert len(sheet.addresses) == 2 * len(names)
    for address in sheet.addresses:
        assert (out / unquote(address)).is_file()
    assert not re.search(r"https?://", sheet.source)
    assert "default-src 'none'" in sheet.source


def test_names_and_messages_are_text(tmp_path: Path, out: Path) -> None:
    odd = "<img src=x onerror=alert(1)>\"'&amp;.png"
    photo(tmp_path / "in" / "a.png")
    photo(tmp_path / "in" / "b.png")

    def act(name: str) -> None:
        if name == "b.png":
            raise RuntimeError("<script>alert(2)</script>")

    run(tmp_path / "in", out, FakeModel(act, doubt=lambda name: odd))
    sheet = Sheet(out)
    assert "<img src=x" not in sheet.source and "<script>alert" not in sheet.source
    assert odd in sheet.text and "<script>alert(2)</script>" in sheet.text


def test_without_overlays_there_are_still_pictures(photos: Path, out: Path) -> None:
    run(photos, out, overlays=False)
    assert len(Sheet(out).addresses) == 3


def test_a_large_run_is_cut_and_says_so(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_sheet, "_MOST_CARDS", 2)
    model = FakeModel(doubt=lambda name: "odd" if name == "c.png" else None)
    run(photos, out, model)
    sheet = Sheet(out)
    assert [card["data-name"] for card in sheet.cards] == ["a.png", "c.png"]
    assert "1 more photographs are in photographs.csv" in sheet.text


def test_a_stopped_run_has_one_too(photos: Path, out: Path) -> None:
    def act(name: str) -> None:
        if name == "b.png":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(photos, out, FakeModel(act))
    sheet = Sheet(out)
    assert [card["data-name"] for card in sheet.cards] == ["a.png"]
    assert "2 not done yet" in " ".join(sheet.text.split())
