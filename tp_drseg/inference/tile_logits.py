"""The network's logits on each tile; what the next question can use is kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tp_drseg.inference.cache import BoundedCache
from tp_drseg.inference.tiles import Tiles
from tp_drseg.modules.constants import EMBEDDING_STRIDE
from tp_drseg.modules.image_encoder import ImageFeatures
from tp_drseg.modules.network import PromptedFeatures, TPDRSegNetwork
from tp_drseg.modules.points import Points

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TextPrompt:
    """What the network is asked for, without points.

    Attributes:
        lesion: Place in the model's catalog.
        texts: The descriptions to ask with.
    """

    lesion: int
    texts: tuple[str, ...]


class TileLogits:
    """What a network says of one photograph's tiles.

    Args:
        network: Whom to ask.
        tiles: Of the photograph.
        limit: Bytes of features and logits to keep for the next question; 0 for none.
    """

    def __init__(self, network: TPDRSegNetwork, tiles: Tiles, limit: int) -> None:
        self.network, self.tiles = network, tiles
        # one encoder pass keeps a processor busy; a card has room for several
        self.together = network.device.type == "cuda"
        self._images: BoundedCache[ImageFeatures] = BoundedCache(limit // 2)
        self._prompted: BoundedCache[PromptedFeatures] = BoundedCache(limit // 4)
        self._logits: BoundedCache[Tensor] = BoundedCache(limit // 4)

    def clear(self) -> None:
        """Forget what is kept."""
        for cache in (self._images, self._prompted, self._logits):
            cache.clear()

    def __call__(
        self,
        number: int,
        image: Tensor,
        prompts: Sequence[TextPrompt],
        cells: Tensor,
        points: Sequence[Points | None] | None = None,
    ) -> Tensor:
        """Return the logits of L prompts on one tile, `(L, s, s)`.

        Args:
            number: Number of the tile.
            image: `(1, 3, h, w)` RGB in [0, 255], the padded working frame.
            prompts: What to ask for.
            cells: The prior of each prompt on the embedding's grid, `(1, L, h / 16, w / 16)`.
            points: For each prompt the points and boxes in this tile.
        """
        points = [None] * len(prompts) if points is None else points
        keys = [(number, prompt) for prompt in prompts]
        found = [
            self._logits.get(key) if own is None else None
            for key, own in zip(keys, points, strict=True)
        ]
        if missing := [i for i, logits in enumerate(found) if logits is None]:
            features = self.image_features(number, image)
            asked = self._prompt(number, features, [prompts[i] for i in missing], cells[:, missing])
            for i, prompted in zip(missing, asked, strict=True):
                logits = found[i] = self.network.decode(features, prompted, points[i])
                if points[i] is None:
                    self._logits.put(keys[i], logits, logits.nbytes)
        return torch.cat([logits for logits in found if logits is not None])

    def image_features(self, number: int, image: Tensor) -> ImageFeatures:
        """Return what no prompt touches of a tile; see `__call__`."""
        features = self._images.get(number)
        if features is None:
            features = self.network.encode_image(self.tiles.cut(image, number))
            self.keep_image_features(number, features)
        return features

    def keep_image_features(self, number: int, features: ImageFeatures) -> None:
        """Keep a tile's features, which may have been computed together with those of others."""
        size = features.feature.nbytes + sum(x.nbytes for x in features.detail)
        self._images.put(number, features, size)

    def _prompt(
        self, number: int, features: ImageFeatures, prompts: Sequence[TextPrompt], cells: Tensor
    ) -> list[PromptedFeatures]:
        """Let those prompts through the encoder that have not been."""
        found = [self._prompted.get((number, prompt)) for prompt in prompts]
        if new := [i for i, prompted in enumerate(found) if prompted is None]:
            priors = self.tiles.cut(cells[:, new], number, EMBEDDING_STRIDE)
            lesions = torch.tensor([prompts[i].lesion for i in new], device=self.network.device)
            for i, own in zip(new, self._encode(features, priors, lesions), strict=True):
                found[i] = own
                size = own.embedding.nbytes + own.sparse.nbytes + own.dense.nbytes
                self._prompted.put((number, prompts[i]), own, size)
        return [prompted for prompted in found if prompted is not None]

    def _encode(
        self, features: ImageFeatures, priors: Tensor, lesions: Tensor
    ) -> list[PromptedFeatures]:
        if self.together:
            try:
                return self.network.encode_prompt(features, priors, lesions).split()
            except torch.cuda.OutOfMemoryError:
                if len(lesions) == 1:
                    raise
                self.together = False
                logger.info("The card cannot hold %d lesions at once: one by one.", len(lesions))
        return [
            self.network.encode_prompt(features, priors[:, i, None], lesions[i, None])
            for i in range(len(lesions))
        ]
