"""How far the answers of the plain reference and of the package's model differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.reference.photograph import PlainAnswer, working_prior
from tp_drseg.inference.result import Segmentation
from tp_drseg.model import TPDRSeg


class Agreement:
    """Gathers differences over photographs and lesions."""

    def __init__(self) -> None:
        self.logit_difference = self.probability_difference = 0.0
        self.spreads: list[float] = []
        self.both = self.either = 0
        self.least: tuple[float, str] = (1.0, "")

    @torch.inference_mode()
    def add_logits(self, model: TPDRSeg, answer: PlainAnswer) -> None:
        """Compares the logits of every tile, each way with the prior that it makes itself."""
        config, (picture, where) = model.config, answer.clip
        side = config.architecture.image_size
        cell = side // config.architecture.grid
        for name, tiles in answer.tiles.items():
            texts = config.prompt_texts(name)
            prior = model.network.explicit_prior(picture, [texts], where, [name])
            prior = working_prior(prior.float(), config.inference.working_diameter, answer.size)
            lesion = torch.tensor([config.lesions.index(name)], device=model.device)
            for tile in tiles:
                row, column = tile.corner
                own = F.avg_pool2d(prior[..., row : row + side, column : column + side], cell)
                logits = model.network(tile.image, own, lesion)
                difference = float((logits - tile.logits).abs().max())
                self.logit_difference = max(self.logit_difference, difference)
                self.spreads.append(float(tile.logits.std()))

    def add_masks(
        self,
        photograph: str,
        answer: PlainAnswer,
        results: Iterable[Segmentation],
        thresholds: Mapping[str, float],
    ) -> None:
        """Compares probabilities and masks in the photograph's own pixels.

        A lesion without a stored operating point, as of a model that was not trained, is cut at
        the plain reference's median, so that half of the field of view is marked.
        """
        for result in results:
            name = result.lesion
            plain, ours = answer.probability[name], result.probability
            difference = float(np.abs(plain - ours).max())
            self.probability_difference = max(self.probability_difference, difference)
            threshold = thresholds.get(name, float(np.median(plain[answer.inside])))
            masks = [(p >= threshold) & answer.inside for p in (plain, ours)]
            both = 2 * int((masks[0] & masks[1]).sum())
            either = int(masks[0].sum() + masks[1].sum())
            self.both, self.either = self.both + both, self.either + either
            if either and both / either < self.least[0]:
                pixels = f"{name}, {int(masks[0].sum())} pixels in {photograph}"
                self.least = (both / either, pixels)

    def values(self) -> dict[str, Any]:
        """For the record; Dice is 1 where neither way marked a pixel."""
        return {
            "logit_difference": self.logit_difference,
            "logit_spread": float(np.mean(self.spreads)),
            "probability_difference": self.probability_difference,
            "dice": self.both / self.either if self.either else 1.0,
            "dice_least": self.least[0],
            "dice_least_of": self.least[1],
        }
