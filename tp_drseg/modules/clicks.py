"""A physician's points and boxes, embedded as SAM's prompt encoder does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

IGNORED, BESIDE, ON, TOP_LEFT, BOTTOM_RIGHT = -1, 0, 1, 2, 3
"""Labels of a click, SAM's own: not a point, background, foreground, the corners of a box."""


@dataclass(frozen=True)
class Clicks:
    """Points and box corners for a batch of prompts, as many of them for each prompt.

    Attributes:
        coordinates: `(N, m, 2)` float32, x and y in pixels of the tile.
        labels: `(N, m)` int64, see `IGNORED` and following.
    """

    coordinates: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> Clicks:
        """The same on another device."""
        return Clicks(self.coordinates.to(device), self.labels.to(device))


def embed_clicks(prompt_encoder: Any, clicks: Clicks) -> Tensor:
    """Sparse embeddings `(N, m, 256)` of points and boxes mixed, in the encoder's type.

    Args:
        prompt_encoder: `segment_anything`'s `PromptEncoder`.
        clicks: where they are and what they mean.
    """
    # SAM counts pixel (0, 0)'s centre as 0.5
    place = prompt_encoder.pe_layer.forward_with_coords(
        clicks.coordinates + 0.5, prompt_encoder.input_image_size
    )
    kinds = torch.cat(
        [
            prompt_encoder.not_a_point_embed.weight,
            *(embedding.weight for embedding in prompt_encoder.point_embeddings),
        ]
    )
    place = place.masked_fill((clicks.labels == IGNORED)[..., None], 0.0)
    return (place + kinds[clicks.labels + 1]).to(kinds.dtype)  # type: ignore[no-any-return]
