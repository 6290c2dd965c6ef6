"""What is frozen, computed once for each crop that comes again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from tp_drseg.modules.image_encoder import ImageFeatures
from tp_drseg.modules.network import TPDRSegNetwork


@contextmanager
def cached_features(
    network: TPDRSegNetwork, *, when: bool = True
) -> Iterator[Mapping[bytes, ImageFeatures]]:
    """Let a network in training keep its shared features of every image for a while.

    Those of the detail head too, if it is frozen. What learns is never kept: where a part of the
    encoder learns, all is computed each time as before.

    Args:
        network: The network.
        when: Whether to keep anything at all.

    Yields:
        What is kept, by a hash of the image.
    """
    if not when:
        yield {}
        return
    head = network.detail_head
    frozen = head is None or not any(p.requires_grad for p in head.parameters())
    owner: Any = network if frozen else network.image_encoder
    compute = owner.encode_image
    store: dict[bytes, ImageFeatures] = {}

    def encode_image(images: Tensor) -> ImageFeatures:
        if not network.training:  # a look at validation photographs
            return compute(images)  # type: ignore[no-any-return]
        key = hashlib.blake2b(images.cpu().numpy().tobytes()).digest()
        if key in store:
            return store[key]
        found: ImageFeatures = compute(images)
        if not any(x.requires_grad for x in (found.feature, *found.detail)):
            store[key] = found
        return found

    owner.encode_image = encode_image
    try:
        yield store
    finally:
        del owner.encode_image  # the method of the class is back
