"""The legend, after what users of other tools reported."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.font_manager import findfont
from numpy.typing import NDArray
from PIL import Image, ImageFont

from tp_drseg.export import Layer, add_legend, legend

LABEL = "microaneurysm: 12 regions, 0.52 % of the field of view"


def strip(label: str, side: int) -> NDArray[np.uint8]:
    """What stands below a black picture, as `(h, side)` grey."""
    layer = Layer(np.zeros((side, side), bool), (255, 0, 0), label)
    picture: NDArray[np.uint8] = np.asarray(
        add_legend(Image.new("RGB", (side, side)), [layer]).convert("L")
    )
    return picture[side:]


@pytest.fixture
def no_system_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legend, "_FONTS", ())


@pytest.mark.parametrize("side", [64, 224, 256, 512])
def test_a_label_has_room(side: int) -> None:
    assert not strip(LABEL, side)[:, -1].any()


def test_all_of_a_long_label_is_shown() -> None:
    font = ImageFont.load_default(12)
    for label in (LABEL, "x" * 90, "", "two  blanks"):
        for width in (100, 200, 2000):
            lines = list(legend._lines(label, font, width))
            assert "".join(lines).replace(" ", "") == label.replace(" ", "")
            assert all(font.getlength(line) <= width for line in lines)


def test_a_further_line_pushes_the_next_label_down() -> None:
    layers = [
        Layer(np.zeros((224, 224), bool), colour, LABEL) for colour in ((255, 0, 0), (0, 0, 255))
    ]
    picture = np.asarray(add_legend(Image.new("RGB", (224, 224)), layers))
    red, blue = ((picture[224:] == layer.colour).all(axis=2).any(axis=1) for layer in layers)
    assert np.flatnonzero(blue)[0] - np.flatnonzero(red)[0] == 2 * 18


@pytest.mark.parametrize("pair", ["\u73bb\u75a3", "\u0436\u0449", "\u03bb\u03c9"])
def test_letters_of_other_scripts_are_told_apart(pair: str, no_system_fonts: None) -> None:
    one, other = (strip(letter, 300) for letter in pair)
    assert one.shape != other.shape or not np.array_equal(one, other)
    np.testing.assert_array_equal(strip(pair[0], 300), strip(f"U+{ord(pair[0]):04X}", 300))


def test_letters_come_from_a_font_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legend, "_FONTS", ("missing.ttf", findfont("DejaVu Sans")))
    label, font = legend._drawable("\u043e\u0447\u0430\u0433 \u73bb", 12)
    assert label == "\u043e\u0447\u0430\u0433 U+73BB"  # Cyrillic is there, Chinese is not
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert font.getname()[0] == "DejaVu Sans"
    assert legend._drawable("plain", 12)[1].getmask("a").size  # Pillow's own, for what it has


def test_a_label_cannot_break_out_of_its_line() -> None:
    np.testing.assert_array_equal(strip("a\nb\x1b[2J", 300), strip("a b\\x1b[2J", 300))
