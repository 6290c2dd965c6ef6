"""Annotated photographs in their working frame, held in memory for training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tp_drseg.data.samples import Sample, read_mask
from tp_drseg.fundus import Frame, find_field_of_view, read_image


@dataclass(frozen=True)
class Photograph:
    """One annotated photograph, its field of view padded to a square.

    Attributes:
        name: the sample's name.
        image: `(3, d, d)` uint8 RGB, black outside of the photograph.
        masks: `(L, d, d)` uint8, 1 on lesion, one mask a lesion of the catalog.
        field_of_view: `(1, d, d)` uint8, 1 inside.
    """

    name: str
    image: Tensor
    masks: Tensor
    field_of_view: Tensor


def load_photograph(sample: Sample, lesions: tuple[str, ...], diameter: int) -> Photograph:
    """Reads a sample and scales its field of view to `diameter` pixels.

    Raises:
        ImageError: when the photograph cannot be read.
        DataError: when a mask cannot be read or has another size than the photograph.
    """
    image = read_image(sample.image)
    size = (image.shape[0], image.shape[1])
    field_of_view = find_field_of_view(image)
    frame = Frame.fit(field_of_view, diameter)
    masks = np.zeros((len(lesions), *frame.size), dtype=np.float32)
    for i, lesion in enumerate(lesions):
        path = sample.masks.get(lesion)
        if path is not None:
            masks[i] = frame.apply_mask(read_mask(path, size))
    return Photograph(
        name=sample.name,
        image=_square(torch.from_numpy(frame.apply(image)).permute(2, 0, 1), diameter),
        masks=_square(torch.from_numpy(masks >= 0.5).to(torch.uint8), diameter),
        field_of_view=_square(
            torch.from_numpy(frame.apply_mask(field_of_view.mask)[None] >= 0.5).to(torch.uint8),
            diameter,
        ),
    )


def _square(x: Tensor, side: int) -> Tensor:
    out = torch.zeros((x.shape[0], side, side), dtype=x.dtype)
    out[:, : x.shape[1], : x.shape[2]] = x
    return out
