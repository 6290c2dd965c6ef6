"""Trains the small CLIP: dense alignment of fundus patches with descriptions of lesions."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save as to_bytes
from torch import Tensor

from tp_drseg._runtime.files import atomic_write, write_json
from tp_drseg.checkpoints.backbones import load_trunk, read_sam
from tp_drseg.config import SMALL_CLIP
from tp_drseg.lesions import LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.modules.clip import SmallCLIP, build_clip
from tp_drseg.modules.constants import CLIP_PIXEL_MEAN, CLIP_PIXEL_STD
from tp_drseg.modules.fundus_tower import FundusTower
from tp_drseg.modules.text_tower import TextTower
from tp_drseg.training.clip.concepts import encode
from tp_drseg.training.clip.texts import catalog_texts, written_texts
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.geometric import Crop
from tp_drseg.training.data.photometric import random_photometric
from tp_drseg.training.engine.schedule import warm_cosine

logger = logging.getLogger(__name__)

PATCH_COVERAGE = 0.03
"""Share of a patch that a lesion covers from which on the patch shows that lesion."""


BACKGROUND = ("healthy retina", "optic disc", "blood vessel", "fovea")
"""Concepts that a photograph shows where it shows no lesion."""


def embedded_text_tower() -> TextTower:
    """Return the text tower of the embedded model, which every CLIP of the size `tiny` shares.

    Raises:
        CheckpointError: The embedded model is missing or damaged.
    """
    model = TPDRSeg.from_pretrained(device="cpu", dtype="float32")
    return model.network.explicit_prior.clip.text  # type: ignore[no-any-return]


def train_clip(
    photographs: Sequence[AnnotatedImage],
    catalog: LesionCatalog,
    sam: Path,
    text: TextTower,
    *,
    views: int = 2,
    steps: int = 500,
    batch_size: int = 4,
    image_size: int = 1024,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> SmallCLIP:
    """Trains the CLIP of the `tiny` size and returns it, frozen.

    The sentence encoder and what it was taught stay as they are (locked-text tuning, Zhai et al.,
    LiT, CVPR 2022), and the trunk of the image tower keeps MobileSAM's weights, so the features of
    both are computed once, for every text and for a few random views of each photograph. The
    image tower's head and the concepts' anchors in the joint space learn. Each step pairs the
    patches of a few views with a few texts of each lesion and of the background. A pair is
    positive when the patch shows what the text describes; the loss is the binary cross-entropy of
    `exp(logit_scale) * cos(P_v, P_t)`, positives and negatives of each text weighing the same,
    since a microaneurysm covers one patch in a hundred. A second term draws together the texts of
    one lesion. Held-out descriptions are never used.

    Args:
        photographs: with masks in the catalog's order.
        catalog: the lesions and their descriptions.
        sam: `mobile_sam.pt`.
        text: a text tower that was taught its concepts; the lesions are among them.
        views: random views of each photograph.
        steps: optimiser steps.
        batch_size: views a step.
        image_size: side of a view in pixels, the CLIP's input size.
        learning_rate: highest rate of a cosine schedule with warm-up.
        seed: of weights and views.

    Raises:
        CheckpointError: when `sam` cannot be used.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    clip: Any = build_clip(SMALL_CLIP)
    clip.text = deepcopy(text)
    anchors = clip.text.anchors.requires_grad_(True)
    torch.nn.init.normal_(anchors, std=anchors.shape[1] ** -0.5)
    load_trunk(clip.visual, read_sam(sam))
    clip.visual.trunk.requires_grad_(False).eval()
    seen = list(_views(clip.visual, photographs, views, image_size, generator))
    parameters = [*clip.visual.head.parameters(), anchors, clip.logit_scale]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.02)
    groups = [
        clip.text.probabilities(encode(clip.text, texts)).detach()
        for texts in teaching_groups(catalog)
    ]
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * warm_cosine(step, steps)
        chosen = torch.randint(len(seen), (batch_size,), generator=generator).tolist()
        features = clip.visual.head(torch.stack([seen[i][0] for i in chosen]).float())
        positive, negative = patch_labels(torch.stack([seen[i][1] for i in chosen]))
        mixtures, group_of = sample_texts(groups, 4, generator)
        text_features = F.normalize(mixtures @ anchors, dim=-1)
        cosine = torch.einsum("bdhw,td->tbhw", F.normalize(features, dim=1), text_features)
        loss = balanced_bce(
            clip.logit_scale.exp() * cosine,
            positive[:, group_of].transpose(0, 1),
            negative[:, group_of].transpose(0, 1),
        )
        loss = loss + 0.2 * text_alignment(text_features, group_of)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            clip.logit_scale.clamp_(max=math.log(30))
        if step % 25 == 0 or step == steps - 1:
            logger.info("clip step %d/%d loss %.4f", step, steps, loss.item())
    return clip.requires_grad_(False).eval()  # type: ignore[no-any-return]


