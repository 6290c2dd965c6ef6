"""A photograph through the plain reference, from the file to maps in its own pixels.

Reading, framing, where tiles lie and how they are blended, and the way back to original pixels are
the library's own: they are not what is compared. Reading and framing happen once a photograph,
which is in the plain reference's favour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.reference.network import PlainTPDRSeg
from tp_drseg.images import FieldOfView, Frame, find_field_of_view, read_image
from tp_drseg.inference.tiles import Tiles


@dataclass(frozen=True)
class Tile:
    """What the model was given, and answered, for one lesion on one tile.

    Attributes:
        image: `(1, 3, S, S)` RGB in [0, 255].
        corner: row and column of its first pixel in the padded working frame.
        logits: `(1, 1, s, s)`.
    """

    image: Tensor
    corner: tuple[int, int]
    logits: Tensor


@dataclass
class PlainAnswer:
    """Lesions of one photograph.

    Attributes:
        inside: `(H, W)` bool, the field of view.
        size: height and width of the padded working frame.
        clip: CLIP's picture of the field of view, `(1, 3, H, W)` in [0, 1], and its patches inside.
        probability: by lesion, `(H, W)` float32 in original pixels.
        tiles: by lesion, in the order in which they were run; empty unless they are to be kept.
    """

    inside: NDArray[np.bool_]
    size: tuple[int, int]
    clip: tuple[Tensor, Tensor]
    probability: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    tiles: dict[str, list[Tile]] = field(default_factory=dict)


@torch.inference_mode()
def segment_plain(
    model: PlainTPDRSeg, path: Path, lesions: Sequence[str], keep: bool = False
) -> PlainAnswer:
    """Segments one lesion after the other; nothing is kept from one for the next.

    Args:
        model: the reference.
        path: the photograph.
        lesions: names in the model's catalog.
        keep: whether to keep what each tile was given and answered.
    """
    config, device = model.config, model.prompt_generator.class_bias.device
    image = read_image(path)
    view = find_field_of_view(image)
    tile, diameter = config.architecture.image_size, config.inference.working_diameter
    frame = Frame.fit(view, diameter)
    height, width = (max(tile, -(-side // 16) * 16) for side in frame.size)
    working = _padded(_tensor(frame.apply(image)).float(), (height, width)).to(device)
    whole, where = clip_picture(view, image, config.architecture.clip.image_size)
    answer = PlainAnswer(view.mask, (height, width), (whole.to(device), where.to(device)))
    for name in lesions:
        lesion = config.lesions[name]
        texts = lesion.texts if config.inference.text == "description" else (lesion.name,)
        prior = model.prior(answer.clip[0], texts, answer.clip[1], lesion.name)
        prior = working_prior(prior, diameter, answer.size)
        kept: list[Tile] | None = answer.tiles.setdefault(name, []) if keep else None
        logits = _tiled(model, working, prior, config.lesions.index(name), kept)
        probability = logits.sigmoid()[0, 0, : frame.size[0], : frame.size[1]].cpu().numpy()
        answer.probability[name] = (frame.restore(probability) * view.mask).clip(0.0, 1.0)
    return answer


def clip_picture(view: FieldOfView, image: NDArray[np.uint8], side: int) -> tuple[Tensor, Tensor]:
    """The whole field of view in a square `(1, 3, side, side)`, in [0, 1], and patches inside."""
    frame = Frame.fit(view, side)
    inside = torch.from_numpy(frame.apply_mask(view.mask))[None, None]
    patches = F.max_pool2d(_padded(inside, (side, side)), 16) >= 0.5
    return _padded(_tensor(frame.apply(image)).float() / 255, (side, side)), patches


def working_prior(prior: Tensor, diameter: int, size: tuple[int, int]) -> Tensor:
    """A prior of CLIP's grid in the padded working frame, `(1, 1, h, w)`."""
    return _padded(F.interpolate(prior, size=(diameter, diameter), mode="bilinear"), size)


def _tiled(
    model: PlainTPDRSeg, working: Tensor, prior: Tensor, lesion: int, kept: list[Tile] | None
) -> Tensor:
    """Logits over the working frame, `(1, 1, h, w)`, every tile run."""
    config, size = model.config, (working.shape[-2], working.shape[-1])
    tiles = Tiles.plan(size, config.architecture.image_size, config.inference.tile_overlap)
    found = []
    for number, (column, row) in enumerate(tiles.corners):
        image = tiles.cut(working, number)
        grid = F.adaptive_avg_pool2d(tiles.cut(prior, number), config.architecture.grid)
        found.append(model.logits(image, grid, lesion))
        if kept is not None:
            kept.append(Tile(image, (row, column), found[-1]))
    blended = tiles.blend([logits[0] for logits in found])
    return F.interpolate(blended[None], size=size, mode="bilinear")


def _padded(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut or padded with zeros at the right and at the bottom."""
    height, width = (min(side, own) for side, own in zip(size, x.shape[-2:], strict=True))
    return F.pad(x[..., :height, :width], (0, size[1] - width, 0, size[0] - height))


def _tensor(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None]
