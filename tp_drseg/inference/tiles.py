"""The tiles of a photograph, and the way back: their logits blended into one map."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tp_drseg.modules.constants import EMBEDDING_STRIDE

NOWHERE = -1e4
"""The logit where no tile is: its sigmoid is 0, and 0 times it is no NaN."""


@dataclass(frozen=True)
class Tiles:
    """Tiles on a padded working frame: overlapping squares, or one that is all of it.

    Attributes:
        size: height and width of the padded working frame, in pixels; multiples of 16.
        shape: height and width of a tile, in pixels.
        corners: x and y of the first pixel of each tile.
    """

    size: tuple[int, int]
    shape: tuple[int, int]
    corners: tuple[tuple[int, int], ...]

    @classmethod
    def plan(cls, size: tuple[int, int], side: int, overlap: float) -> Tiles:
        """Return squares that cover a frame, row by row; the last of a row ends with it.

        Args:
            size: height and width of the padded working frame, in pixels.
            side: of a tile, in pixels, at most the frame's.
            overlap: share of a tile that the next one covers too, at least, in [0, 1).
        """
        # tiles start and end on whole cells of the image embedding
        cell = EMBEDDING_STRIDE
        step = max(cell, int(side * (1 - overlap)) // cell * cell)
        rows, columns = (list(_starts(length, side, step)) for length in size)
        return cls(size, (side, side), tuple((x, y) for y in rows for x in columns))

    @classmethod
    def whole(cls, size: tuple[int, int]) -> Tiles:
        """Return the one tile that is the padded working frame."""
        return cls(size, size, ((0, 0),))

    def only(self, wanted: Iterable[bool]) -> Tiles:
        """Return some of the tiles."""
        kept = (corner for corner, keep in zip(self.corners, wanted, strict=True) if keep)
        return Tiles(self.size, self.shape, tuple(kept))

    def cut(self, values: Tensor, number: int, cell: int = 1) -> Tensor:
        """Return the part of `(..., h, w)` that a tile covers; a value covers `cell` pixels."""
        x, y = (place // cell for place in self.corners[number])
        height, width = (length // cell for length in self.shape)
        return values[..., y : y + height, x : x + width]

    def blend(self, logits: Sequence[Tensor]) -> Tensor:
        """Return the logits of all tiles in one map: a mean with Gaussian weights.

        Args:
            logits: `(L, h', w')` of each tile, all of one stride.

        Returns:
            `(L, h / stride, w / stride)`; `NOWHERE` where no tile is.
        """
        first = logits[0]
        if self.shape == self.size:
            return first
        stride = self.shape[1] // first.shape[-1]
        weight = _gaussian(first.shape[-1]).to(first)
        size = [length // stride for length in self.size]
        total, weights = first.new_zeros(len(first), *size), first.new_zeros(size)
        for (x, y), tile in zip(self.corners, logits, strict=True):
            rows = slice(y // stride, y // stride + len(weight))
            columns = slice(x // stride, x // stride + len(weight))
            total[:, rows, columns] += weight * tile
            weights[rows, columns] += weight
        return (total / weights).masked_fill_(weights == 0, NOWHERE)


def _starts(length: int, side: int, step: int) -> Iterator[int]:
    last = length - side
    yield from range(0, last, step)
    yield last


def _gaussian(side: int) -> Tensor:
    """Weights `(side, side)` that fall from a tile's centre; a standard deviation of side / 8."""
    # on the processor and in float32, whatever the process has as its default
    steps = torch.arange(side, dtype=torch.float32, device="cpu")
    distance = (steps + 0.5) / side - 0.5
    falling = torch.exp(-0.5 * (distance * 8) ** 2)
    # corners keep some weight: alone they would divide rounding errors
    return (falling[:, None] * falling).clamp(min=1e-3)
