"""Points and boxes of a photograph, and what a tile sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tp_drseg.errors import PromptError
from tp_drseg.images import Frame
from tp_drseg.modules.clicks import BOTTOM_RIGHT, TOP_LEFT, Clicks


@dataclass(frozen=True)
class PlacedClicks:
    """Points and boxes in pixels of the working frame; the first pixel's centre is (0, 0).

    Attributes:
        points: `(P, 2)`, x and y.
        labels: `(P,)`, 1 on the lesion, 0 beside it.
        boxes: `(B, 4)`, left, top, right, bottom.
    """

    points: Tensor
    labels: Tensor
    boxes: Tensor

    @classmethod
    def place(
        cls,
        frame: Frame,
        points: Sequence[tuple[float, float, int]] | None,
        boxes: Sequence[tuple[float, float, float, float]] | None,
    ) -> PlacedClicks | None:
        """Takes a user's points and boxes from original pixels to the working frame.

        Raises:
            PromptError: when one is malformed, or lies outside of the photograph or of the box
                round its field of view, which is all that the model sees.
        """
        point_rows = _rows(points, 3, "points", "(x, y, label)")
        box_rows = _rows(boxes, 4, "boxes", "(left, top, right, bottom)")
        if not len(point_rows) and not len(box_rows):
            return None
        if not np.isin(point_rows[:, 2], (0, 1)).all():
            raise PromptError("A point's label must be 1 (on the lesion) or 0 (beside it).")
        if (box_rows[:, :2] >= box_rows[:, 2:]).any():
            raise PromptError("A box must have left < right and top < bottom.")
        corners = box_rows.reshape(-1, 2)
        height, width = frame.original_size
        for place in np.concatenate([point_rows[:, :2], corners]):
            if not (0 <= place[0] <= width and 0 <= place[1] <= height):
                raise PromptError(
                    f"({place[0]:g}, {place[1]:g}) is outside of the photograph, which is "
                    f"{width} x {height} pixels. Points and boxes are in original pixels."
                )
        left, top, right, bottom = frame.box
        spans = np.concatenate([np.tile(point_rows[:, :2], 2), box_rows])
        for a, b, c, d in spans:
            if c < left or a > right or d < top or b > bottom:
                raise PromptError(
                    f"The point or box at ({a:g}, {b:g}) is outside of the field of view, which "
                    f"spans x {left} to {right} and y {top} to {bottom}."
                )
        return cls(
            points=_working(frame, point_rows[:, :2]),
            labels=torch.from_numpy(point_rows[:, 2].astype(np.int64)),
            boxes=_working(frame, corners).reshape(-1, 4),
        )

    def in_tile(self, corner: tuple[int, int], side: int) -> Clicks | None:
        """What lies in a tile, in its own pixels, as one prompt; boxes are cut at its border.

        Args:
            corner: x and y of the tile's first pixel.
            side: the tile's side.
        """
        shift = torch.tensor(corner, dtype=torch.float32)
        points = self.points - shift
        kept = ((points >= -0.5) & (points < side - 0.5)).all(dim=1)
        boxes = self.boxes - shift.repeat(2)
        seen = (boxes[:, :2] < side - 0.5).all(dim=1) & (boxes[:, 2:] > -0.5).all(dim=1)
        boxes = boxes[seen].clamp(-0.5, side - 0.5)
        if not kept.any() and not len(boxes):
            return None
        coordinates = torch.cat([points[kept], boxes.reshape(-1, 2)])
        corners = torch.tensor([TOP_LEFT, BOTTOM_RIGHT]).repeat(len(boxes))
        return Clicks(coordinates[None], torch.cat([self.labels[kept], corners])[None])


def _rows(
    values: Sequence[Sequence[float]] | None, width: int, name: str, form: str
) -> NDArray[np.float64]:
    if values is None:
        return np.empty((0, width))
    try:
        rows = np.array(values, dtype=np.float64).reshape(len(values), width)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{name} must be a list of {form}.") from error
    if not np.isfinite(rows).all():
        raise PromptError(f"{name} must be finite numbers.")
    return rows


def _working(frame: Frame, places: NDArray[np.float64]) -> Tensor:
    # the frame counts from the first pixel's corner, clicks from its centre
    return torch.from_numpy(frame.to_working(places + 0.5) - 0.5).float()
