"""Find the retina in a photograph: the lit disc inside a dark border."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tp_drseg.errors import FundusWarning, ImageError

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


@dataclass(frozen=True, eq=False)
class FieldOfView:
    """Where the retina is.

    Attributes:
        mask: ``(H, W)`` bool, one region without holes.
        box: the mask's bounding box in px: left, top, right, bottom; right and bottom exclusive.
    """

    mask: NDArray[np.bool_]
    box: tuple[int, int, int, int]

    @classmethod
    def from_mask(cls, mask: NDArray[Any]) -> FieldOfView:
        """Take a mask, ``(H, W)`` bool, as the field of view.

        Raises:
            ImageError: the mask is empty or not two-dimensional.
        """
        if mask.ndim != 2 or not mask.any():
            raise ImageError(f"the field of view, shape {mask.shape}, is empty or not (H, W)")
        mask = mask.astype(bool, copy=False)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        return cls(mask=mask, box=box)

    @property
    def diameter(self) -> int:
        """Longest side of the box, in px."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    @property
    def area(self) -> int:
        """Number of pixels in the mask."""
        return int(np.count_nonzero(self.mask))


def find_field_of_view(image: NDArray[np.uint8]) -> FieldOfView:
    """Find the field of view of a colour fundus photograph.

    The border's level is read in the corners. What stands out from it by a share of the retina's
    own level is retina, so that a dark photograph is treated as a bright one; of that the largest
    region is kept, which leaves labels out. If its outline is a circle, dim periphery inside the
    circle is added and what sticks out of it is cut off. A photograph without a border is all
    field of view.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.

    Returns:
        The field of view in the image's pixels; its outline is exact to about two pixels of a
        photograph of 4000 pixels, and to one pixel below 1024.

    Raises:
        ImageError: the image is not ``(H, W, 3)`` uint8, or it is black or uniform.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ImageError(
            f"the image has shape {image.shape} and dtype {image.dtype}: expected (H, W, 3) uint8"
        )
    height, width = image.shape[:2]
    factor = -(-max(height, width) // _WORKING_SIDE)
    small = np.asarray(Image.fromarray(image).reduce(factor))
    found = _search(small)
    if found.all():
        return FieldOfView.from_mask(np.ones((height, width), dtype=bool))
    if factor == 1:
        return FieldOfView.from_mask(found)
    # Bilinear and half: a smooth outline in place of the steps of the small copy.
    full = Image.fromarray(found.astype(np.uint8) * 255).resize(
        (width, height), Image.Resampling.BILINEAR, box=(0, 0, width / factor, height / factor)
    )
    return FieldOfView.from_mask(np.asarray(full) >= 128)


def fundus_doubt(image: NDArray[np.uint8], field_of_view: FieldOfView) -> str | None:
    """Say why an image does not look like a colour fundus photograph.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        field_of_view: its field of view.

    Returns:
        None for one that does; else a message, if the field of view is below 5 % of the image, or
        its pixels are grey, or red is not their strongest colour.
    """
    share = field_of_view.area / field_of_view.mask.size
    step = -(-max(image.shape[:2]) // _WORKING_SIDE)
    inside = field_of_view.mask[::step, ::step]
    channels = image[::step, ::step][inside].T.astype(np.float32, order="C")
    if share < 0.05 or not channels.size:
        doubt = f"its lit part covers only {100 * share:.1f} % of the image"
    else:
        red, green, blue = channels.mean(axis=1)
        highest = channels.max(axis=0)
        if (highest - channels.min(axis=0)).mean() < 0.05 * highest.mean():
            doubt = "it is grey"
        elif red <= max(green, blue):
            doubt = (
                f"red is not its strongest colour (mean red {red:.0f}, green {green:.0f}, "
                f"blue {blue:.0f})"
            )
        else:
            return None
    return (
        f"the image does not look like a colour fundus photograph: {doubt}. "
        "Results on it mean little; check that it is the right file, in RGB order"
    )


def check_fundus(image: NDArray[np.uint8], field_of_view: FieldOfView) -> None:
    """Warn if an image does not look like a colour fundus photograph.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        field_of_view: its field of view.

    Warns:
        FundusWarning: what :func:`fundus_doubt` says, if anything.
    """
    if (doubt := fundus_doubt(image, field_of_view)) is not None:
        warnings.warn(doubt, FundusWarning, stacklevel=2)


def _search(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    level = image.max(axis=2).astype(np.float32)
    low, high = np.percentile(level, (0.5, 99.5))
    if high - low < _SMALLEST_RANGE:
        what = "black" if high < _SMALLEST_RANGE else f"uniform (level {level.mean():.0f} of 255)"
        raise ImageError(f"the image is {what}: there is no retina to find, check the file")
    border = _border(image, level)
    if border is None:
        return np.ones(level.shape, dtype=bool)
    colour, noise = border
    # Distance to the border's colour; with a black border this is the brightest channel.
    distance = np.abs(image.astype(np.float32) - colour).max(axis=2)
    retina = float(distance[distance > distance.mean()].mean())
    lit = distance > max(_LEVELS[-1] * retina, 3.0 * noise)
    candidates = []
    for share in _LEVELS:
        found = _largest(distance > max(share * retina, min(5.0 * noise, 0.5 * retina)))
        if not found.any():
            raise ImageError("the image holds no lit region: there is no retina to find, check it")
        if _is_sharp(found, distance):
            return _to_disc(found, lit, _fit_circle(found))
        candidates.append(found)
    # No edge anywhere: a disc that fades into black, or a crop whose periphery is dim.
    circle = _fit_circle(candidates[0])
    if circle is None or colour.max() > _BLACK * retina:
        return np.ones(level.shape, dtype=bool)
    return _to_disc(candidates[0], lit, circle)


def _border(
    image: NDArray[np.uint8], level: NDArray[np.float32]
) -> tuple[NDArray[np.float32], float] | None:
    """Colour ``(3,)`` and noise of the border, or None where the image has none."""
    side = max(2, round(0.02 * min(level.shape)))
    ends = (slice(None, side), slice(-side, None))
    corners = [image[rows, columns].reshape(-1, 3) for rows in ends for columns in ends]
    medians = np.array([np.median(corner, axis=0) for corner in corners], dtype=np.float32)
    # The darkest corner: the others may hold a label, or retina.
    darkest = int(medians.max(axis=1).argmin())
    retina = float(level[level >= level.mean()].mean())
    is_dark = medians[darkest].max() <= _DARK_BORDER * retina
    if not is_dark and medians.min() < _WHITE_BORDER:
        return None
    colour = medians[darkest]
    deviation = np.abs(corners[darkest].astype(np.float32) - colour).max(axis=1)
    return colour, 1.4826 * float(np.median(deviation))


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Largest region, without specks, threads and holes."""
    labels, count = ndimage.label(ndimage.binary_opening(mask, np.ones((3, 3), dtype=bool)))
    if count == 0:
        return np.zeros_like(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(labels == sizes.argmax())
    return filled


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


def _fit_circle(mask: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    """Circle through most of the outline: x, y, radius, and the share of the outline on it.

    Random sample consensus over triples of outline points, then least squares over those that
    agree. Where the image's own edge cuts the mask there is no outline. None if under half agree.
    """
    edge = mask & ~ndimage.binary_erosion(mask, border_value=1)
    edge[[0, -1], :] = False
    edge[:, [0, -1]] = False
    points = np.argwhere(edge)[:, ::-1].astype(np.float64)
    if len(points) < 16:
        return None
    random = np.random.default_rng(0)
    points = points[random.permutation(len(points))[:600]]
    triples = points[random.integers(0, len(points), (300, 3))]
    best: NDArray[np.bool_] | None = None
    longest = max(mask.shape)
    for triple in triples:
        circle = _circle_through(triple)
        if circle is not None and 0.1 * longest <= circle[2] <= 1.5 * longest:
            agree = _on_circle(points, circle)
            if best is None or agree.sum() > best.sum():
                best = agree
    if best is None or best.mean() < 0.5:
        return None
    circle = _circle_through(points[best])
    if circle is None:
        return None
    return (*circle, float(_on_circle(points, circle).mean()))


def _circle_through(points: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Least squares circle: ``x^2 + y^2 = 2 a x + 2 b y + c`` is linear in a, b, c (Kasa)."""
    centre = points.mean(axis=0)
    moved = points - centre
    matrix = np.column_stack([2.0 * moved, np.ones(len(moved))])
    solution, _, rank, _ = np.linalg.lstsq(matrix, (moved**2).sum(axis=1), rcond=None)
    if rank < 3:
        return None
    a, b, c = solution
    return float(centre[0] + a), float(centre[1] + b), float(np.sqrt(max(c + a**2 + b**2, 0.0)))


def _on_circle(
    points: NDArray[np.float64], circle: tuple[float, float, float]
) -> NDArray[np.bool_]:
    x, y, radius = circle
    off = np.abs(np.hypot(points[:, 0] - x, points[:, 1] - y) - radius)
    agree: NDArray[np.bool_] = off <= max(1.5, 0.01 * radius)
    return agree
