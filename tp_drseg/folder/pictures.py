"""The pictures of one photograph's results, as the bytes of files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from tp_drseg.export import encode_mask, encode_picture, lesion_colour
from tp_drseg.folder.names import MASK, OVERLAY
from tp_drseg.folder.record import thumbnail_name
from tp_drseg.inference.results import Segmentations

_THUMBNAIL_SIDE = 360  # px, the longest
_OPACITY = 0.75


def encode_results(
    image: str, results: Segmentations, labels: Mapping[str, str], *, overlays: bool
) -> dict[str, bytes]:
    """Return the files of one photograph by their names under the output folder.

    Args:
        image: The photograph's name.
        results: What was found in it.
        labels: What each lesion is called in file names.
        overlays: Whether to draw overlays: one a lesion, and one of all where there are several.
    """
    files = {}
    for result in results:
        start = f"{image}.{labels[result.lesion]}"
        files[start + MASK] = encode_mask(result.mask)
        if overlays:
            files[start + OVERLAY] = encode_picture(result.overlay(), ".jpg")
    if overlays and len(results) > 1:
        files[image + OVERLAY] = encode_picture(results.overlay(), ".jpg")
    files[thumbnail_name(image)] = encode_picture(draw_thumbnail(results), ".jpg")
    return files


def draw_thumbnail(results: Segmentations, side: int = _THUMBNAIL_SIDE) -> Image.Image:
    """Draw a small picture of a photograph on which each lesion, however small, is a spot.

    Args:
        results: What was found in it.
        side: Longest side of the picture in px.
    """
    picture = Image.fromarray(results[0].image)
    width, height = picture.size
    picture.thumbnail((side, side))
    canvas = np.array(picture)
    for result in results:
        rows, columns = np.nonzero(result.mask)
        small = np.zeros((picture.height, picture.width), bool)
        small[rows * picture.height // height, columns * picture.width // width] = True
        colour = np.array(lesion_colour(result.lesion))
        canvas[small] = np.rint((1 - _OPACITY) * canvas[small] + _OPACITY * colour)
    return Image.fromarray(canvas)
