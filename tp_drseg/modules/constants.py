"""Numbers that come with SAM's and CLIP's weights."""

from __future__ import annotations

EMBEDDING_STRIDE = 16
"""Pixels of a tile that one cell of SAM's image embedding covers, along a side."""

EMBEDDING_DIM = 256
"""Channels of SAM's image embedding."""

SAM_PIXEL_MEAN = (123.675, 116.28, 103.53)
"""Mean of SAM's training images by channel, RGB in [0, 255]."""

SAM_PIXEL_STD = (58.395, 57.12, 57.375)
"""Standard deviation of SAM's training images by channel, RGB in [0, 255]."""

CLIP_PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
"""Mean of CLIP's training images by channel, RGB in [0, 1]."""

CLIP_PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
"""Standard deviation of CLIP's training images by channel, RGB in [0, 1]."""
