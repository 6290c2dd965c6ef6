"""What is frozen, computed once for each crop that comes again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from tp_drseg.model import TPDRSeg
from tp_drseg.modules.image_encoder import SharedFeatures


@contextmanager
def cached_features(model: TPDRSeg) -> Iterator[None]:
    """For a while, a model in training keeps its shared features of every image that it sees.

    Those of the detail head too, if it is frozen. What learns is never kept: where a part of the
    encoder learns, all is computed each time as before.
    """
    head = model.detail_head
    frozen = head is None or not any(p.requires_grad for p in head.parameters())
    owner: Any = model if frozen else model.image_encoder
    compute = owner.shared
    store: dict[bytes, SharedFeatures] = {}

    def shared(images: Tensor) -> SharedFeatures:
        if not model.training:  # a look at validation photographs
            return compute(images)  # type: ignore[no-any-return]
        key = hashlib.blake2b(images.cpu().numpy().tobytes()).digest()
        if key in store:
            return store[key]
        found: SharedFeatures = compute(images)
        if not any(x.requires_grad for x in (found.feature, *found.detail)):
            store[key] = found
        return found

    owner.shared = shared
    try:
        yield
    finally:
        del owner.shared  # the method of the class is back
