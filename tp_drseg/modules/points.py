"""A physician's points and boxes, embedded as SAM's prompt encoder does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PADDING, BACKGROUND, FOREGROUND, TOP_LEFT, BOTTOM_RIGHT = -1, 0, 1, 2, 3
"""SAM's labels of a point: none, beside the object, on it, and the corners of a box."""


@dataclass(frozen=True)
class Points:
    """Points and box corners for a batch of prompts, as many of them for each prompt.

    Attributes:
        coords: `(N, m, 2)` float32, x and y in pixels of the tile; the first pixel's centre is 0.
        labels: `(N, m)` int64, see `PADDING` and following.
    """

    coords: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> Points:
        """Return the same points on another device."""
        return Points(self.coords.to(device), self.labels.to(device))


def dense_positions(prompt_encoder: Any, grid: tuple[int, int]) -> Tensor:
    """Return SAM's position encoding of each cell of an embedding, `(1, 256, h, w)`.

    On SAM's own grid it is `PromptEncoder.get_dense_pe`. A cell of any other grid has the same
    size: what lies beyond SAM's own image has coordinates above 1.

    Args:
        prompt_encoder: `segment_anything`'s `PromptEncoder`.
        grid: height and width of the embedding, in cells.
    """
    height, width = prompt_encoder.input_image_size
    cell = height // prompt_encoder.image_embedding_size[0]
    device = prompt_encoder.not_a_point_embed.weight.device
    rows, columns = (torch.arange(n, dtype=torch.float32, device=device) for n in grid)
    centres = torch.cartesian_prod(rows, columns).flip(1).add(0.5).mul(cell)
    encoded = prompt_encoder.pe_layer.forward_with_coords(centres[None], (height, width))
    return encoded.transpose(1, 2).unflatten(2, grid)  # type: ignore[no-any-return]


def embed_points(prompt_encoder: Any, points: Points) -> Tensor:
    """Return the sparse embeddings `(N, m, 256)` of points and boxes mixed.

    Args:
        prompt_encoder: `segment_anything`'s `PromptEncoder`, in whose type the result is.
        points: where they are and what they mean.
    """
    # SAM counts pixel (0, 0)'s centre as 0.5
    place = prompt_encoder.pe_layer.forward_with_coords(
        points.coords + 0.5, prompt_encoder.input_image_size
    )
    kinds = torch.cat(
        [
            prompt_encoder.not_a_point_embed.weight,
            *(embedding.weight for embedding in prompt_encoder.point_embeddings),
        ]
    )
    place = place.masked_fill((points.labels == PADDING)[..., None], 0.0)
    return (place + kinds[points.labels + 1]).to(kinds.dtype)  # type: ignore[no-any-return]
