"""The model's logits on each tile; all that the next question can use is kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tp_drseg.inference.tiles import CELL, Tiles

if TYPE_CHECKING:
    from tp_drseg.model import PromptedFeatures, TPDRSeg
    from tp_drseg.modules.clicks import Clicks
    from tp_drseg.modules.image_encoder import SharedFeatures

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prompt:
    """What a photograph is asked for.

    Attributes:
        lesion: its place in the model's catalog.
        texts: the descriptions to ask with.
    """

    lesion: int
    texts: tuple[str, ...]


class TileLogits:
    """What the model says of one photograph's tiles.

    Args:
        model: whom to ask.
        tiles: of the photograph.
        keep: whether to keep features and logits for the next question.
    """

    def __init__(self, model: TPDRSeg, tiles: Tiles, *, keep: bool) -> None:
        self.model, self.tiles, self.keep = model, tiles, keep
        # one encoder pass keeps a processor busy; a card has room for several
        self.together = model.device.type == "cuda"
        self._shared: dict[int, SharedFeatures] = {}
        self._prompted: dict[tuple[int, Prompt], PromptedFeatures] = {}
        self._logits: dict[tuple[int, Prompt], Tensor] = {}

    def clear(self) -> None:
        """Forgets what is kept."""
        for kept in (self._shared, self._prompted, self._logits):
            kept.clear()

    def __call__(
        self,
        number: int,
        image: Tensor,
        prompts: Sequence[Prompt],
        cells: Tensor,
        clicks: Clicks | None = None,
    ) -> Tensor:
        """Logits of L prompts on one tile, `(L, s, s)`.

        Args:
            number: of the tile.
            image: `(1, 3, h, w)` RGB in [0, 255], the padded working frame.
            prompts: what to ask for.
            cells: the prior of each prompt, `(1, L, h / CELL, w / CELL)` in [0, 1].
            clicks: points and boxes in this tile.
        """
        self._encode(number, image, prompts, cells)
        found = []
        for prompt in prompts:
            key = number, prompt
            logits = self._logits.get(key) if clicks is None else None
            if logits is None:
                logits = self.model.predict(self._shared[number], self._prompted[key], clicks)
            if clicks is None:
                self._logits[key] = logits
            found.append(logits)
        if not self.keep:
            self.clear()
        return torch.cat(found)

    def _encode(self, number: int, image: Tensor, prompts: Sequence[Prompt], cells: Tensor) -> None:
        """Lets those prompts through the encoder that have not been."""
        new = [i for i, prompt in enumerate(prompts) if (number, prompt) not in self._prompted]
        if not new:
            return
        if number not in self._shared:
            self._shared[number] = self.model.shared(self.tiles.cut(image, number))
        priors = self.tiles.cut(cells[:, new], number, CELL)
        lesions = torch.tensor([prompts[i].lesion for i in new], device=self.model.device)
        for i, prompted in zip(new, self._prompt(number, priors, lesions), strict=True):
            self._prompted[number, prompts[i]] = prompted

    def _prompt(self, number: int, priors: Tensor, lesions: Tensor) -> list[PromptedFeatures]:
        features = self._shared[number]
        if self.together:
            try:
                return self.model.prompt(features, priors, lesions).each()
            except torch.cuda.OutOfMemoryError:
                if len(lesions) == 1:
                    raise
                self.together = False
                logger.info("the card cannot hold %d lesions at once: one by one", len(lesions))
        return [
            self.model.prompt(features, priors[:, i, None], lesions[i, None])
            for i in range(len(lesions))
        ]
