"""Simulated points and boxes, so that the decoder keeps listening to them beside the text."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from tp_drseg.modules.points import BACKGROUND, BOTTOM_RIGHT, FOREGROUND, PADDING, TOP_LEFT, Points
from tp_drseg.training.data.draws import integer, uniform


def simulate_points(target: Tensor, scale: int, generator: torch.Generator) -> Points:
    """Simulate four tokens a lesion: a point on it, a point beside it, and the corners of a box.

    Where a lesion is present, half of the time its point and half of the time the box round one
    of its regions is given; the rest is `PADDING`.

    Args:
        target: `(L, h, w)` in [0, 1].
        scale: pixels of the tile for one pixel of the target.
        generator: the source of randomness.
    """
    count = len(target)
    coordinates = torch.zeros(count, 4, 2, dtype=torch.float32, device="cpu")
    labels = torch.full((count, 4), PADDING, dtype=torch.int64, device="cpu")
    for i, mask in enumerate(target >= 0.5):
        beside = _pick((~mask).nonzero(), generator)
        if beside is not None and uniform(generator) < 0.5:
            coordinates[i, 1], labels[i, 1] = beside, BACKGROUND
        if (on := _pick(mask.nonzero(), generator)) is None:
            continue
        if uniform(generator) < 0.5:
            coordinates[i, 0], labels[i, 0] = on, FOREGROUND
        else:
            coordinates[i, 2:] = _box_round(mask, on)
            labels[i, 2:] = labels.new_tensor([TOP_LEFT, BOTTOM_RIGHT])
    # a click counts from the centre of the first pixel
    return Points(coordinates * scale - 0.5, labels)


def _pick(places: Tensor, generator: torch.Generator) -> Tensor | None:
    """Draw one of `(n, 2)` rows and columns, as the x and y of that pixel's centre."""
    if not len(places):
        return None
    row, column = places[integer(generator, len(places))].tolist()
    return torch.tensor([column + 0.5, row + 0.5], dtype=torch.float32, device="cpu")


def _box_round(mask: Tensor, point: Tensor) -> Tensor:
    """Return the corners `(2, 2)` of the box round the region of `mask` that holds `point`."""
    regions, _ = ndimage.label(mask.numpy(), structure=np.ones((3, 3)))
    region = regions[int(point[1]), int(point[0])]
    rows, columns = ndimage.find_objects(regions)[region - 1]
    corners = [[columns.start, rows.start], [columns.stop, rows.stop]]
    return torch.tensor(corners, dtype=torch.float32, device="cpu")