def teaching_groups(catalog: LesionCatalog) -> list[list[str]]:
    """Return the texts of each lesion, then those of the background; none held out."""
    written, own = written_texts(), catalog_texts(catalog)
    groups = [[*own[name], *written.get(name, ())] for name in catalog.names]
    return [*groups, [text for concept in BACKGROUND for text in written[concept]]]


def save_clip(clip: Any, folder: Path) -> None:
    """Write `clip_config.json` and `clip.safetensors`, which `from_backbones` reads."""
    write_json(folder / "clip_config.json", SMALL_CLIP)
    with atomic_write(folder / "clip.safetensors") as file:
        file.write(to_bytes({k: v.contiguous() for k, v in clip.state_dict().items()}))


def patch_labels(covered: Tensor) -> tuple[Tensor, Tensor]:
    """Which patches show, and which certainly do not show, each lesion and the background.

    Args:
        covered: `(B, L, h, w)`, the share of each patch that each lesion covers.

    Returns:
        Two bool tensors `(B, L + 1, h, w)`; patches that a lesion barely touches are in neither.
    """
    shows, without = covered >= PATCH_COVERAGE, covered == 0
    plain = without.all(dim=1, keepdim=True)
    lesion = shows.any(dim=1, keepdim=True)
    return torch.cat([shows, plain], dim=1), torch.cat([without, lesion], dim=1)


def balanced_bce(logits: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Mean over texts `(T, ...)` of the mean loss on positives plus that on negatives."""
    gain = _masked_mean(F.softplus(-logits), positive)
    cost = _masked_mean(F.softplus(logits), negative)
    return (gain + cost).mean() / 2


def text_alignment(features: Tensor, group_of: Tensor) -> Tensor:
    """Cross-entropy that makes each text's neighbours those of its own group (supervised)."""
    similarity = features @ features.T * 10
    itself = torch.eye(len(features), dtype=torch.bool)
    log_probability = similarity.masked_fill(itself, -1e4).log_softmax(dim=1)
    same = (group_of[:, None] == group_of[None]) & ~itself
    return -_masked_mean(log_probability, same).mean()


def sample_texts(
    groups: Sequence[Tensor], count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return some texts of each group, as rows of the groups' matrices, and the group of each."""
    rows, group_of = [], []
    for index, group in enumerate(groups):
        chosen = torch.randperm(len(group), generator=generator)[:count]
        rows.append(group[chosen])
        group_of.append(torch.full((len(chosen),), index))
    return torch.cat(rows), torch.cat(group_of)


@torch.no_grad()
def _views(
    tower: FundusTower,
    photographs: Sequence[AnnotatedImage],
    count: int,
    size: int,
    generator: torch.Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Trunk features (half precision) of random views, and how far each lesion covers a patch.

    A view holds most of the field of view, turned, mirrored, scaled and in another light.
    """
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CLIP_PIXEL_MEAN, CLIP_PIXEL_STD))
    for number, photograph in enumerate(photographs):
        for _ in range(count):
            draw = torch.rand(5, generator=generator).tolist()
            crop = Crop(
                centre=(0.4 + 0.2 * draw[0], 0.4 + 0.2 * draw[1]),
                extent=0.75 + 0.4 * draw[2],
                angle=2 * math.pi * draw[3],
                mirrored=draw[4] < 0.5,
            )
            shown = crop.apply(photograph.level(size / crop.extent), size, "bicubic").clamp_(0, 255)
            image = random_photometric(shown / 255, generator)
            features = tower.trunk_features(((image - mean) / std)[None])[0]
            yield features.half(), F.avg_pool2d(crop.apply(photograph.masks, size), tower.patch)
        if number % 10 == 0:
            logger.info("clip features of %d/%d photographs", number + 1, len(photographs))


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over all but the first axis where `mask` holds; 0 where it never does."""
    weight = mask.to(values.dtype).flatten(1)
    return (values.flatten(1) * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
