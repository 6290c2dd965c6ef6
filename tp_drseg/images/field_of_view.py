"""Find the retina in a photograph: the lit disc inside a dark border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tp_drseg.errors import ImageError
from tp_drseg.images.circle import fit_circle
from tp_drseg.images.decode import MIN_SIDE
from tp_drseg.images.measure import window_of

_WORKING_SIDE: Final = 1024  # px; the search runs on a copy no larger than this
# Thresholds, as shares of the retina's level above the border's. The first whose outline is a sharp
# edge is taken: a lower one would take in the border's glow, a higher one cut dim periphery.
_LEVELS: Final = (0.2, 0.1, 0.05)
_DARK_BORDER: Final = 0.25  # of the retina's level: a corner below it can be border
_WHITE_BORDER: Final = 235  # grey level: four corners above it are a white border
_SMALLEST_RANGE: Final = 4  # grey levels: an image that spans fewer is uniform
_SHARP: Final = 0.3  # drop at the outline: the border's edge is sharp, a dim periphery fades
_BLACK: Final = 0.1  # of the retina's level: a border below it is black
_WHOLE_CIRCLE: Final = 0.85  # of the outline on one circle: the disc is whole
_PLAIN: Final = 6.0  # grey levels: corners that differ by less, without texture, are a border
_TEXTURE: Final = 2.0  # grey levels: noise of a border at most
_GREY: Final = 0.15  # difference of the channels, as a share of the brightest: no retina's colour
_RECTANGLE: Final = 0.97  # of its box: a region that fills so much may be a picture on a page
_INSIDE: Final = 0.9  # of such a picture: a field of view below it has a border of its own
_ANOTHER: Final = 0.1  # of the field of view: a lit region above it may be another eye


@dataclass(frozen=True, eq=False)
class FieldOfView:
    """Where the retina is.

    Attributes:
        mask: ``(H, W)`` bool, one region without holes.
        box: The mask's bounding box in px: left, top, right, bottom; right and bottom exclusive.
        doubt: Why it may be wrong, as the end of a sentence; None where nothing speaks against it.
    """

    mask: NDArray[np.bool_]
    box: tuple[int, int, int, int]
    doubt: str | None = None

    @classmethod
    def from_mask(cls, mask: NDArray[Any], doubt: str | None = None) -> FieldOfView:
        """Take a mask, ``(H, W)`` bool, as the field of view.

        Raises:
            ImageError: The mask is empty or not two-dimensional.
        """
        if mask.ndim != 2 or not mask.any():
            raise ImageError(f"The field of view, shape {mask.shape}, is empty or not (H, W).")
        mask = mask.astype(bool, copy=False)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        return cls(mask=mask, box=box, doubt=doubt)

    @property
    def diameter(self) -> int:
        """Longest side of the box, in px."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    @property
    def area(self) -> int:
        """Number of pixels in the mask."""
        return int(np.count_nonzero(self.mask))


