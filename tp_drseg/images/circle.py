"""The circle that the outline of a field of view follows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def fit_circle(mask: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    """Fit a circle to most of a mask's outline.

    Random sample consensus over triples of outline points, then least squares over those that
    agree, the same in every run. Where the image's own edge cuts the mask there is no outline.

    Args:
        mask: ``(H, W)`` bool.

    Returns:
        x, y and radius of the circle in px, and the share of the outline on it; None if under half
        of the outline is on one circle.
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
