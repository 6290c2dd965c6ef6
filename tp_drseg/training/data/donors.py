"""Which photograph without lesions a crop is made from, and whose lesions are pasted on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tp_drseg.errors import TrainingError
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.draws import one_of, uniform, weighted
from tp_drseg.training.data.sampling import CropSampler

_NEAREST = 5
"""The donor is one of so many that are nearest in colour."""

# linear sRGB to XYZ, divided by the white D65 (IEC 61966-2-1; CIE 15)
_TO_XYZ = (
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)


class Pair(NamedTuple):
    """What a crop is made of.

    Attributes:
        host: Place of the photograph in the list of them.
        donor: Place of the one whose lesions are pasted; None for none.
        lesion: Place in the catalog of the lesion that the donor's window shows.
    """

    host: int
    donor: int | None
    lesion: int | None


class DonorSampler:
    """Draws hosts and donors.

    Hosts are photographs of which no mask shows a lesion, whether none is there or none was
    looked for. A donor is one of the annotated ones nearest in mean colour: what lies together on
    it, lies together on the crop.

    Args:
        images: The photographs.
        sampler: That of the annotated crops.

    Raises:
        TrainingError: There is no host.
    """

    def __init__(self, images: Sequence[AnnotatedImage], sampler: CropSampler) -> None:
        self._sampler = sampler
        donors = sorted({i for own in sampler.having.values() for i in own})
        marked = set(donors) | {i for i, image in enumerate(images) if image.masks.any()}
        self.hosts = [i for i in range(len(images)) if i not in marked]
        if not self.hosts:
            raise TrainingError(
                "training.unlabelled_share is above 0, and there is no photograph without masks. "
                "Give data.unlabelled or data.lesion_free, or set it to 0."
            )
        colours = torch.stack([mean_lab(image) for image in images])
        away = torch.cdist(colours[self.hosts], colours[donors])
        self._donors = {
            host: [donors[place] for place in row.argsort()[:_NEAREST].tolist()]
            for host, row in zip(self.hosts, away, strict=True)
        }

    def draw(self, generator: torch.Generator) -> Pair:
        """Draw a host, and what is pasted on it."""
        host = one_of(generator, self.hosts)
        if uniform(generator) >= self._sampler.config.paste_share:
            return Pair(host, None, None)
        weights, having = self._sampler.weights, self._sampler.having
        (place,) = weighted(generator, list(weights.values()))
        lesion = list(weights)[place]
        near = [i for i in self._donors[host] if i in having[lesion]]
        if not near:  # none of these has it: some other lesion of the nearest ones
            donor = one_of(generator, self._donors[host])
            lesion = one_of(generator, [k for k, own in having.items() if donor in own])
            return Pair(host, donor, lesion)
        return Pair(host, one_of(generator, near), lesion)


def mean_lab(image: AnnotatedImage) -> Tensor:
    """Return the CIELAB colour of the mean light of a photograph's field of view, `(3,)`."""
    some = (slice(None, None, 4), slice(None, None, 4))
    pixels = image.clip_pixels[some][image.clip_inside[some] > 0].to(torch.float32) / 255
    if not len(pixels):
        return torch.zeros(3, dtype=torch.float32, device="cpu")
    linear = torch.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    xyz = linear.new_tensor(_TO_XYZ) @ linear.mean(dim=0)
    low = (6 / 29) ** 3
    x, y, z = torch.where(
        xyz > low, xyz.clamp(min=low) ** (1 / 3), xyz / 3 * (29 / 6) ** 2 + 4 / 29
    )
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])