def find_field_of_view(image: NDArray[np.uint8], *, name: str = "The image") -> FieldOfView:
    """Find the field of view of a colour fundus photograph.

    The border's level is read in the corners. What stands out from it by a share of the retina's
    own level is retina, so that a dark photograph is treated as a bright one; of that the largest
    region is kept, which leaves labels out. If its outline is a circle, dim periphery inside the
    circle is added and what sticks out of it is cut off. If it is a rectangle, a photograph on a
    page or in a window, the search goes on inside of it. A photograph without a border is all
    field of view.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        name: What messages call the image.

    Returns:
        The field of view in the image's pixels; its outline is exact to about two pixels of a
        photograph of 4000 pixels, and to one pixel below 1024. Where another region of the image
        could be an eye as well, it has a doubt.

    Raises:
        ImageError: The image is not ``(H, W, 3)`` uint8, or it is black or uniform.

    Example:
        >>> import numpy as np
        >>> from tp_drseg.images import find_field_of_view
        >>> image = np.zeros((64, 64, 3), np.uint8)
        >>> image[8:56, 8:56] = (190, 95, 40)
        >>> find_field_of_view(image).box
        (8, 8, 56, 56)
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ImageError(
            f"{name} has shape {image.shape} and dtype {image.dtype}: expected (H, W, 3) uint8."
        )
    mask, doubt = _find(image, name)
    return FieldOfView.from_mask(mask, doubt)


_Found = tuple[NDArray[np.bool_], str | None]  # a mask, and why it may be wrong


def _find(image: NDArray[np.uint8], name: str) -> _Found:
    height, width = image.shape[:2]
    factor = -(-max(height, width) // _WORKING_SIDE)
    small = np.asarray(Image.fromarray(image).reduce(factor))
    mask, doubt = _search(small, name)
    if factor > 1 and not mask.all():
        # Bilinear and half: a smooth outline in place of the steps of the small copy.
        full = Image.fromarray(mask.astype(np.uint8) * 255).resize(
            (width, height), Image.Resampling.BILINEAR, box=(0, 0, width / factor, height / factor)
        )
        mask = np.asarray(full) >= 128
    if mask.all():
        return np.ones((height, width), dtype=bool), doubt
    inner = _find_inside(image, mask, factor)
    return mask if inner is None else inner[0], doubt or (inner and inner[1])


def _find_inside(image: NDArray[np.uint8], mask: NDArray[np.bool_], margin: int) -> _Found | None:
    """Return the field of view of a picture that is a rectangle of the image, if there is one."""
    rows, columns = window_of(mask)
    if mask[rows, columns].shape == mask.shape or mask[rows, columns].mean() < _RECTANGLE:
        return None
    rows = slice(rows.start + margin, rows.stop - margin)  # its edges are exact to so much
    columns = slice(columns.start + margin, columns.stop - margin)
    picture = image[rows, columns]
    if min(picture.shape[:2]) < MIN_SIDE:
        return None
    try:
        inner, doubt = _find(np.ascontiguousarray(picture), "")
    except ImageError:
        return None
    if np.count_nonzero(inner) > _INSIDE * inner.size:
        return None
    whole = np.zeros_like(mask)
    whole[rows, columns] = inner
    return whole, doubt


def _search(image: NDArray[np.uint8], name: str) -> _Found:
    level = image.max(axis=2).astype(np.float32)
    low, high = np.percentile(level, (0.5, 99.5))
    everything = np.ones(level.shape, dtype=bool)
    if high - low < _SMALLEST_RANGE:
        if high >= _SMALLEST_RANGE and _is_red(np.median(image, axis=(0, 1))):
            return everything, "it is uniform"
        what = "black" if high < _SMALLEST_RANGE else f"uniform (level {level.mean():.0f} of 255)"
        raise ImageError(f"{name} is {what}: there is no retina to find. Check the file.")
    border = _border(image, level)
    if border is None:
        return everything, None
    colour, noise, is_certain = border
    # Distance to the border's colour; with a black border this is the brightest channel.
    distance = np.abs(image.astype(np.float32) - colour).max(axis=2)
    retina = float(distance[distance > distance.mean()].mean())
    lit = distance > max(_LEVELS[-1] * retina, 3.0 * noise)
    candidates = []
    for share in _LEVELS:
        bright = distance > max(share * retina, min(5.0 * noise, 0.5 * retina))
        found = _largest(bright)
        if not found.any():
            if not is_certain:
                return everything, None
            raise ImageError(
                f"{name} holds no lit region: there is no retina to find. Check the file."
            )
        if _is_sharp(found, distance):
            return _whole(found, bright, lit, fit_circle(found))
        candidates.append((found, bright))
    # No edge anywhere: a disc that fades into black, or a crop whose periphery is dim.
    found, bright = candidates[0]
    circle = fit_circle(found)
    if circle is None or colour.max() > _BLACK * retina:
        return everything, None
    return _whole(found, bright, lit, circle)


def _whole(
    found: NDArray[np.bool_],
    bright: NDArray[np.bool_],
    lit: NDArray[np.bool_],
    circle: tuple[float, float, float, float] | None,
) -> _Found:
    """Return the field of view by its circle, and whether something else is as large."""
    mask = _to_disc(found, lit, circle)
    _, sizes = _regions(bright & ~mask)
    share = sizes.max() / np.count_nonzero(mask)
    if share < _ANOTHER:
        return mask, None
    return mask, f"another part of it is lit, {100 * share:.0f} % as large as the one that is taken"


def _border(
    image: NDArray[np.uint8], level: NDArray[np.float32]
) -> tuple[NDArray[np.float32], float, bool] | None:
    """Colour ``(3,)`` and noise of the border, and whether it is certain; None without one."""
    side = max(2, round(0.02 * min(level.shape)))
    ends = (slice(None, side), slice(-side, None))
    corners = [image[rows, columns].reshape(-1, 3) for rows in ends for columns in ends]
    medians = np.array([np.median(corner, axis=0) for corner in corners], dtype=np.float32)
    # The darkest corner: the others may hold a label, or retina.
    darkest = int(medians.max(axis=1).argmin())
    retina = float(level[level >= level.mean()].mean())
    is_dark = medians[darkest].max() <= _DARK_BORDER * retina
    is_certain = is_dark or medians.min() >= _WHITE_BORDER
    if not is_certain and not _is_plain(corners, medians):
        return None
    colour = medians[darkest]
    deviation = np.abs(corners[darkest].astype(np.float32) - colour).max(axis=1)
    return colour, 1.4826 * float(np.median(deviation)), bool(is_certain)


def _is_plain(corners: list[NDArray[np.uint8]], medians: NDArray[np.float32]) -> bool:
    """Tell whether the corners have one colour, without texture, that is no retina's.

    One without any noise is none, whatever the colour: a page, not a photograph.
    """
    spread = (medians.max(axis=0) - medians.min(axis=0)).max()
    deviations = (
        np.median(np.abs(corner.astype(np.float32) - median), axis=0)
        for corner, median in zip(corners, medians, strict=True)
    )
    noise = max(deviation.max() for deviation in deviations)
    if noise == 0.0 and spread <= 1.0:
        return True
    return bool(spread < _PLAIN and noise < _TEXTURE and not _is_red(medians.mean(axis=0)))


def _is_red(colour: NDArray[Any]) -> bool:
    """Tell whether red is the strongest channel of ``(3,)``, by more than a tint."""
    red_strongest = colour[0] > colour[1:].max()
    return bool(red_strongest and colour.max() - colour.min() > _GREY * colour.max())


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Largest region, without specks, threads and holes; empty where there is none."""
    labels, sizes = _regions(mask)
    if not sizes.any():
        return np.zeros_like(mask)
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(labels == sizes.argmax())
    return filled


