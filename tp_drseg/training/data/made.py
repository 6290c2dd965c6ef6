"""Crops that no annotator has seen: as they are, and with lesions of another photograph on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from tp_drseg.training.data.paste import (
    in_tone_of,
    label_regions,
    paste,
    soft_border,
    without_forbidden,
)
from tp_drseg.training.data.photometric import random_photometric

if TYPE_CHECKING:
    from tp_drseg.training.data.batch import Batch


@dataclass(frozen=True)
class Donor:
    """A window of an annotated photograph, as large as the crop that its lesions are pasted on.

    Attributes:
        image: `(3, S, S)` RGB in [0, 255], in the tone of the host.
        masks: `(L, S, S)` in [0, 1], of the lesions that the crop is asked for.
        regions: `(S, S)` int64, connected regions of all lesions that may be pasted, from 1 on.
        priors: `(L, g, g)` in [0, 1].
        known: `(L,)` bool, which of the lesions were annotated.
    """

    image: Tensor
    masks: Tensor
    regions: Tensor
    priors: Tensor
    known: Tensor


@dataclass(frozen=True)
class Made:
    """What becomes of one crop of a batch once a teacher has seen it as it is.

    Attributes:
        row: Place of the crop in the batch, which holds it as it is.
        donor: Whose lesions are pasted; None for none.
        light: Seed of its photometric changes; None for none.
    """

    row: int
    donor: Donor | None
    light: int | None


def donor_of(
    host: Tensor,
    inside: Tensor,
    forbidden: Tensor,
    image: Tensor,
    masks: Tensor,
    donor_inside: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return a donor's image in the host's tone, and its regions that may be pasted.

    Args:
        host: `(3, S, S)` RGB in [0, 255].
        inside: `(S, S)` bool, the host's field of view.
        forbidden: `(S, S)` bool, where nothing may be pasted, such as on the disc.
        image: `(3, S, S)`, the donor.
        masks: `(L, S, S)` in [0, 1] of all of its lesions.
        donor_inside: `(S, S)` bool, its field of view.
    """
    regions = label_regions(masks)
    toned = in_tone_of(image, host, donor_inside & (regions == 0), inside & ~forbidden)
    return toned, without_forbidden(regions, forbidden | ~inside | ~donor_inside)


def finish(batch: Batch, answers: Tensor, camera: float = 0.0) -> tuple[Batch, Tensor]:
    """Paste the lesions of a batch's made crops, and change their light.

    What is pasted is known on every pixel that it touches; lesions are left out that would lie on
    one that the teacher sees.

    Args:
        batch: Its made crops as they are.
        answers: `(M, L, h, w)` in [0, 1], the teacher's for each of the M made crops; 0 where it
            was not asked.
        camera: strength of the changes that cameras make, see `random_photometric`.

    Returns:
        The batch that the student sees, and `(M, L, h, w)` bool: where the teacher's answer
        stands, since nothing is known otherwise.
    """
    images, priors = batch.images.clone(), batch.priors.clone()
    targets = batch.targets.clone()
    scored = torch.ones_like(targets) if batch.scored is None else batch.scored.clone()
    left_open = []
    for made, answer in zip(batch.made, answers, strict=True):
        row, unknown = made.row, scored[made.row] == 0
        if made.donor is not None:
            touched = _paste(made, answer, images, priors, targets, scored)
            unknown &= ~touched
        if made.light is not None:
            light = torch.Generator("cpu").manual_seed(made.light)
            images[row] = random_photometric(images[row] / 255, light, camera) * 255
        left_open.append(unknown)
    done = replace(batch, images=images, priors=priors, targets=targets, scored=scored)
    return done, torch.stack(left_open)


def _paste(
    made: Made, answer: Tensor, images: Tensor, priors: Tensor, targets: Tensor, scored: Tensor
) -> Tensor:
    """Paste a donor's lesions into one row of a batch's tensors; return `(h, w)` bool, where."""
    assert made.donor is not None
    donor, row = made.donor, made.row
    stride = donor.image.shape[-1] // targets.shape[-1]
    seen = (answer >= 0.5).any(dim=0)
    seen = seen.repeat_interleave(stride, dim=0).repeat_interleave(stride, dim=1)
    regions = without_forbidden(donor.regions, seen)
    # a region that is left out may lie in the border of another
    share = soft_border(regions) * ((donor.regions == 0) | (regions > 0))
    images[row] = paste(images[row], donor.image, share)
    cells = F.adaptive_max_pool2d(share[None], priors.shape[-2:])[0]
    priors[row] = torch.where(cells > 0, donor.priors, priors[row])
    touched = F.max_pool2d((share > 0)[None].to(torch.float32), stride)[0] > 0
    pasted = F.avg_pool2d(donor.masks * (regions > 0), stride)
    known = donor.known[:, None, None]
    targets[row] = torch.where(touched & known, pasted, targets[row])
    scored[row] = torch.where(touched, known.to(scored.dtype).expand_as(pasted), scored[row])
    return touched


def joined(groups: Sequence[Sequence[Made]], sizes: Sequence[int]) -> tuple[Made, ...]:
    """Return the made crops of several batches that become one, with `sizes` crops each."""
    first, found = 0, []
    for group, size in zip(groups, sizes, strict=True):
        found += [replace(made, row=made.row + first) for made in group]
        first += size
    return tuple(found)
