"""What one step of training learns from, and how several crops become one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tp_drseg.modules.points import Points
from tp_drseg.training.data.made import Made, joined


@dataclass(frozen=True)
class Batch:
    """Crops, and the lesions that each is asked for.

    Attributes:
        images: `(B, 3, S, S)` RGB in [0, 255].
        priors: `(B, L, S / 16, S / 16)` in [0, 1].
        targets: `(B, L, h, w)` in [0, 1], on the grid of the logits.
        scored: the same shape, 0 where the annotation says nothing; None when it always does.
        classes: `(B, L)`, places in the catalog.
        points: for the B * L prompts, or None.
        names: of the B photographs.
        made: what is still to become of crops that no annotator has seen.
    """

    images: Tensor
    priors: Tensor
    targets: Tensor
    scored: Tensor | None
    classes: Tensor
    points: Points | None
    names: tuple[str, ...]
    made: tuple[Made, ...] = ()


def collate(batches: Sequence[Batch]) -> Batch:
    """Join several batches; all of them have points and boxes, or none has."""
    scored = None
    if any(b.scored is not None for b in batches):
        scored = torch.cat(
            [torch.ones_like(b.targets) if b.scored is None else b.scored for b in batches]
        )
    given = [b.points for b in batches if b.points is not None]
    clicks = None
    if given:
        clicks = Points(torch.cat([c.coords for c in given]), torch.cat([c.labels for c in given]))
    return Batch(
        torch.cat([b.images for b in batches]),
        torch.cat([b.priors for b in batches]),
        torch.cat([b.targets for b in batches]),
        scored,
        torch.cat([b.classes for b in batches]),
        clicks,
        tuple(name for b in batches for name in b.names),
        joined([b.made for b in batches], [len(b.images) for b in batches]),
    )
