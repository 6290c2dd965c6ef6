"""An endless-looking data set of random crops, each made from its own number alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from tp_drseg.errors import TrainingError
from tp_drseg.model import TPDRSeg
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.batch import Batch
from tp_drseg.training.data.clip_cache import features_of
from tp_drseg.training.data.draws import CROP, STEP, generator_for, integer, some, uniform
from tp_drseg.training.data.geometric import Crop, random_crop
from tp_drseg.training.data.photometric import random_photometric
from tp_drseg.training.data.prior_cells import CellGrid
from tp_drseg.training.data.sampling import Choice, CropSampler
from tp_drseg.training.data.simulated_points import simulate_points


class Crops(Dataset[Batch]):
    """The crops of a run, by number.

    Crop `i` depends on the seed and on `i` alone (of `fixed_crops`, on the place of `i` among
    them), so a run that is resumed, or shared between processes, sees the same crops as one that
    is not. CLIP is frozen: its features are computed once a photograph, as inference does, and
    the priors are cut, turned and mirrored with the crop.

    Args:
        model: Whose frames, CLIP and catalog to use.
        images: Photographs with masks in the order of the catalog.
        config: How the run goes.
        cache: Folder where CLIP's features are kept; None for none.

    Raises:
        TrainingError: No photograph is given, or none shows a lesion that is trained.
        LesionError: The configuration names a lesion that the catalog does not know.
        OutputError: `cache` cannot be written.
    """

    def __init__(
        self,
        model: TPDRSeg,
        images: Sequence[AnnotatedImage],
        config: TrainingConfig,
        cache: Path | None = None,
    ) -> None:
        self.config, self.images, self.catalog = config, list(images), model.catalog
        self.sampler = CropSampler(self.images, config, model.catalog)
        architecture = model.config.architecture
        self.size, self.grid = architecture.image_size, architecture.grid
        if config.mosaic and self.grid % 2:
            raise TrainingError(
                f"A tile of {self.size} pixels has {self.grid} cells a side, which a mosaic cannot "
                f"halve. Set training.mosaic to 0."
            )
        diameter = model.config.inference.working_diameter
        self.extent = self.size / diameter
        self.stride = 2 if model.network.detail_head is not None else 4
        encoder = model.network.explicit_prior
        self.texts = [
            torch.stack(
                [
                    encoder.text_features(t, lesion.name).cpu()
                    for t in model.config.prompt_texts(lesion.name)
                ]
            )
            for lesion in model.catalog
        ]
        self.features = features_of(model, self.images, cache)
        self.cells = CellGrid(diameter, self.features[0].dense.shape[-1])
        self._kept: dict[int, Batch] = {}

    def __len__(self) -> int:
        """Count those of a run of so many steps; crops beyond it can be had as well."""
        return self.config.total_steps(len(self.images)) * self.config.batch_size

    def __getitem__(self, number: int) -> Batch:
        """Return crop `number`, as a batch of one."""
        number = self._fixed(number)
        if not self.config.fixed_crops:
            return self._cut(number)
        if number not in self._kept:
            self._kept[number] = self._cut(number)
        return self._kept[number]

    def name(self, number: int) -> str:
        """Return the name of the photograph that a crop is cut from; of a mosaic, all names."""
        chosen = self._choose(generator_for(self.config.seed, CROP, self._fixed(number)))
        return self._names([choice.image for choice in chosen])

    def _cut(self, number: int) -> Batch:
        return self._annotated(number, generator_for(self.config.seed, CROP, number))

    def _annotated(self, number: int, generator: torch.Generator) -> Batch:
        chosen = self._choose(generator)
        along = math.isqrt(len(chosen))  # windows along a side
        side = self.size // along
        windows = [
            (self.images[choice.image], self._window(choice, along, generator)) for choice in chosen
        ]
        image = _join([self._image(source, crop, side, generator) for source, crop in windows])
        masks = _join([crop.apply(source.masks, side) for source, crop in windows])
        target = F.avg_pool2d(masks, self.stride)
        asked = self.sampler.draw_lesions([c.image for c in chosen], target, generator)
        target = target[asked]
        scored = _join([self._scored(source, crop, side, asked) for source, crop in windows])
        points = None
        if self._with_points(number):
            points = simulate_points(target, self.stride, generator)
        priors = _join(
            [
                self.cells.cut(
                    self.features[choice.image].priors_of(self._texts(asked, generator))[0],
                    crop,
                    self.grid // along,
                )
                for choice, (_, crop) in zip(chosen, windows, strict=True)
            ]
        )
        return Batch(
            image[None], priors[None], target[None], None if bool(scored.all()) else scored[None],
            asked[None], points, (self._names([choice.image for choice in chosen]),),
        )  # fmt: skip

    def _fixed(self, number: int) -> int:
        """Which crop stands for crop `number`: itself, or one of those that come again."""
        return number % self.config.fixed_crops if self.config.fixed_crops else number

    def _names(self, places: Sequence[int]) -> str:
        return "+".join(self.images[place].name for place in places)

    def _choose(self, generator: torch.Generator) -> list[Choice]:
        """Return what one window shows, or what each of a mosaic's four does."""
        mosaic = self.config.mosaic and uniform(generator) < self.config.mosaic
        return [self.sampler.draw(generator) for _ in range(4 if mosaic else 1)]

    def _window(self, choice: Choice, along: int, generator: torch.Generator) -> Crop:
        source = self.images[choice.image]
        wanted = source.field_of_view[0] if choice.lesion is None else source.masks[choice.lesion]
        if choice.marked and source.marks is not None:
            wanted = source.marks > 0
        config = self.config
        return random_crop(wanted, self.extent / along, generator, config.scales, config.geometric)

    def _image(
        self, source: AnnotatedImage, crop: Crop, side: int, generator: torch.Generator
    ) -> Tensor:
        image = self._pixels(source, crop, side)
        if not self.config.photometric:
            return image
        return random_photometric(image / 255, generator, self.config.camera) * 255

    def _pixels(self, source: AnnotatedImage, crop: Crop, side: int) -> Tensor:
        return crop.apply(source.level(side / crop.extent), side, "bicubic").clamp_(0, 255)

    def _scored(self, source: AnnotatedImage, crop: Crop, side: int, asked: Tensor) -> Tensor:
        """`(L, h, w)`, 0 where the annotation says nothing."""
        known = torch.tensor(
            [float(source.knows(lesion)) for lesion in asked.tolist()],
            dtype=torch.float32, device="cpu",
        )  # fmt: skip
        scored = known[:, None, None].repeat(1, side // self.stride, side // self.stride)
        if source.ignored is not None:
            ignored = F.max_pool2d(crop.apply(source.ignored, side), self.stride)
            scored *= (ignored == 0)[asked]
        return scored

    def _with_points(self, number: int) -> bool:
        # one decision a step, since the prompts of a batch must have as many tokens each
        step = generator_for(self.config.seed, STEP, number // self.config.batch_size)
        return uniform(step) < self.config.points

    def _texts(self, asked: Tensor, generator: torch.Generator) -> Tensor:
        """`(L, D)`, features of lesions from all of their descriptions or from a few."""
        texts = []
        for lesion in asked.tolist():
            own = self.texts[lesion]
            if uniform(generator) < 0.5:
                own = own[some(generator, len(own), 1 + integer(generator, 5))]
            texts.append(F.normalize(own.mean(dim=0), dim=0))
        return torch.stack(texts)


def _join(windows: Sequence[Tensor]) -> Tensor:
    """Square maps `(C, s, s)`, row by row, as one square."""
    along = math.isqrt(len(windows))
    rows = [torch.cat(windows[i : i + along], dim=-1) for i in range(0, len(windows), along)]  # type: ignore[arg-type]
    return torch.cat(rows, dim=-2)
