"""Trains the anatomy head on features that are kept, and measures it on those held out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from tp_drseg.errors import TrainingError
from tp_drseg.modules.anatomy_head import AnatomyHead, AnatomyMaps
from tp_drseg.training.anatomy.features import load_features
from tp_drseg.training.anatomy.loss import anatomy_loss
from tp_drseg.training.engine.schedule import warm_cosine

logger = logging.getLogger(__name__)

_MOST_SHIFT: Final = 6  # cells by which a batch is moved: the frame's corner means nothing


@dataclass(frozen=True)
class Examples:
    """Views with their features.

    Attributes:
        features: `(N, D, g, g)` float16.
        inside: `(N, 1, g, g)` bool.
        marks: `(N, 5)` as shares of the frame's side, NaN where not seen.
        known: `(N, 2)` bool.
        eye: `(N,)` int8.
    """

    features: Tensor = field(repr=False)
    inside: Tensor = field(repr=False)
    marks: Tensor = field(repr=False)
    known: Tensor = field(repr=False)
    eye: Tensor = field(repr=False)

    @classmethod
    def load(cls, files: Sequence[Path]) -> Examples:
        """Load what `cache_features` has written.

        Raises:
            TrainingError: There is no file.
        """
        if not files:
            raise TrainingError("There are no features to learn from. Keep some first.")
        kept = [load_features(path) for path in files]
        return cls(
            torch.stack([one["features"] for one in kept]),
            torch.stack([one["inside"] for one in kept])[:, None],
            torch.stack([one["landmarks"] for one in kept]),
            torch.stack([one["known"] for one in kept]),
            torch.cat([one["eye"] for one in kept]),
        )

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.features)


@dataclass(frozen=True)
class Errors:
    """How far off the head is, on views held out.

    Attributes:
        disc: Mean distance of the disc's centre, as a share of the frame's side.
        fovea: Likewise.
        disc_median, fovea_median: The medians.
        diameter: Mean of the relative error of the diameter; NaN without any.
        eyes: Share of the eyes that are right, by the order of disc and fovea, in [0, 1].
        eyes_by_head: The same by the head's own opinion.
        seen: Share of the landmarks told rightly to be in view or not.
        views: How many.
    """

    disc: float
    fovea: float
    disc_median: float
    fovea_median: float
    diameter: float
    eyes: float
    eyes_by_head: float
    seen: float
    views: int


def train_head(
    examples: Examples,
    *,
    steps: int = 3000,
    batch_size: int = 8,
    learning_rate: float = 2e-3,
    seed: int = 0,
) -> AnatomyHead:
    """Train a head from random weights.

    Args:
        examples: What to learn from.
        steps: Optimiser steps.
        batch_size: Views a step.
        learning_rate: Highest rate of a cosine schedule with warm-up.
        seed: Of weights, order and shifts.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    head = AnatomyHead(examples.features.shape[1])
    optimizer = torch.optim.AdamW(head.parameters(), lr=learning_rate, weight_decay=0.05)
    order: list[int] = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * warm_cosine(step, steps)
        while len(order) < batch_size:
            order += torch.randperm(len(examples), generator=generator).tolist()
        chosen, order = order[:batch_size], order[batch_size:]
        features, inside, marks = _shifted(examples, chosen, generator)
        maps = head(features, inside)
        loss = anatomy_loss(maps, marks, examples.known[chosen], examples.eye[chosen])
        if not loss.isfinite():
            raise TrainingError(f"The loss is not finite at step {step}. Lower the learning rate.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            logger.info("step %d of %d: loss %.4f", step, steps, loss.item())
    return head.eval()


def measure_head(head: AnatomyHead, examples: Examples) -> Errors:
    """Measure a head."""
    maps = predict(head, examples)
    wanted = examples.marks[:, :4].view(-1, 2, 2)
    seen = ~wanted.isnan().any(-1)
    places = maps.places()
    off = (places - wanted).norm(dim=-1)
    disc, fovea = off[seen[:, 0], 0], off[seen[:, 1], 1]
    measured = ~examples.marks[:, 4].isnan()
    diameter = (maps.log_diameter[measured] - examples.marks[measured, 4].log()).abs().mean()
    told = (examples.eye != 0) & seen.all(-1)
    is_right = examples.eye[told] > 0
    by_order = places[told, 0, 0] > places[told, 1, 0]
    return Errors(
        disc=float(disc.mean()),
        fovea=float(fovea.mean()),
        disc_median=float(disc.median()) if len(disc) else float("nan"),
        fovea_median=float(fovea.median()) if len(fovea) else float("nan"),
        diameter=float(diameter),
        eyes=float((by_order == is_right).float().mean()),
        eyes_by_head=float(((maps.right[told] > 0) == is_right).float().mean()),
        seen=float(((maps.seen > 0) == seen)[examples.known].float().mean()),
        views=len(examples),
    )


@torch.inference_mode()
def predict(head: AnatomyHead, examples: Examples, batch_size: int = 16) -> AnatomyMaps:
    """Return what a head says of all views."""
    parts = [
        head(
            examples.features[start : start + batch_size].float(),
            examples.inside[start : start + batch_size],
        )
        for start in range(0, len(examples), batch_size)
    ]
    return AnatomyMaps(*(torch.cat(values) for values in zip(*parts, strict=True)))


def _shifted(
    examples: Examples, chosen: Sequence[int], generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Move the views of a batch by whole cells, each the same way; what comes in is empty."""
    features = examples.features[list(chosen)].float()
    inside, marks = examples.inside[list(chosen)], examples.marks[list(chosen)].clone()
    grid = features.shape[-1]
    x, y = torch.randint(-_MOST_SHIFT, _MOST_SHIFT + 1, (2,), generator=generator).tolist()
    empty = torch.zeros_like(inside)
    moved = torch.zeros_like(features)
    to = [slice(max(0, step), grid + min(0, step)) for step in (y, x)]
    of = [slice(max(0, -step), grid + min(0, -step)) for step in (y, x)]
    moved[..., to[0], to[1]] = features[..., of[0], of[1]]
    empty[..., to[0], to[1]] = inside[..., of[0], of[1]]
    marks[:, [0, 2]] += x / grid
    marks[:, [1, 3]] += y / grid
    out = ((marks[:, :4] < 0) | (marks[:, :4] >= 1)).view(-1, 2, 2).any(-1)
    marks[:, :4] = marks[:, :4].view(-1, 2, 2).masked_fill(out[..., None], torch.nan).flatten(1)
    return moved, empty, marks
