"""Lesions drawn on a photograph of a healthy eye, so that their true masks are known.

For tests, examples and demonstrations. The look is tuned by eye: sizes are those of IDRiD's
lesions, colours and margins follow the textbook descriptions. It is no model of the disease and no
substitute for annotated photographs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tp_drseg.errors import DataError, ImageError, LesionError


@dataclass(frozen=True)
class _Look:
    """How one lesion looks. Lengths are shares of the field of view's diameter."""

    count: int
    diameter: float
    spread: float  # of the diameter, as the sigma of its logarithm
    edge: float  # width of the margin
    wobble: float  # amplitude of the outline's waves, in radii
    fluff: float  # amplitude of the margin's noise, in radii
    opacity: tuple[float, float]  # of a whole lesion, from the faintest to the strongest
    mottle: float  # share of the opacity that is lost in its thinnest spots
    tint: tuple[float, float, float]  # red lesions multiply by it, pale ones cover with it
    covers: bool
    cluster: int = 1  # how many lie together


_LOOKS = {
    "microaneurysm": _Look(
        30, 0.006, 0.15, 0.002, 0.06, 0.0, (0.75, 1.0), 0.0, (0.76, 0.48, 0.6), False
    ),
    "haemorrhage": _Look(
        10, 0.026, 0.30, 0.011, 0.16, 0.25, (0.8, 1.0), 0.3, (0.68, 0.38, 0.48), False
    ),
    "hard exudate": _Look(
        60, 0.010, 0.45, 0.0025, 0.20, 0.25, (0.65, 0.95), 0.2, (252, 230, 135), True, 12
    ),
    "soft exudate": _Look(
        4, 0.040, 0.25, 0.022, 0.18, 0.25, (0.75, 0.85), 0.3, (238, 212, 178), True
    ),
}
_CLUSTER_SIGMA = 0.022
_DISC_RADIUS = 0.14  # generous: the disc itself is about 0.07
_TRIES = 1000

_Circle = tuple[int, int, int]  # y, x, radius in pixels


