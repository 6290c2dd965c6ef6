"""Where a photograph's pixels go: its frames, its tiles, and the way back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tp_drseg.config import TPDRSegConfig
from tp_drseg.images import FieldOfView, Frame, Framed, frame_photograph
from tp_drseg.inference.tiles import Tiles
from tp_drseg.modules.constants import EMBEDDING_STRIDE


@dataclass
class Geometry:
    """The frames of one photograph for one configuration.

    Attributes:
        image: `(H, W, 3)` uint8 RGB.
        field_of_view: Where the retina is.
        config: Whose frames and tiles.
    """

    image: NDArray[np.uint8] = field(repr=False)
    field_of_view: FieldOfView = field(repr=False)
    config: TPDRSegConfig = field(repr=False)

    @cached_property
    def _working(self) -> Framed:
        return self._framed(self.config.inference.working_diameter)

    @cached_property
    def _clip(self) -> Framed:
        side = self.config.architecture.clip.image_size
        same = side == self.config.inference.working_diameter
        return self._working if same else self._framed(side)

    def framed(self, diameter: int) -> Framed:
        """Return the photograph framed at a diameter; one of the two that are kept if it can be."""
        for kept in (self._clip, self._working):
            if max(kept.frame.size) == diameter:
                return kept
        return self._framed(diameter)

    @property
    def clip_frame(self) -> Frame:
        """The frame that CLIP sees."""
        return self._clip.frame

    def _framed(self, diameter: int) -> Framed:
        return frame_photograph(self.image, self.field_of_view, diameter)

    @property
    def frame(self) -> Frame:
        """The working frame, in which tiles are cut."""
        return self._working.frame

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """`(h, w, 3)` uint8, the photograph in its working frame."""
        return self._working.pixels

    @property
    def clip_pixels(self) -> NDArray[np.uint8]:
        """`(h, w, 3)` uint8, the photograph as CLIP sees it."""
        return self._clip.pixels

    @property
    def clip_inside(self) -> NDArray[np.float32]:
        """`(h, w)` in [0, 1], how much of each of CLIP's pixels is in the field of view."""
        return self._clip.inside

    def prepare(self) -> None:
        """Scale the photograph for both towers, in threads: Pillow and NumPy let others go on."""
        parts = [(self._working, "pixels"), (self._clip, "inside")]
        if self._clip is not self._working:
            parts.append((self._clip, "pixels"))
        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(lambda part: getattr(*part), parts))

    def forget_pixels(self) -> None:
        """Give the scaled copies back; they are made again when asked for."""
        for name in ("_working", "_clip"):
            self.__dict__.pop(name, None)

    @property
    def padded_size(self) -> tuple[int, int]:
        """Height and width of the padded working frame: a tile or more, and whole cells."""
        tile, cell = self.config.architecture.image_size, EMBEDDING_STRIDE
        least = 0 if self.config.inference.whole_field else tile
        height, width = (max(least, -(-side // cell) * cell) for side in self.frame.size)
        return height, width

    def padded(self) -> Tensor:
        """Return `(1, 3, h, w)` float32 RGB in [0, 255], padded with black so that tiles fit."""
        working = torch.from_numpy(self.pixels).permute(2, 0, 1)[None]
        height, width = self.padded_size
        padding = (0, width - working.shape[-1], 0, height - working.shape[-2])
        return F.pad(working.float(), padding)

    @cached_property
    def tiles(self) -> Tiles:
        """The tiles that see a part of the field of view."""
        if self.config.inference.whole_field:
            return Tiles.whole(self.padded_size)
        side = self.config.architecture.image_size
        tiles = Tiles.plan(self.padded_size, side, self.config.inference.tile_overlap)
        ends = np.array(tiles.corners)[:, None] + [[0, 0], [side, side]]
        places = self.frame.to_original(ends.reshape(-1, 2)).reshape(-1, 4)
        mask = self.field_of_view.mask
        boxes = np.concatenate([np.floor(places[:, :2]), np.ceil(places[:, 2:])], axis=1)
        return tiles.only(
            bool(mask[top:bottom, left:right].any())
            for left, top, right, bottom in boxes.astype(int).tolist()
        )

    def unpadded(self, values: Tensor) -> NDArray[np.float32]:
        """Return values `(..., h, w)` of the padded working frame without the padding."""
        height, width = self.frame.size
        array: NDArray[np.float32] = values[..., :height, :width].float().cpu().numpy()
        return array

    def restore(self, values: Tensor) -> NDArray[np.float32]:
        """Return values `(L, h, w)` of the padded working frame in original pixels, `(L, H, W)`.

        They are 0 outside of the field of view.
        """
        return self.frame.restore(self.unpadded(values), self.field_of_view.mask)
