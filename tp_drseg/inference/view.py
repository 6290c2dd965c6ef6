"""One photograph opened for a model: read and framed once, its features kept for the next text."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tp_drseg.errors import FundusWarning
from tp_drseg.images import Frame, ImageSource, find_field_of_view, fundus_doubt, read_image
from tp_drseg.inference.placed import PlacedClicks
from tp_drseg.inference.tile_logits import Prompt, TileLogits
from tp_drseg.inference.tiles import CELL, Tiles
from tp_drseg.modules.explicit_prior import min_max, similarity

if TYPE_CHECKING:
    from tp_drseg.inference.result import Segmentation
    from tp_drseg.model import TPDRSeg
    from tp_drseg.modules.clicks import Clicks


class FundusView:
    """A photograph in the frames of one model; what `TPDRSeg.open` gives.

    A view that keeps its features answers another lesion, another description or a click for
    that part's own price. It holds about 40 MB a tile and 10 MB more a tile and prompt, until it
    is closed; close it also when the model's weights change.

    The prior is made once, on the whole field of view: a min-max over a tile without lesions
    would invent one.

    Args:
        model: whose frames and CLIP to use.
        source: see `read_image`.
        keep: whether to keep features for the next question.
        warn: whether to issue a `FundusWarning` for what does not look like a fundus photograph.

    Attributes:
        image: `(H, W, 3)` uint8 RGB, the photograph as read.
        field_of_view: where the retina is.
        frame: the working frame, in which tiles are cut.
        doubt: why it does not look like a colour fundus photograph; None if it does.

    Raises:
        ImageError: when the image cannot be read or holds no field of view.
    """

    def __init__(
        self, model: TPDRSeg, source: ImageSource, *, keep: bool = True, warn: bool = True
    ) -> None:
        self.model, self.keep = model, keep
        self.image = read_image(source)
        self.field_of_view = find_field_of_view(self.image)
        self.doubt = fundus_doubt(self.image, self.field_of_view)
        if warn and self.doubt is not None:
            warnings.warn(self.doubt, FundusWarning, stacklevel=3)
        self.frame = Frame.fit(self.field_of_view, model.config.inference.working_diameter)

    def __enter__(self) -> FundusView:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees what is kept; the view may still be used."""
        parts = ("_framed", "_clip_framed", "_inside", "working_image", "_clip", "_tile_logits")
        for name in parts:
            self.__dict__.pop(name, None)

    def prepare(self) -> None:
        """Scales the photograph for both towers: what can be done while the model is busy."""
        parts = ["_framed", "_inside", "_clip_framed"]
        if self._clip_frame == self.frame:
            parts.remove("_clip_framed")  # it takes the other's
        with ThreadPoolExecutor(max_workers=2) as pool:  # Pillow and NumPy let others go on
            list(pool.map(partial(getattr, self), parts))

    def segment(
        self,
        lesion: str | Sequence[str] | None = None,
        *,
        description: str | Sequence[str] | None = None,
        threshold: float | None = None,
        points: Sequence[tuple[float, float, int]] | None = None,
        boxes: Sequence[tuple[float, float, float, float]] | None = None,
    ) -> Segmentation | dict[str, Segmentation]:
        """Segments lesions in this photograph; everything as for `TPDRSeg.segment`."""
        from tp_drseg.inference.segment import Question, answer

        asked = Question.check(self.model, lesion, description, threshold, points, boxes)
        return answer(self, asked)

    def explain(self, text: str | Sequence[str]) -> NDArray[np.float32]:
        """The explicit prior of any text in this photograph; as for `TPDRSeg.explain`."""
        from tp_drseg.inference.segment import explain

        return explain(self, text)

    @cached_property
    def _framed(self) -> NDArray[np.uint8]:
        return self.frame.apply(self.image)

    @cached_property
    def working_image(self) -> Tensor:
        """`(1, 3, h, w)` RGB in [0, 255], padded with black so that tiles fit in."""
        working = torch.from_numpy(self._framed).permute(2, 0, 1)[None]
        height, width = self.padded_size
        padding = (0, width - working.shape[-1], 0, height - working.shape[-2])
        return F.pad(working.float(), padding).to(self.model.device)

    @property
    def padded_size(self) -> tuple[int, int]:
        """Height and width of the padded working frame: a tile or more, and whole cells."""
        tile = self.model.config.architecture.image_size
        height, width = (max(tile, -(-side // CELL) * CELL) for side in self.frame.size)
        return height, width

    @cached_property
    def tiles(self) -> Tiles:
        """Those that see a part of the field of view."""
        config = self.model.config
        tiles = Tiles.plan(
            self.padded_size, config.architecture.image_size, config.inference.tile_overlap
        )
        ends = np.array(tiles.corners)[:, None] + [[0, 0], [tiles.side, tiles.side]]
        places = self.frame.to_original(ends.reshape(-1, 2)).reshape(-1, 4)
        mask = self.field_of_view.mask
        boxes = np.concatenate([np.floor(places[:, :2]), np.ceil(places[:, 2:])], axis=1)
        return tiles.only(
            bool(mask[top:bottom, left:right].any())
            for left, top, right, bottom in boxes.astype(int).tolist()
        )

    @cached_property
    def _clip_frame(self) -> Frame:
        return Frame.fit(self.field_of_view, self.model.explicit_prior.image_size)

    @cached_property
    def _clip_framed(self) -> NDArray[np.uint8]:
        """The field of view as CLIP sees it."""
        same = self._clip_frame == self.frame
        return self._framed if same else self._clip_frame.apply(self.image)

    @cached_property
    def _inside(self) -> NDArray[np.float32]:
        """How much of each of CLIP's pixels is in the field of view."""
        return self._clip_frame.apply_mask(self.field_of_view.mask)

    @cached_property
    def _clip(self) -> tuple[Tensor, Tensor]:
        """CLIP's dense features of the whole field of view, and the patches inside of it."""
        side = self.model.explicit_prior.image_size
        height, width = self._clip_frame.size
        padding = (0, side - width, 0, side - height)
        image = torch.from_numpy(self._clip_framed).permute(2, 0, 1)[None]
        image = F.pad(image.float() / 255, padding)
        features = self.model.explicit_prior.image_features(image.to(self.model.device))
        inside = F.pad(torch.from_numpy(self._inside)[None, None], padding)
        covered = F.adaptive_max_pool2d(inside, features.shape[-2:])
        return features, (covered >= 0.5).to(features.device)

    def priors(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """The explicit prior of each of L prompts on CLIP's grid, `(1, L, g, g)` in [0, 1].

        The grid lies on the square that the field of view's longest side spans.
        """
        features, where = self._clip
        encoder = self.model.explicit_prior
        prompts = torch.stack([encoder.text_features(text) for text in texts])
        return min_max(similarity(features, prompts), where)

    def working_priors(self, priors: Tensor) -> Tensor:
        """Priors of CLIP's grid in the padded working frame, `(1, L, h, w)`; bilinear."""
        side = self.model.config.inference.working_diameter
        grown = F.interpolate(priors, size=(side, side), mode="bilinear", align_corners=False)
        height, width = self.padded_size
        return F.pad(grown, (0, max(0, width - side), 0, max(0, height - side)))[
            ..., :height, :width
        ]

    def probability(
        self, prompts: Sequence[Prompt], priors: Tensor, placed: PlacedClicks | None = None
    ) -> Tensor:
        """Probability of L prompts over the padded working frame.

        The tiles' logits are blended, and scaled up, before the sigmoid.

        Args:
            prompts: what to ask for.
            priors: of each prompt in the padded working frame, `(1, L, h, w)` in [0, 1].
            placed: points and boxes; each tile gets those that lie in it.

        Returns:
            `(L, h, w)` in [0, 1].
        """
        cells = F.avg_pool2d(priors, CELL)
        tiles = self.tiles
        logits = tiles.blend(
            [
                self._tile_logits(
                    number, self.working_image, prompts, cells, self._clicks_in(number, placed)
                )
                for number in range(len(tiles.corners))
            ]
        )
        grown = F.interpolate(logits[None], self.padded_size, mode="bilinear", align_corners=False)
        return grown[0].sigmoid_()

    @cached_property
    def _tile_logits(self) -> TileLogits:
        return TileLogits(self.model, self.tiles, keep=self.keep)

    def _clicks_in(self, number: int, placed: PlacedClicks | None) -> Clicks | None:
        """Those of a tile, on the model's device."""
        if placed is None:
            return None
        found = placed.in_tile(self.tiles.corners[number], self.tiles.side)
        return None if found is None else found.to(self.model.device)

    def restore(self, values: Tensor) -> NDArray[np.float32]:
        """Values `(L, h, w)` of the padded working frame in original pixels, `(L, H, W)`.

        They are 0 outside of the field of view.
        """
        return self.frame.restore(self.unpadded(values), self.field_of_view.mask)

    def unpadded(self, values: Tensor) -> NDArray[np.float32]:
        """Values `(..., h, w)` of the padded working frame without the padding."""
        height, width = self.frame.size
        return values[..., :height, :width].float().cpu().numpy()
