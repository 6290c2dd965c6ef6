"""What speaks against an image being one colour fundus photograph."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tp_drseg.images.field_of_view import FieldOfView

_SIDE: Final = 1024  # px; the colours are taken from a copy no larger than this
_SMALLEST: Final = 0.05  # of the image: a smaller field of view is none
_LONGEST: Final = 1.9  # times as long as wide: two eyes, side by side
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
        image or too long for one eye, or its pixels are nearly black, grey, or not red.
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
    return []


def _of_colours(image: NDArray[np.uint8], field_of_view: FieldOfView) -> list[str]:
    step = -(-max(image.shape[:2]) // _SIDE)
    inside = field_of_view.mask[::step, ::step]
    channels = image[::step, ::step][inside].T.astype(np.float32, order="C")
    if not channels.size:
        return []
    red, green, blue = channels.mean(axis=1)
    highest = channels.max(axis=0)
    brightness = highest.mean()
    if brightness < _DARKEST:
        return [f"it is nearly black (mean level {brightness:.0f} of 255)"]
    if (highest - channels.min(axis=0)).mean() < _LEAST_COLOUR * brightness:
        return ["it is grey"]
    if red <= max(green, blue):
        return [
            f"red is not its strongest colour (mean red {red:.0f}, green {green:.0f}, blue "
            f"{blue:.0f})"
        ]
    other = float((channels[0] <= channels[1:].max(axis=0)).mean())
    return [f"{100 * other:.0f} % of its lit part is not red"] if other > _MOST_OTHER else []
