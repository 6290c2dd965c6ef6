"""Points and boxes of a prompt, placed in the working frame, and what a tile sees of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tp_drseg.errors import PromptError
from tp_drseg.images import Frame
from tp_drseg.inference.request import Prompt
from tp_drseg.modules.points import BOTTOM_RIGHT, TOP_LEFT, Points


@dataclass(frozen=True)
class PlacedPoints:
    """Points and boxes in pixels of the working frame; the first pixel's centre is (0, 0).

    Attributes:
        coords: `(P, 2)` float32, x and y.
        labels: `(P,)` int64, 1 on the lesion, 0 beside it.
        boxes: `(B, 4)` float32, left, top, right, bottom.
    """

    coords: Tensor
    labels: Tensor
    boxes: Tensor

    @classmethod
    def place(cls, prompt: Prompt, frame: Frame) -> PlacedPoints | None:
        """Take a prompt's points and boxes from original pixels to the working frame.

        Returns:
            None for a prompt that has neither.

        Raises:
            PromptError: One lies outside of the photograph, or of the box round its field of
                view, which is all that the model sees.
        """
        if not prompt.has_places:
            return None
        points = np.array(prompt.point_coords, dtype=np.float64).reshape(-1, 2)
        boxes = np.array(prompt.boxes, dtype=np.float64).reshape(-1, 4)
        corners = boxes.reshape(-1, 2)
        height, width = frame.original_size
        for x, y in np.concatenate([points, corners]):
            if not (0 <= x <= width and 0 <= y <= height):
                raise PromptError(
                    f"({x:g}, {y:g}) is outside of the photograph, which is {width} x {height} "
                    f"pixels. Points and boxes are in original pixels."
                )
        left, top, right, bottom = frame.box
        for a, b, c, d in np.concatenate([np.tile(points, 2), boxes]):
            if c < left or a > right or d < top or b > bottom:
                raise PromptError(
                    f"The point or box at ({a:g}, {b:g}) is outside of the field of view, which "
                    f"spans x {left} to {right} and y {top} to {bottom}."
                )
        return cls(
            coords=_working(frame, points),
            labels=torch.from_numpy(np.array(prompt.point_labels, dtype=np.int64)),
            boxes=_working(frame, corners).reshape(-1, 4),
        )

    def in_tile(self, corner: tuple[int, int], shape: tuple[int, int]) -> Points | None:
        """Return what lies in a tile, in its own pixels; boxes are cut at its border.

        Args:
            corner: x and y of the tile's first pixel.
            shape: Height and width of the tile, in pixels.

        Returns:
            Points for one prompt, N = 1; None where there are none.
        """
        shift, end = self.coords.new_tensor(corner), self.coords.new_tensor(shape).flip(0) - 0.5
        points = self.coords - shift
        kept = ((points >= -0.5) & (points < end)).all(dim=1)
        boxes = self.boxes - shift.repeat(2)
        seen = (boxes[:, :2] < end).all(dim=1) & (boxes[:, 2:] > -0.5).all(dim=1)
        boxes = boxes[seen].clamp(min=-0.5).minimum(end.repeat(2))
        if not kept.any() and not len(boxes):
            return None
        coords = torch.cat([points[kept], boxes.reshape(-1, 2)])
        corners = self.labels.new_tensor([TOP_LEFT, BOTTOM_RIGHT]).repeat(len(boxes))
        return Points(coords[None], torch.cat([self.labels[kept], corners])[None])


def _working(frame: Frame, places: NDArray[np.float64]) -> Tensor:
    # the frame counts from the first pixel's corner, points from its centre
    return torch.from_numpy(frame.to_working(places + 0.5) - 0.5).float()
