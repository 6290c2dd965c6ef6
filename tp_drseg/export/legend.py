"""A legend below a picture: a swatch and a label for each layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont

from tp_drseg._runtime.text import one_line
from tp_drseg.export.overlay import Layer

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_GROUND = (0, 0, 0)
_NO_LETTER = "\uffff"  # no font has it: what is drawn in its place stands for all that it lacks
_FONTS = (
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "DejaVuSans.ttf",
    "wqy-zenhei.ttc",
    "Arial Unicode.ttf",
    "PingFang.ttc",
    "segoeui.ttf",
    "msyh.ttc",
    "YuGothR.ttc",
    "malgun.ttf",
)
"""What systems bring along for letters that Pillow's own font, which is Latin, lacks."""


def add_legend(
    picture: Image.Image, layers: Sequence[Layer], *, notes: Sequence[str] = ()
) -> Image.Image:
    """Put a strip with the layers' labels below a picture, whose own pixels stay as they are.

    A label that is wider than the picture goes on in a further line. It is drawn in Pillow's own
    font, or where that lacks a letter, in one of the system's; a letter that none has appears as
    its code point, such as `U+73BB`.

    Args:
        picture: An RGB picture.
        layers: Colours and labels, from top to bottom.
        notes: Lines without a swatch, below the labels.

    Returns:
        An RGB picture, higher by the strip.
    """
    size = max(12, round(max(picture.size) / 60))
    step, left = round(1.5 * size), 2 * size
    labels = []
    texts = [(layer.colour, layer.label) for layer in layers]
    for colour, text in [*texts, *((_GROUND, note) for note in notes)]:
        label, font = _drawable(one_line(text), size)
        labels.append((colour, font, list(_lines(label, font, picture.width - left - 1))))
    height = step * sum(len(lines) for *_, lines in labels) + size // 2
    strip = Image.new("RGB", (picture.width, height), _GROUND)
    draw, top = ImageDraw.Draw(strip), size // 2
    for colour, font, lines in labels:
        draw.rectangle((size // 2, top, size // 2 + size, top + size), fill=colour)
        for line in lines:
            draw.text((left, top + size / 2), line, (255, 255, 255), font, anchor="lm")
            top += step
    whole = Image.new("RGB", (picture.width, picture.height + strip.height))
    whole.paste(picture, (0, 0))
    whole.paste(strip, (0, picture.height))
    return whole


def _drawable(label: str, size: int) -> tuple[str, _Font]:
    """Return a label and the font to draw it in; letters that the font lacks are code points."""
    own = ImageFont.load_default(size)
    if not _missing(label, own):
        return label, own
    fonts = [own, *_system_fonts(size)]
    font = min(fonts, key=lambda font: len(_missing(label, font)))  # the first of equals
    missing = _missing(label, font)
    return "".join(f"U+{ord(x):04X} " if x in missing else x for x in label).strip(), font


def _system_fonts(size: int) -> Iterator[_Font]:
    for name in _FONTS:
        try:
            yield ImageFont.truetype(name, size)
        except OSError:  # it is not there
            continue


def _missing(label: str, font: _Font) -> set[str]:
    """Return the letters of a label that the font shows as it shows a letter that it lacks."""
    lacking = _shape(_NO_LETTER, font)
    return {letter for letter in label if not letter.isspace() and _shape(letter, font) == lacking}


def _shape(letter: str, font: _Font) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


def _lines(label: str, font: _Font, width: int) -> Iterator[str]:
    """Break a label into lines of at most so many pixels: at blanks, else within a word."""
    line = ""
    for word in label.split(" "):
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        while len(word) > 1 and font.getlength(word) > width:
            fits = 1
            while font.getlength(word[: fits + 1]) <= width:
                fits += 1
            yield word[:fits]
            word = word[fits:]
        line = word
    yield line
