"""Numbers that a clinician reads off a mask: how many regions, how much of the field of view."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tp_drseg.errors import ImageError


def count_regions(mask: NDArray[Any]) -> int:
    """Count the separate regions of a mask.

    Args:
        mask: ``(H, W)`` bool; pixels that touch at a side or a corner are one region.

    Returns:
        The number of 8-connected components, 0 for an empty mask.

    Raises:
        ImageError: the mask is not two-dimensional.
    """
    mask = _as_mask(mask, "mask")
    _, count = ndimage.label(mask[window_of(mask)], structure=np.ones((3, 3), dtype=bool))
    return int(count)


def window_of(mask: NDArray[np.bool_], margin: int = 0) -> tuple[slice, slice]:
    """The part of an image that holds a mask: most masks are small, and work on them costs time.

    Args:
        mask: ``(H, W)`` bool.
        margin: pixels to add on each side, as far as the image goes.

    Returns:
        Rows and columns, to index an ``(H, W)`` array with; empty for an empty mask.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return slice(0), slice(0)
    return (
        slice(max(rows[0] - margin, 0), rows[-1] + margin + 1),
        slice(max(columns[0] - margin, 0), columns[-1] + margin + 1),
    )


def area_percent(mask: NDArray[Any], field_of_view_mask: NDArray[Any]) -> float:
    """Tell how much of the field of view a mask covers.

    Args:
        mask: ``(H, W)`` bool; what lies outside of the field of view is not counted.
        field_of_view_mask: ``(H, W)`` bool.

    Returns:
        Percent of the field of view's pixels, in ``[0, 100]``.

    Raises:
        ImageError: the shapes differ or are not two-dimensional, or the field of view is empty.
    """
    mask = _as_mask(mask, "mask")
    inside = _as_mask(field_of_view_mask, "field of view")
    if mask.shape != inside.shape:
        raise ImageError(
            f"the mask has shape {mask.shape} and the field of view {inside.shape}: "
            "give both in the same frame"
        )
    total = np.count_nonzero(inside)
    if total == 0:
        raise ImageError("the field of view is empty: there is no area to take a percentage of")
    return 100.0 * np.count_nonzero(mask & inside) / total


def _as_mask(values: NDArray[Any], name: str) -> NDArray[np.bool_]:
    if values.ndim != 2:
        raise ImageError(f"the {name} has shape {values.shape}: expected (H, W)")
    return values.astype(bool, copy=False)
