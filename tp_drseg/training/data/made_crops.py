"""Crops of a run some of which are made from photographs without masks or lesions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tp_drseg.model import TPDRSeg
from tp_drseg.modules.points import PADDING, Points
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.batch import Batch
from tp_drseg.training.data.crops import Crops
from tp_drseg.training.data.donors import DonorSampler, Pair
from tp_drseg.training.data.draws import CROP, generator_for, integer, uniform
from tp_drseg.training.data.geometric import Crop, random_crop
from tp_drseg.training.data.made import Donor, Made, donor_of

_SCALES = (1 / 1.1, 1 / 0.9)
"""Of a donor's window relative to the crop: its lesions keep their size within a tenth."""

_DISC = 0.13
"""Diameter of the optic disc relative to that of the field of view (45 degrees)."""


class MadeCrops(Crops):
    """As `Crops`, but for a share of them, `config.unlabelled_share`.

    Those show photographs without any mask, or without any lesion. Each is in the batch as it
    is, with what `tp_drseg.training.data.made.finish` makes of it.

    Args:
        model: Whose frames, CLIP and catalog to use.
        images: Photographs with masks in the order of the catalog, and those without.
        config: How the run goes.
        cache: See `Crops`.

    Raises:
        TrainingError: See `Crops` and `DonorSampler`.
        LesionError: See `Crops`.
        OutputError: See `Crops`.
    """

    def __init__(
        self,
        model: TPDRSeg,
        images: Sequence[AnnotatedImage],
        config: TrainingConfig,
        cache: Path | None = None,
    ) -> None:
        super().__init__(model, images, config, cache)
        self.donors = DonorSampler(self.images, self.sampler)

    def name(self, number: int) -> str:
        """Return the name of what a crop is cut from; of a made one, those of host and donor."""
        generator = generator_for(self.config.seed, CROP, number)
        if not self._is_made(generator):
            return self._names([choice.image for choice in self._choose(generator)])
        return self._names_of(self.donors.draw(generator))

    def _is_made(self, generator: torch.Generator) -> bool:
        return uniform(generator) < self.config.unlabelled_share

    def _names_of(self, pair: Pair) -> str:
        return self._names([pair.host] if pair.donor is None else [pair.host, pair.donor])

    def _cut(self, number: int) -> Batch:
        generator = generator_for(self.config.seed, CROP, number)
        if not self._is_made(generator):
            return self._annotated(number, generator)
        pair = self.donors.draw(generator)
        host, config = self.images[pair.host], self.config
        crop = random_crop(
            host.field_of_view[0], self.extent, generator, config.scales, config.geometric
        )
        image = self._pixels(host, crop, self.size)
        window = self._donor_window(pair, crop, generator)
        source = host if window is None or pair.donor is None else self.images[pair.donor]
        masks = (window or crop).apply(source.masks, self.size)
        target = F.avg_pool2d(masks, self.stride)
        asked = self.sampler.draw_lesions(
            [pair.host if pair.donor is None else pair.donor], target, generator
        )
        texts = self._texts(asked, generator)
        pasted = None
        if pair.donor is not None and window is not None:
            toned, regions = donor_of(
                image, _inside(host, crop, self.size), self._disc(host, crop),
                self._pixels(source, window, self.size), masks, _inside(source, window, self.size),
            )  # fmt: skip
            known = [source.knows(lesion) for lesion in asked.tolist()]
            pasted = Donor(
                toned, masks[asked], regions, self._priors(pair.donor, texts, window),
                torch.tensor(known, device="cpu"),
            )  # fmt: skip
        points = None
        if self._with_points(number):
            points = Points(
                torch.zeros(len(asked), 4, 2, dtype=torch.float32, device="cpu"),
                torch.full((len(asked), 4), PADDING, dtype=torch.int64, device="cpu"),
            )
        light = integer(generator, 2**31) if config.photometric else None
        scored = self._scored(host, crop, self.size, asked)
        return Batch(
            images=image[None],
            priors=self._priors(pair.host, texts, crop)[None],
            targets=torch.zeros_like(target[asked])[None],
            scored=None if bool(scored.all()) else scored[None],
            classes=asked[None],
            points=points,
            names=(self._names_of(pair),),
            made=(Made(0, pasted, light),),
        )

    def _donor_window(self, pair: Pair, crop: Crop, generator: torch.Generator) -> Crop | None:
        if pair.donor is None or pair.lesion is None:
            return None
        wanted = self.images[pair.donor].masks[pair.lesion]
        return random_crop(wanted, crop.extent, generator, _SCALES, self.config.geometric)

    def _priors(self, place: int, texts: Tensor, crop: Crop) -> Tensor:
        return self.cells.cut(self.features[place].priors_of(texts)[0], crop, self.grid)

    def _disc(self, host: AnnotatedImage, crop: Crop) -> Tensor:
        """`(S, S)` bool, where the optic disc is; nowhere if that is not known."""
        side = host.field_of_view.shape[-1]
        if host.disc is None:
            return torch.zeros(self.size, self.size, dtype=torch.bool, device="cpu")
        share = (torch.arange(side, dtype=torch.float32, device="cpu") + 0.5) / side
        x, y = host.disc
        near = (share[None] - x) ** 2 + (share[:, None] - y) ** 2 <= (_DISC / 2) ** 2
        return crop.apply(near[None], self.size)[0] > 0


def _inside(source: AnnotatedImage, crop: Crop, side: int) -> Tensor:
    return crop.apply(source.field_of_view, side)[0] >= 0.5


def crops_of(
    model: TPDRSeg,
    images: Sequence[AnnotatedImage],
    config: TrainingConfig,
    cache: Path | None = None,
) -> Crops:
    """Return the crops that a configuration asks for; see `MadeCrops`.

    Raises:
        TrainingError: See `MadeCrops`.
        LesionError: See `Crops`.
        OutputError: See `Crops`.
    """
    return (MadeCrops if config.unlabelled_share else Crops)(model, images, config, cache)