def draw_lesions(
    image: NDArray[np.uint8],
    field_of_view: NDArray[np.bool_],
    *,
    seed: int,
    counts: Mapping[str, int] | None = None,
) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.bool_]]]:
    """Draw lesions on a fundus photograph, clear of each other and of the optic disc.

    The optic disc is taken to be where the smoothed green channel is brightest.

    Args:
        image: ``(H, W, 3)`` uint8, RGB. It is not changed.
        field_of_view: ``(H, W)`` bool, true on the retina.
        seed: Equal seeds draw equal lesions.
        counts: Catalog name of a lesion to how many of it; one left out is not drawn. By default 30
            microaneurysms, 10 haemorrhages, 60 hard exudates (in clusters) and 4 soft exudates.

    Returns:
        The drawn image, ``(H, W, 3)`` uint8, and the four masks, ``(H, W)`` bool, by catalog name;
        a pixel is in a mask where the lesion is drawn with an opacity of 0.5 or more.

    Raises:
        ImageError: The image or the field of view is of another shape or type, or is empty.
        LesionError: ``counts`` names a lesion that cannot be drawn.
        DataError: A count is negative, or there is no room for so many lesions.
    """
    _check(image, field_of_view)
    counts = {name: look.count for name, look in _LOOKS.items()} if counts is None else counts
    for name, count in counts.items():
        if name not in _LOOKS:
            raise LesionError(f"{name!r} cannot be drawn. These can: {', '.join(_LOOKS)}.")
        if count < 0:
            raise DataError(f"The count of {name!r} is {count}. Use 0 or more.")

    rng = np.random.default_rng(seed)
    canvas = image.astype(np.float64)
    masks = {name: np.zeros(field_of_view.shape, dtype=bool) for name in _LOOKS}
    extent = [np.ptp(np.flatnonzero(field_of_view.any(axis=axis))) + 1 for axis in (0, 1)]
    diameter = float(max(extent))
    free = field_of_view & ~_optic_disc(image, field_of_view, diameter)
    if not free.any():
        raise ImageError("The field of view is too small: the optic disc takes all of it.")
    # The frame of False makes the image's border a border of the field of view too.
    room = ndimage.distance_transform_edt(np.pad(free, 1))[1:-1, 1:-1]
    free_pixels = np.argwhere(free)
    taken: list[_Circle] = []
    # The largest first: the small ones find room between them.
    for name in sorted(_LOOKS, key=lambda key: -_LOOKS[key].diameter):
        look, count = _LOOKS[name], counts.get(name, 0)
        centres, sigma = free_pixels, 0.0
        if look.cluster > 1:
            centres = rng.choice(free_pixels, size=-(-count // look.cluster))
            sigma = _CLUSTER_SIGMA * diameter
        for _ in range(count):
            opacity = _blob(rng, look, diameter)
            radius = opacity.shape[0] // 2
            y, x = _free_place(rng, centres, sigma, room, taken, radius, name)
            taken.append((y, x, radius))
            top, left = y - radius, x - radius
            window = np.s_[top : top + opacity.shape[0], left : left + opacity.shape[1]]
            under = canvas[window]
            over = np.array(look.tint) if look.covers else under * look.tint
            canvas[window] = under + opacity[..., None] * (over - under)
            masks[name][window] |= opacity >= 0.5
    return canvas.round().astype(np.uint8), masks


def _check(image: NDArray[np.uint8], field_of_view: NDArray[np.bool_]) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ImageError(
            f"The image is {image.dtype} of shape {image.shape}; (H, W, 3) uint8 is needed."
        )
    if field_of_view.shape != image.shape[:2] or field_of_view.dtype != bool:
        raise ImageError(
            f"The field of view is {field_of_view.dtype} of shape {field_of_view.shape}; "
            f"bool of the image's shape {image.shape[:2]} is needed."
        )
    if not field_of_view.any():
        raise ImageError("The field of view is empty: there is no retina to draw on.")


def _optic_disc(
    image: NDArray[np.uint8], field_of_view: NDArray[np.bool_], diameter: float
) -> NDArray[np.bool_]:
    """Return the region to keep clear for the optic disc, ``(H, W)``."""
    green = np.where(field_of_view, image[..., 1], 0).astype(np.float32)
    smooth = ndimage.gaussian_filter(green, 0.03 * diameter)
    row, column = np.unravel_index(int(smooth.argmax()), smooth.shape)
    y, x = np.ogrid[: smooth.shape[0], : smooth.shape[1]]
    return np.asarray(np.hypot(y - row, x - column) < _DISC_RADIUS * diameter)


def _free_place(
    rng: np.random.Generator,
    centres: NDArray[np.int64],
    sigma: float,
    room: NDArray[np.float64],
    taken: list[_Circle],
    radius: int,
    name: str,
) -> tuple[int, int]:
    """Return a place near one of the centres where a disc of this radius meets nothing else."""
    for attempt in range(_TRIES):
        # Further and further out, as a cluster fills up.
        offset = rng.normal(scale=sigma * (1 + attempt / 100), size=2)
        y, x = (int(value) for value in (centres[rng.integers(len(centres))] + offset).round())
        if not (0 <= y < room.shape[0] and 0 <= x < room.shape[1] and room[y, x] > radius):
            continue
        if all(math.hypot(y - cy, x - cx) > radius + r for cy, cx, r in taken):
            return y, x
    raise DataError(f"There is no room for another {name}. Draw fewer lesions.")


def _blob(rng: np.random.Generator, look: _Look, diameter: float) -> NDArray[np.float64]:
    """Opacity of one lesion, ``(n, n)`` with ``n`` odd, 0 beyond a radius of ``n // 2``."""
    radius = look.diameter * diameter / 2 * np.exp(rng.normal(scale=look.spread))
    edge = max(look.edge * diameter, 1.0)
    fluff = look.fluff * radius
    half = int(np.ceil(1.5 * radius + 2 * fluff + edge))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    distance, angle = np.hypot(y, x), np.arctan2(y, x)
    waves = sum(
        rng.normal(scale=look.wobble / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
        for k in range(2, 6)
    )
    inside = radius * (1 + np.clip(waves, -0.5, 0.5)) - distance
    noise = ndimage.gaussian_filter(rng.normal(size=distance.shape), max(radius / 4, 0.7))
    noise = np.clip(noise / noise.std(), -2, 2)
    ramp = np.clip((inside + fluff * noise) / edge + 0.5, 0, 1)
    thinned = 1 - look.mottle * (noise[::-1, ::-1] + 2) / 4  # turned round: apart from the margin
    opacity = rng.uniform(*look.opacity) * thinned * ramp * ramp * (3 - 2 * ramp)
    reach = int(np.ceil(distance[opacity > 0].max()))
    used = slice(half - reach, half + reach + 1)
    return np.asarray(opacity[used, used])
