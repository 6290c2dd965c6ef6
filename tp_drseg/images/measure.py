"""Numbers that a clinician reads off a mask: its regions, and how much of the field of view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tp_drseg.errors import ImageError

_TOUCHING: Final = np.ones((3, 3), dtype=bool)  # at a side or a corner: 8-connected


@dataclass(frozen=True)
class Region:
    """One separate region of a mask, in the mask's own pixels.

    Attributes:
        box: Its bounding box in px: left, top, right, bottom; right and bottom exclusive.
        area_px: Number of its pixels.
        centroid: Mean ``(x, y)`` of its pixels, the centre of the first pixel at ``(0, 0)``, as for
            the points of a prompt. It need not lie on the region.
        mean_probability: Mean of the probability over its pixels; None where none was given.
        max_probability: The highest of them; None where none was given.

    Example:
        >>> import numpy as np
        >>> from tp_drseg.images import find_regions
        >>> mask = np.zeros((5, 8), bool)
        >>> mask[1:3, 2:6] = True
        >>> find_regions(mask)
        (Region(box=(2, 1, 6, 3), area_px=8, centroid=(3.5, 1.5), ...),)
    """

    box: tuple[int, int, int, int]
    area_px: int
    centroid: tuple[float, float]
    mean_probability: float | None = None
    max_probability: float | None = None


def find_regions(
    mask: NDArray[Any], probability: NDArray[np.float32] | None = None
) -> tuple[Region, ...]:
    """Return the separate regions of a mask, the largest first.

    Args:
        mask: ``(H, W)`` bool; pixels that touch at a side or a corner are one region.
        probability: ``(H, W)`` float, from which each region's mean and maximum are taken.

    Returns:
        One region for each 8-connected component; those of equal area from top to bottom, then
        from left to right, by their first pixel. Empty for an empty mask.

    Raises:
        ImageError: The mask is not two-dimensional, or the probability has another shape.

    Example:
        >>> import numpy as np
        >>> from tp_drseg.images import find_regions
        >>> mask = np.zeros((5, 8), bool)
        >>> mask[1:3, 2:6] = True
        >>> find_regions(mask)[0].box
        (2, 1, 6, 3)
    """
    mask = _as_mask(mask, "mask")
    if probability is not None and probability.shape != mask.shape:
        raise ImageError(
            f"The mask has shape {mask.shape} and the probability {probability.shape}: "
            "give both in the same frame."
        )
    window = window_of(mask)
    labels, count = ndimage.label(mask[window], structure=_TOUCHING)
    if not count:
        return ()
    flat = np.flatnonzero(labels)
    owner = labels.reshape(-1)[flat] - 1
    areas = np.bincount(owner)
    rows, columns = np.divmod(flat, labels.shape[1])
    top, left = int(window[0].start), int(window[1].start)
    boxes = [
        (left + x.start, top + y.start, left + x.stop, top + y.stop)
        for y, x in ndimage.find_objects(labels)
    ]
    centroids = zip(
        (left + np.bincount(owner, columns) / areas).tolist(),
        (top + np.bincount(owner, rows) / areas).tolist(),
        strict=True,
    )
    means: list[float | None] = [None] * count
    highest: list[float | None] = [None] * count
    if probability is not None:
        values = probability[window].reshape(-1)[flat]
        means = (np.bincount(owner, values) / areas).tolist()
        maxima = np.full(count, -np.inf, dtype=values.dtype)
        np.maximum.at(maxima, owner, values)
        highest = maxima.tolist()
    regions = map(Region, boxes, areas.tolist(), centroids, means, highest)
    return tuple(sorted(regions, key=lambda region: -region.area_px))


def count_regions(mask: NDArray[Any]) -> int:
    """Count the separate regions of a mask.

    Args:
        mask: ``(H, W)`` bool; pixels that touch at a side or a corner are one region.

    Returns:
        The number of 8-connected components, 0 for an empty mask.

    Raises:
        ImageError: The mask is not two-dimensional.
    """
    mask = _as_mask(mask, "mask")
    _, count = ndimage.label(mask[window_of(mask)], structure=_TOUCHING)
    return int(count)


def window_of(mask: NDArray[np.bool_], margin: int = 0) -> tuple[slice, slice]:
    """Return the part of an image that holds a mask: most masks are small, and work costs time.

    Args:
        mask: ``(H, W)`` bool.
        margin: Pixels to add on each side, as far as the image goes.

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
        ImageError: The shapes differ or are not two-dimensional, or the field of view is empty.
    """
    mask = _as_mask(mask, "mask")
    inside = _as_mask(field_of_view_mask, "field of view")
    if mask.shape != inside.shape:
        raise ImageError(
            f"The mask has shape {mask.shape} and the field of view {inside.shape}: "
            "give both in the same frame."
        )
    total = np.count_nonzero(inside)
    if total == 0:
        raise ImageError("The field of view is empty: there is no area to take a percentage of.")
    return 100.0 * np.count_nonzero(mask & inside) / total


def _as_mask(values: NDArray[Any], name: str) -> NDArray[np.bool_]:
    if values.ndim != 2:
        raise ImageError(f"The {name} has shape {values.shape}: expected (H, W).")
    return values.astype(bool, copy=False)
