"""What speaks against an image being one colour fundus photograph."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tp_drseg.images.circle import fit_circle
from tp_drseg.images.colours import Colours
from tp_drseg.images.field_of_view import FieldOfView

_SMALLEST: Final = 0.05  # of the image: a smaller field of view is none
_LONGEST: Final = 1.9  # times as long as wide: two eyes, side by side
_OUTLINE_SIDE: Final = 256  # px; the outline is judged on a copy no larger than this
_SQUARE: Final = 0.97  # of its box: a field of view that fills so much has no round outline
_DARKEST: Final = 10.0  # grey level: a darker mean is a photograph that was not lit
_LEAST_COLOUR: Final = 0.05  # difference of the channels, as a share of the brightest
# Share of pixels of which red is not the strongest channel. On 147 photographs it was 0.02 at most.
_MOST_OTHER: Final = 0.2


def fundus_doubt(
    image: NDArray[np.uint8], field_of_view: FieldOfView, *, name: str = "The image"
) -> str | None:
    """Say why an image does not look like a colour fundus photograph.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        field_of_view: Its field of view.
        name: What to call the image.

    Returns:
        None for one that does; else some sentences: its field of view is doubtful, below 5 % of the
        image, too long for one eye or not round, or its pixels are nearly black, grey, of two
        lasers, or neither red nor smoothest in red, as retinas are. A colour cast alone is no
        doubt: `tp_drseg.images.quality` tells it.
    """
    reasons = [] if field_of_view.doubt is None else [field_of_view.doubt]
    reasons += _of_shape(field_of_view) or _of_colours(image, field_of_view)
    if not reasons:
        return None
    return (
        f"{name} does not look like a colour fundus photograph: {', and '.join(reasons)}. Results "
        "on it mean little. Check that it is the right file, with one eye in it, in RGB order."
    )


def _of_shape(field_of_view: FieldOfView) -> list[str]:
    left, top, right, bottom = field_of_view.box
    width, height = right - left, bottom - top
    share = field_of_view.area / field_of_view.mask.size
    if share < _SMALLEST:
        return [f"its lit part covers only {100 * share:.1f} % of the image"]
    if max(width, height) > _LONGEST * min(width, height):
        return [f"its lit part, {width}x{height} px, is too long for one eye"]
    if not _is_round(field_of_view):
        return [
            "the outline of its lit part is no circle, nor one with its sides cut off; that of "
            "ultra-wide-field pictures is none"
        ]
    return []


def _is_round(field_of_view: FieldOfView) -> bool:
    left, top, right, bottom = field_of_view.box
    if field_of_view.area >= _SQUARE * (right - left) * (bottom - top):
        return True  # cut out of a photograph, without a border
    step = -(-field_of_view.diameter // _OUTLINE_SIDE)
    small = field_of_view.mask[top:bottom:step, left:right:step]
    return fit_circle(np.pad(small, 2)) is not None


def _of_colours(image: NDArray[np.uint8], field_of_view: FieldOfView) -> list[str]:
    colours = Colours.of(image, field_of_view)
    if colours is None:
        return []
    red, green, blue = colours.means
    if colours.brightness < _DARKEST:
        return [f"it is nearly black (mean level {colours.brightness:.0f} of 255)"]
    if colours.difference < _LEAST_COLOUR * colours.brightness:
        return ["it is grey, as angiograms, autofluorescence and red-free pictures are"]
    if colours.is_tinted_grey():
        return ["it is grey in a single tint, as angiograms and autofluorescence may be"]
    if colours.is_of_two_lasers():
        return ["it has no blue and hardly more red than green, as ultra-wide-field pictures have"]
    if colours.is_smoothest_in_red():
        return []  # an eye, whatever the white balance; the cast is a matter of quality
    if red <= max(green, blue):
        return [
            f"red is not its strongest colour (mean red {red:.0f}, green {green:.0f}, blue "
            f"{blue:.0f})"
        ]
    other = colours.not_red
    return [f"{100 * other:.0f} % of its lit part is not red"] if other > _MOST_OTHER else []
