"""Which photograph a crop is cut from, which lesion it is to show, and which it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tp_drseg.errors import TrainingError
from tp_drseg.lesions import LesionCatalog
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.draws import one_of, uniform, weighted

_SEEN, _UNSEEN = 1.5, 0.5  # how readily a crop is asked for a lesion that it shows, or does not
_UNKNOWN = 1e-6  # or for one that was not annotated there


class Choice(NamedTuple):
    """What a crop is to show.

    Attributes:
        image: Place of the photograph in the list of them.
        lesion: Place of the lesion in the catalog; None for a crop from anywhere.
        marked: Whether it is to lie where a model marks a lesion that is not there.
    """

    image: int
    lesion: int | None
    marked: bool = False


def check_lesions(config: TrainingConfig, catalog: LesionCatalog) -> None:
    """Make sure that a catalog knows every lesion that a configuration names.

    Raises:
        LesionError: It does not.
    """
    for name in (*config.lesions, *config.bce_weights, *config.lesion_weights):
        catalog.index(name)


def trained_lesions(config: TrainingConfig, catalog: LesionCatalog) -> tuple[str, ...]:
    """Return the names of the lesions that learn, in the order of the catalog."""
    named = {catalog.index(name) for name in config.lesions} or range(len(catalog))
    return tuple(name for index, name in enumerate(catalog.names) if index in named)


class CropSampler:
    """Draws what crops show.

    A lesion of a few pixels is sought as often as a large one.

    Args:
        images: The photographs.
        config: How the run goes.
        catalog: The lesions, in the order of the masks.

    Attributes:
        having: By lesion that learns, the places of the photographs that show it.
        weights: How often each that is shown is sought.

    Raises:
        TrainingError: No photograph is given, or none shows a lesion that is trained.
        LesionError: The configuration names a lesion that the catalog does not know.
    """

    def __init__(
        self, images: Sequence[AnnotatedImage], config: TrainingConfig, catalog: LesionCatalog
    ) -> None:
        check_lesions(config, catalog)
        self.images, self.config = images, config
        self.trained = [catalog.index(name) for name in trained_lesions(config, catalog)]
        self.having = {
            lesion: [i for i, image in enumerate(images) if image.masks[lesion].any()]
            for lesion in self.trained
        }
        weights = {catalog.index(name): weight for name, weight in config.lesion_weights.items()}
        self.weights = {i: weights.get(i, 1.0) for i in self.trained if self.having[i]}
        if not sum(self.weights.values()):
            raise TrainingError(
                "No training photograph shows a lesion that is to be trained. Check the masks "
                "with `tp-drseg check`, and training.lesions and training.lesion_weights."
            )
        self._lesion_free = [
            i
            for i, image in enumerate(images)
            if not image.masks.any() and any(image.knows(lesion) for lesion in self.trained)
        ]

        marks = {i: images[i].marks for i in self._lesion_free if config.hard_negatives}
        self._marked = {i: float(m.sum()) for i, m in marks.items() if m is not None and m.any()}

    def draw(self, generator: torch.Generator) -> Choice:
        """Draw a photograph, and the lesion that the crop shall show, if any."""
        if self._lesion_free and uniform(generator) < self.config.lesion_free_share:
            if self._marked and uniform(generator) < self.config.hard_negatives:
                (place,) = weighted(generator, list(self._marked.values()))
                return Choice(list(self._marked)[place], None, marked=True)
            return Choice(one_of(generator, self._lesion_free), None)
        (place,) = weighted(generator, list(self.weights.values()))
        lesion = list(self.weights)[place]
        image = one_of(generator, self.having[lesion])
        centred = uniform(generator) < self.config.lesion_centred
        return Choice(image, lesion if centred else None)

    def draw_lesions(
        self, shown: Sequence[int], target: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Draw for which lesions a crop is asked.

        Args:
            shown: Places of the photographs that it shows.
            target: `(L, h, w)` in [0, 1] of all lesions of the catalog.
            generator: The source of randomness.

        Returns:
            Places in the catalog, in rising order.
        """
        count = min(self.config.lesions_per_crop or len(self.trained), len(self.trained))
        readiness = [
            (_SEEN if bool(target[lesion].amax() >= 0.5) else _UNSEEN)
            if any(self.images[i].knows(lesion) for i in shown)
            else _UNKNOWN
            for lesion in self.trained
        ]
        chosen = sorted(weighted(generator, readiness, count))
        return torch.tensor([self.trained[place] for place in chosen], device="cpu")
