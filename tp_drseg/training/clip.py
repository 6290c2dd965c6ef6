"""Trains the small CLIP: dense alignment of fundus patches with descriptions of lesions."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from tp_drseg.config import SMALL_CLIP
from tp_drseg.lesions import LesionCatalog
from tp_drseg.modules.clip import PIXEL_MEAN, PIXEL_STD, build_clip, dense_image_features, tokenize
from tp_drseg.training.augment import random_crop, random_light
from tp_drseg.training.photographs import Photograph

logger = logging.getLogger(__name__)

PATCH_COVERAGE = 0.03
"""Share of a patch that a lesion covers from which on the patch shows that lesion."""


def background_descriptions() -> tuple[str, ...]:
    """Descriptions of what is not a lesion, the counterpart of every lesion's own."""
    text = (resources.files("tp_drseg.training") / "background.json").read_text(encoding="utf-8")
    return tuple(json.loads(text)["descriptions"])


def train_clip(
    photographs: Sequence[Photograph],
    catalog: LesionCatalog,
    *,
    steps: int,
    image_size: int = 2048,
    batch_size: int = 8,
    crop_size: int = 512,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> Any:
    """Trains a CLIP of the `tiny` size from random weights and returns it, frozen.

    Each step pairs the patches of a few crops with a few descriptions of each lesion and of the
    background. A pair is positive when the patch shows what the text describes; the loss is the
    binary cross-entropy of `exp(logit_scale) * cos(P_v, P_t)`, positives and negatives of each
    text weighing the same, since a microaneurysm covers one patch in a hundred. A second term
    draws together the texts of one lesion. Held-out descriptions are never used.

    The image tower is a small ResNet: from random weights and a few thousand crops, convolutions
    learn what a transformer does not. The embeddings of words that no description uses stay zero,
    so that they do not disturb a user's own description.

    Args:
        photographs: with masks in the catalog's order.
        catalog: the lesions and their descriptions.
        image_size: the CLIP's input size, to which crops are scaled.
        steps: optimiser steps.
        batch_size: crops a step.
        crop_size: side of a crop in pixels.
        learning_rate: highest rate of a cosine schedule with warm-up.
        seed: of weights and crops.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    clip: Any = build_clip(SMALL_CLIP)
    torch.nn.init.zeros_(clip.token_embedding.weight)
    parameters = [p for p in clip.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: warm_cosine(s, steps))
    groups = [*(lesion.texts for lesion in catalog), background_descriptions()]
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (PIXEL_MEAN, PIXEL_STD))
    crops = _crops(photographs, crop_size, crop_size / image_size, generator)
    started = time.monotonic()
    clip.train()
    for step in range(steps):
        batch = [next(crops) for _ in range(batch_size)]
        images = torch.stack([(image - mean) / std for image, _ in batch])
        texts, group_of = sample_texts(groups, 4, generator)
        text_features = F.normalize(clip.encode_text(tokenize(texts, clip.context_length)), dim=-1)
        features = F.normalize(dense_image_features(clip.visual, images, "value"), dim=1)
        covered = F.adaptive_avg_pool2d(
            torch.stack([masks for _, masks in batch]), features.shape[-2:]
        )
        positive, negative = patch_labels(covered)
        scale = clip.logit_scale.exp()
        logits = scale * torch.einsum("bdhw,td->tbhw", features, text_features)
        loss = balanced_bce(logits, positive[:, group_of].transpose(0, 1),
                            negative[:, group_of].transpose(0, 1))
        loss = loss + 0.2 * text_alignment(text_features, group_of)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            clip.logit_scale.clamp_(max=math.log(30))
        if step % 25 == 0 or step == steps - 1:
            rate = (time.monotonic() - started) / (step + 1)
            logger.info("clip step %d/%d loss %.4f, %.2f s a step", step, steps, loss.item(), rate)
    return clip.requires_grad_(False).eval()


def save_clip(clip: Any, folder: Path) -> None:
    """Writes `clip_config.json` and `clip.safetensors`, which `from_backbones` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "clip_config.json").write_text(json.dumps(SMALL_CLIP, indent=2), encoding="utf-8")
    save_file({k: v.contiguous() for k, v in clip.state_dict().items()}, folder / "clip.safetensors")


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
    groups: Sequence[Sequence[str]], count: int, generator: torch.Generator
) -> tuple[list[str], Tensor]:
    """Some texts of each group, a tenth of their words dropped, and the group of each text."""
    texts: list[str] = []
    group_of: list[int] = []
    for index, group in enumerate(groups):
        for choice in torch.randperm(len(group), generator=generator)[:count].tolist():
            words = group[choice].split()
            keep = torch.rand(len(words), generator=generator) > 0.1
            texts.append(" ".join(w for w, k in zip(words, keep, strict=True) if k) or words[0])
            group_of.append(index)
    return texts, torch.tensor(group_of)


def warm_cosine(step: int, steps: int, warmup: int = 50) -> float:
    """Factor of the learning rate: linear warm-up, then a cosine to 2 % of it."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def _crops(
    photographs: Sequence[Photograph], size: int, extent: float, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless crops: image `(3, size, size)` in [0, 1] and masks `(L, size, size)` in [0, 1]."""
    while True:
        for index in torch.randperm(len(photographs), generator=generator).tolist():
            photograph = photographs[index]
            crop = random_crop(photograph.masks, photograph.field_of_view, extent, generator)
            image = crop.apply(photograph.image, size) / 255
            yield random_light(image, generator), crop.apply(photograph.masks, size)


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over all but the first axis where `mask` holds; 0 where it never does."""
    weight = mask.to(values.dtype).flatten(1)
    return (values.flatten(1) * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
