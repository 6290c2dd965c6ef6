"""The grid, the fovea and the disc, drawn on a photograph."""

from __future__ import annotations

import math
from typing import Final

from PIL import Image, ImageDraw

from tp_drseg.anatomy.grid import Grid
from tp_drseg.anatomy.landmarks import Anatomy

_LIGHT: Final = (255, 255, 255)
_DARK: Final = (0, 0, 0)
_STEPS: Final = 180  # of a circle


def draw_anatomy(
    picture: Image.Image, anatomy: Anatomy, *, pixel_spacing: float | None = None
) -> Image.Image:
    """Draw the disc's circle, the fovea's cross, the axis and the ETDRS grid.

    Args:
        picture: RGB, in the photograph's pixels.
        anatomy: Of the photograph.
        pixel_spacing: Millimetres of the retina that a pixel covers, if known; see `Grid.of`.

    Returns:
        A copy; what is not seen is not drawn.
    """
    drawn = picture.copy()
    draw = ImageDraw.Draw(drawn)
    width = max(1, round(max(picture.size) / 1200))

    def line(points: list[tuple[float, float]]) -> None:
        # a point counts from the centre of a pixel, as does Pillow
        for colour, extra in ((_DARK, 2), (_LIGHT, 0)):
            draw.line(points, fill=colour, width=width + extra)

    def circle(x: float, y: float, radius: float) -> None:
        turns = (2 * math.pi * step / _STEPS for step in range(_STEPS + 1))
        line([(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns])

    if anatomy.disc is not None:
        circle(anatomy.disc.x, anatomy.disc.y, anatomy.disc.diameter / 2)
    grid = Grid.of(anatomy, pixel_spacing)
    if grid is not None:
        inner, _, outer = grid.circles
        for radius in grid.circles:
            circle(*grid.fovea, radius)
        for across in (1, -1):
            for up in (1, -1):
                ends = (inner / math.sqrt(2), outer / math.sqrt(2))
                line([grid.place(across * end, up * end) for end in ends])
    if anatomy.fovea is not None:
        arm = 4.0 * width
        x, y = anatomy.fovea.x, anatomy.fovea.y
        line([(x - arm, y), (x + arm, y)])
        line([(x, y - arm), (x, y + arm)])
    return drawn
