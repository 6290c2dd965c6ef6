"""A photograph and its mirror images: what the accurate mode asks, and the way back.

A network that has learned from mirrored photographs answers each of them a little differently; the
mean of the answers is steadier than any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor

from tp_drseg.inference.placed import PlacedPoints
from tp_drseg.inference.tiles import Tiles


@dataclass(frozen=True)
class Mirror:
    """A way to mirror whatever lies in the padded working frame.

    Attributes:
        dims: Axes that are turned round: -1 left and right, -2 top and bottom.
    """

    dims: tuple[int, ...] = ()

    def values(self, values: Tensor) -> Tensor:
        """Mirror `(..., h, w)`; done twice it is undone."""
        return values.flip(self.dims) if self.dims else values

    def tiles(self, tiles: Tiles) -> Tiles:
        """Return the tiles that see what these see, mirrored."""
        (height, width), (tall, wide) = tiles.size, tiles.shape
        corners = (
            (
                width - wide - x if -1 in self.dims else x,
                height - tall - y if -2 in self.dims else y,
            )
            for x, y in tiles.corners
        )
        return Tiles(tiles.size, tiles.shape, tuple(corners))

    def points(self, placed: PlacedPoints, size: tuple[int, int]) -> PlacedPoints:
        """Mirror points and boxes.

        Args:
            placed: Where they are.
            size: Height and width of the padded working frame, in pixels.
        """
        if not self.dims:
            return placed
        coords, boxes = placed.coords.clone(), placed.boxes.clone()
        for axis, dim in enumerate((-1, -2)):
            if dim in self.dims:
                last = size[dim] - 1  # the first pixel's centre is 0
                coords[:, axis] = last - coords[:, axis]
                boxes[:, [axis, axis + 2]] = last - boxes[:, [axis + 2, axis]]
        return PlacedPoints(coords, placed.labels, boxes)


AS_IT_IS: Final = Mirror()
MIRRORS: Final = (AS_IT_IS, Mirror((-1,)), Mirror((-2,)), Mirror((-2, -1)))
"""All four; what each sees is the same photograph, and none is the other's turned by a quarter."""
