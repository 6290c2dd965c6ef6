"""Annotated images made of tensors alone, without files."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from tp_drseg.training.data.annotated import AnnotatedImage

CLIP_SIDE = 128
"""What the CLIP of the tests' small models looks at."""


def annotated(
    name: str, image: Tensor, masks: Tensor, field_of_view: Tensor, **more: Any
) -> AnnotatedImage:
    """Return one whose only frame is `image`, `(3, d, d)` uint8; CLIP sees the same."""

    def scaled(x: Tensor) -> Tensor:
        grown = F.interpolate(x[None].float(), (CLIP_SIDE, CLIP_SIDE), mode="bilinear")
        return grown[0].round().to(x.dtype)

    return AnnotatedImage(
        name=name,
        levels=(image,),
        masks=masks,
        field_of_view=field_of_view,
        clip_pixels=scaled(image).permute(1, 2, 0),
        clip_inside=scaled(field_of_view)[0],
        **more,
    )