def _regions(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Labels of the regions without specks and threads, and the size of each; 0 for none."""
    labels, _ = ndimage.label(ndimage.binary_opening(mask, np.ones((3, 3), dtype=bool)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels, sizes


def _is_sharp(mask: NDArray[np.bool_], values: NDArray[np.float32]) -> bool:
    """Tell whether the values drop over the few pixels around the outline."""
    square = np.ones((3, 3), dtype=bool)
    inner = ndimage.binary_erosion(mask, square, iterations=2, border_value=1)
    outer = ndimage.binary_dilation(mask, square, iterations=2)
    rim_in = inner & ~ndimage.binary_erosion(inner, square, border_value=1)
    rim_out = ndimage.binary_dilation(outer, square) & ~outer
    if not rim_in.any() or not rim_out.any():
        return bool(mask.all())
    inside, outside = float(np.median(values[rim_in])), float(np.median(values[rim_out]))
    return inside - outside >= _SHARP * inside


def _to_disc(
    mask: NDArray[np.bool_],
    lit: NDArray[np.bool_],
    circle: tuple[float, float, float, float] | None,
) -> NDArray[np.bool_]:
    """Complete the mask by the lit pixels of the circle that its outline follows, if it does."""
    if circle is None:
        return mask
    x, y, radius, share = circle
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    squared = (columns - x) ** 2 + (rows - y) ** 2
    disc = squared <= radius**2
    # A circle that is seen nearly whole is filled; a cut one could be cut on purpose.
    added = disc if share >= _WHOLE_CIRCLE else disc & lit
    near = squared <= (1.01 * radius + 1.0) ** 2
    return _largest((mask & near) | added)
