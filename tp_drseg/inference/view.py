"""One photograph made ready for a model: read, framed, and seen by CLIP once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tp_drseg.fundus import Frame, ImageSource, check_fundus, find_field_of_view, read_image
from tp_drseg.modules.explicit_prior import min_max, similarity

if TYPE_CHECKING:
    from tp_drseg.model import TPDRSeg


class FundusView:
    """A photograph in the frames of one model.

    The prior is made once, on the whole field of view: a min-max over a tile without lesions
    would invent one.

    Args:
        model: whose frames and CLIP to use.
        source: see `read_image`.

    Attributes:
        image: `(H, W, 3)` uint8 RGB, the photograph as read.
        field_of_view: where the retina is.
        frame: the working frame, in which tiles are cut.

    Raises:
        ImageError: when the image cannot be read or holds no field of view.
    """

    def __init__(self, model: TPDRSeg, source: ImageSource) -> None:
        self.model = model
        self.image = read_image(source)
        self.field_of_view = find_field_of_view(self.image)
        check_fundus(self.image, self.field_of_view)
        self.frame = Frame.fit(self.field_of_view, model.config.working_diameter)

    @cached_property
    def working_image(self) -> Tensor:
        """`(1, 3, h, w)` RGB in [0, 255], padded with black so that tiles fit in."""
        working = torch.from_numpy(self.frame.apply(self.image)).permute(2, 0, 1)[None]
        height, width = self.padded_size
        padding = (0, width - working.shape[-1], 0, height - working.shape[-2])
        return F.pad(working.float(), padding).to(self.model.device)

    @property
    def padded_size(self) -> tuple[int, int]:
        """Height and width of the padded working frame: a tile or more, and whole cells."""
        tile = self.model.config.image_size
        height, width = (max(tile, -(-side // 16) * 16) for side in self.frame.size)
        return height, width

    @cached_property
    def _clip(self) -> tuple[Tensor, Tensor]:
        """CLIP's dense features of the whole field of view, and the patches inside of it."""
        encoder = self.model.explicit_prior
        side = encoder.image_size
        frame = Frame.fit(self.field_of_view, side)
        image = torch.from_numpy(frame.apply(self.image)).permute(2, 0, 1)[None]
        inside = torch.from_numpy(frame.apply_mask(self.field_of_view.mask))[None, None]
        padding = (0, side - frame.size[1], 0, side - frame.size[0])
        image = F.pad(image.float() / 255, padding).to(self.model.device)
        features = encoder.image_features(image)
        covered = F.adaptive_max_pool2d(F.pad(inside, padding), features.shape[-2:])
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
        side = self.model.config.working_diameter
        grown = F.interpolate(priors, size=(side, side), mode="bilinear", align_corners=False)
        height, width = self.padded_size
        return F.pad(grown, (0, max(0, width - side), 0, max(0, height - side)))[
            ..., :height, :width
        ]

    def restore(self, values: Tensor) -> NDArray[np.float32]:
        """Values `(L, h, w)` of the padded working frame in original pixels, `(L, H, W)`.

        They are 0 outside of the field of view.
        """
        height, width = self.frame.size
        restored = self.frame.restore(values[:, :height, :width].float().cpu().numpy())
        restored *= self.field_of_view.mask
        return np.clip(restored, 0.0, 1.0, out=restored)
