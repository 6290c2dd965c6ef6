"""An endless-looking data set of random crops, each made from its own number alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from tp_drseg.errors import TrainingError
from tp_drseg.lesions import LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.modules.explicit_prior import min_max, similarity
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.batch import Batch
from tp_drseg.training.data.draws import (
    CROP,
    STEP,
    generator_for,
    integer,
    one_of,
    some,
    uniform,
    weighted,
)
from tp_drseg.training.data.geometric import Crop, random_crop
from tp_drseg.training.data.photometric import random_photometric
from tp_drseg.training.data.simulated_points import simulate_points

_SEEN, _UNSEEN = 1.5, 0.5  # how readily a crop is asked for a lesion that it shows, or does not


def check_lesions(config: TrainingConfig, catalog: LesionCatalog) -> None:
    """Makes sure that a catalog knows every lesion that a configuration names.

    Raises:
        LesionError: when it does not.
    """
    for name in (*config.lesions, *config.bce_weights, *config.lesion_weights):
        catalog.index(name)


class Crops(Dataset[Batch]):
    """The crops of a run, by number.

    Crop `i` depends on the seed and on `i` alone (of `fixed_crops`, on the place of `i` among
    them), so a run that is resumed, or shared between
    processes, sees the same crops as one that is not. CLIP is frozen: its features are computed
    once a photograph, and the priors are cut, turned and mirrored with the crop.

    Args:
        model: whose frames, CLIP and catalog to use.
        photographs: with masks in the order of the catalog.
        config: how the run goes.

    Raises:
        TrainingError: when no photograph is given, or none shows a lesion that is asked for.
        LesionError: when the configuration names a lesion that the catalog does not know.
    """

    def __init__(
        self, model: TPDRSeg, photographs: Sequence[AnnotatedImage], config: TrainingConfig
    ) -> None:
        catalog = model.catalog
        check_lesions(config, catalog)
        self.config, self.photographs = config, list(photographs)
        self.asked = sorted({catalog.index(x) for x in config.lesions or catalog.names})
        self.having = {
            lesion: [i for i, p in enumerate(photographs) if p.masks[lesion].any()]
            for lesion in self.asked
        }
        weights = {catalog.index(name): weight for name, weight in config.lesion_weights.items()}
        self.weights = {i: weights.get(i, 1.0) for i in self.asked if self.having[i]}
        if not sum(self.weights.values()):
            raise TrainingError(
                "No training photograph shows a lesion that is to be trained. Check the masks "
                "with `tp-drseg check`, and training.lesions and training.lesion_weights."
            )
        self.without = [i for i, p in enumerate(photographs) if not p.masks.any()]
        self.size, self.grid = model.config.architecture.image_size, model.config.architecture.grid
        if config.mosaic and self.grid % 2:
            raise TrainingError(
                f"A tile of {self.size} pixels has {self.grid} cells a side, which a mosaic cannot "
                f"halve. Set training.mosaic to 0."
            )
        self.extent = self.size / model.config.inference.working_diameter
        self.stride = model.network.logit_stride
        self.texts = [
            torch.stack(
                [
                    model.network.explicit_prior.text_features(t).cpu()
                    for t in model.config.prompt_texts(x.name)
                ]
            )
            for x in catalog
        ]
        self.features = [_clip_features(model, p) for p in photographs]
        self._kept: dict[int, Batch] = {}

    def __len__(self) -> int:
        """Of a run of so many steps; crops beyond it can be had as well."""
        return self.config.total_steps(len(self.photographs)) * self.config.batch_size

    def __getitem__(self, number: int) -> Batch:
        """Crop `number`, as a batch of one."""
        number = self._fixed(number)
        if not self.config.fixed_crops:
            return self._cut(number)
        if number not in self._kept:
            self._kept[number] = self._cut(number)
        return self._kept[number]

    def _cut(self, number: int) -> Batch:
        generator = generator_for(self.config.seed, CROP, number)
        chosen = self._choose_all(generator)
        along = math.isqrt(len(chosen))  # windows along a side
        side = self.size // along
        windows = [self._window(i, lesion, along, generator) for i, lesion in chosen]
        image = _join(
            [self._image(photograph, crop, side, generator) for photograph, crop in windows]
        )
        masks = _join([crop.apply(photograph.masks, side) for photograph, crop in windows])
        target = F.avg_pool2d(masks, self.stride)
        asked = self._ask([photograph for photograph, _ in windows], target, generator)
        target = target[asked]
        scored = _join(
            [self._scored(photograph, crop, side, asked) for photograph, crop in windows]
        )
        clicks = None
        if self._with_points(number):
            clicks = simulate_points(target, self.stride, generator)
        priors = _join(
            [
                crop.apply(self._priors(index, asked, generator), self.grid // along)
                for (index, _), (_, crop) in zip(chosen, windows, strict=True)
            ]
        )
        return Batch(
            image[None], priors[None], target[None], None if bool(scored.all()) else scored[None],
            asked[None], clicks, ("+".join(photograph.name for photograph, _ in windows),),
        )  # fmt: skip

    def name(self, number: int) -> str:
        """The name of the photograph that crop `number` is cut from; of a mosaic, all names."""
        chosen = self._choose_all(generator_for(self.config.seed, CROP, self._fixed(number)))
        return "+".join(self.photographs[index].name for index, _ in chosen)

    def _fixed(self, number: int) -> int:
        """Which crop stands for crop `number`: itself, or one of those that come again."""
        return number % self.config.fixed_crops if self.config.fixed_crops else number

    def _choose_all(self, generator: torch.Generator) -> list[tuple[int, int | None]]:
        """What `_choose` gives: once, or for each window of a mosaic."""
        mosaic = self.config.mosaic and uniform(generator) < self.config.mosaic
        return [self._choose(generator) for _ in range(4 if mosaic else 1)]

    def _window(
        self, index: int, lesion: int | None, along: int, generator: torch.Generator
    ) -> tuple[AnnotatedImage, Crop]:
        photograph = self.photographs[index]
        wanted = photograph.field_of_view[0] if lesion is None else photograph.masks[lesion]
        config = self.config
        crop = random_crop(wanted, self.extent / along, generator, config.scales, config.geometric)
        return photograph, crop

    def _image(
        self, photograph: AnnotatedImage, crop: Crop, side: int, generator: torch.Generator
    ) -> Tensor:
        image = crop.apply(photograph.image, side)
        return (
            random_photometric(image / 255, generator) * 255 if self.config.photometric else image
        )

    def _scored(self, photograph: AnnotatedImage, crop: Crop, side: int, asked: Tensor) -> Tensor:
        """`(L, h, w)`, 0 where the annotation says nothing."""
        known = torch.tensor(
            [float(photograph.knows(lesion)) for lesion in asked.tolist()],
            dtype=torch.float32, device="cpu",
        )  # fmt: skip
        scored = known[:, None, None].repeat(1, side // self.stride, side // self.stride)
        if photograph.ignored is not None:
            ignored = F.max_pool2d(crop.apply(photograph.ignored, side), self.stride)
            scored *= (ignored == 0)[asked]
        return scored

    def _choose(self, generator: torch.Generator) -> tuple[int, int | None]:
        """A photograph, and the lesion that the crop shall show, if any."""
        if self.without and uniform(generator) < self.config.lesion_free_share:
            return one_of(generator, self.without), None
        (place,) = weighted(generator, list(self.weights.values()))
        lesion = list(self.weights)[place]
        index = one_of(generator, self.having[lesion])
        return index, lesion if uniform(generator) < self.config.lesion_centred else None

    def _ask(
        self, photographs: Sequence[AnnotatedImage], target: Tensor, generator: torch.Generator
    ) -> Tensor:
        """For which lesions the crop is asked: places in the catalog, in rising order."""
        count = min(self.config.lesions_per_crop or len(self.asked), len(self.asked))
        readiness = [
            (_SEEN if bool(target[i].amax() >= 0.5) else _UNSEEN)
            if any(photograph.knows(i) for photograph in photographs)
            else 1e-6
            for i in self.asked
        ]
        chosen = sorted(weighted(generator, readiness, count))
        return torch.tensor([self.asked[place] for place in chosen], device="cpu")

    def _with_points(self, number: int) -> bool:
        # one decision a step, since the prompts of a batch must have as many tokens each
        step = generator_for(self.config.seed, STEP, number // self.config.batch_size)
        return uniform(step) < self.config.points

    def _priors(self, index: int, asked: Tensor, generator: torch.Generator) -> Tensor:
        """Priors of the asked lesions, from all of their descriptions or from a few at random."""
        features, where = self.features[index]
        texts = []
        for lesion in asked.tolist():
            own = self.texts[lesion]
            if uniform(generator) < 0.5:
                own = own[some(generator, len(own), 1 + integer(generator, 5))]
            texts.append(F.normalize(own.mean(dim=0), dim=0))
        return min_max(similarity(features.float(), torch.stack(texts)), where)[0]


@torch.no_grad()
def _clip_features(model: TPDRSeg, photograph: AnnotatedImage) -> tuple[Tensor, Tensor]:
    """CLIP's dense features in half precision, and the patches inside of the field of view."""
    encoder = model.network.explicit_prior
    image = F.interpolate(
        photograph.image[None].float() / 255, size=encoder.image_size, mode="bilinear",
        align_corners=False, antialias=True,
    )  # fmt: skip
    features = encoder.image_features(image.to(model.device)).half().cpu()
    where = F.adaptive_max_pool2d(photograph.field_of_view[None].float(), features.shape[-2:]) > 0
    return features, where


def _join(windows: Sequence[Tensor]) -> Tensor:
    """Square maps `(C, s, s)`, row by row, as one square."""
    along = math.isqrt(len(windows))
    rows = [torch.cat(windows[i : i + along], dim=-1) for i in range(0, len(windows), along)]  # type: ignore[arg-type]
    return torch.cat(rows, dim=-2)
