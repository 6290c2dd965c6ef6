"""Masks that come from a browser or lie in a folder: grey PNG of the photograph's size."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tp_drseg.errors import ImageError
from tp_drseg.images import MAX_PIXELS, FileBytes
from tp_drseg.images.decode import load, open_image

_END: Final = b"\0\0\0\0IEND\xaeB`\x82"
_TWO_VALUED: Final = ([0], [255], [0, 255])


def check_mask(data: bytes, size: tuple[int, int]) -> None:
    """Refuse what is, by its header, no mask of a photograph; nothing is decoded.

    Args:
        data: The file's bytes.
        size: Height and width of the photograph.

    Raises:
        ImageError: It is no grey PNG, or of another size.
    """
    image, _ = open_image(FileBytes(data, "The mask"), max(MAX_PIXELS, size[0] * size[1]))
    if image.format != "PNG" or image.mode not in {"1", "L"}:
        raise ImageError("The mask is no grey PNG. Reload the page.")
    if (image.height, image.width) != size:
        raise ImageError(
            f"The mask is {image.height} x {image.width} pixels (height x width), the photograph "
            f"{size[0]} x {size[1]}. Reload the page."
        )


def decode_mask(data: bytes, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Decode the PNG of a mask.

    Args:
        data: The file's bytes, grey of 1 bit or of 8 bits.
        size: Height and width of the photograph.

    Returns:
        `(H, W)` bool, true on the lesion.

    Raises:
        ImageError: It is no grey PNG, is of another size, is cut short, declares an orientation or
            holds other values than 0 and 255.
    """
    check_mask(data, size)
    if not data.endswith(_END):  # Pillow takes a file whose last rows are there for a whole one
        raise ImageError("The mask is cut short. Draw the last stroke again.")
    image, _ = open_image(FileBytes(data, "The mask"), max(MAX_PIXELS, size[0] * size[1]))
    orientation = load(image, "The mask")
    used = [value for value, count in enumerate(image.convert("L").histogram()) if count]
    if orientation != 1 or used not in _TWO_VALUED:
        raise ImageError("The mask holds other values than 0 and 255. Reload the page.")
    lesion: NDArray[np.bool_] = np.asarray(image).astype(bool)
    return lesion
