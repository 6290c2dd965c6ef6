"""A model and a training run so small that a run takes seconds; always the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pydantic import JsonValue

from benchmarks.reliability.drawn import fundus
from tp_drseg.config import (
    ArchitectureConfig,
    CLIPConfig,
    ImageEncoderConfig,
    InferenceConfig,
    TPDRSegConfig,
)
from tp_drseg.lesions import Description, Lesion, LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.crops import Crops
from tp_drseg.training.engine.trainer import Trainer

STEPS = 12
_SIDE = 80
_TEXTS = {"HE": ("haemorrhage", "dark red blot"), "EX": ("hard exudate", "yellow deposit")}

Validate = Callable[[TPDRSeg, Path], dict[str, float]]


def build() -> TPDRSeg:
    """Return a model of kind `tiny_vit` with seeded random weights."""
    clip: dict[str, JsonValue] = {
        "embed_dim": 24,
        "quick_gelu": False,
        "vision_cfg": {"tower": "tiny_vit", "width": 16},
        "text_cfg": {
            "tower": "minilm",
            "vocab_size": 30522,
            "width": 16,
            "heads": 2,
            "layers": 2,
            "context_length": 77,
            "pooled_layers": [1, 2],
            "examples": 24,
            "concepts": [*LesionCatalog.default().names, "healthy retina", "everyday thing"],
        },
    }
    architecture = ArchitectureConfig(
        image_encoder=ImageEncoderConfig(
            kind="tiny_vit",
            embed_dims=(16, 32, 40, 64),
            depths=(1, 1, 2, 1),
            num_heads=(1, 2, 2, 4),
            window_sizes=(2, 3, 4, 3),
        ),
        clip=CLIPConfig(architecture=clip, image_size=128),
        image_size=64,
        injector_stride=2,
        sparse_tokens=3,
        detail=True,
    )
    lesions = LesionCatalog(
        tuple(
            Lesion(name, short, (), (Description(text),), (Description(f"{text}, unseen"),))
            for short, (name, text) in _TEXTS.items()
        )
    )
    torch.manual_seed(0)
    return TPDRSeg.build(
        TPDRSegConfig(
            architecture=architecture,
            inference=InferenceConfig(working_diameter=64),
            lesions=lesions,
        )
    )


def sum_of_prompts(model: TPDRSeg, folder: Path) -> dict[str, float]:
    """Return a figure that changes with the weights, in place of a validation."""
    total = sum(float(p.double().sum()) for p in model.network.prompt_generator.parameters())
    return {"mean": abs(total) % 1}


def train(folder: Path, validate: Validate = sum_of_prompts) -> tuple[str, int]:
    """Train into a folder, or go on with the run in it.

    Returns:
        The hash of the weights, and the step from which it went on.
    """
    torch.set_num_threads(1)
    model = build()
    config = TrainingConfig(
        steps=STEPS, warmup=2, precision="float32", learning_rate=1e-2, save_every=3,
        validate_every=4, lr_factors={"": 0.0, "prompt_generator.": 1.0, "detail_head.": 1.0},
    )  # fmt: skip
    trainer = Trainer(model, Crops(model, _photographs(), config), config, folder, validate)
    begun = trainer.step
    digest = hashlib.sha256()
    for name, value in sorted(trainer.run().network.state_dict().items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest(), begun


def _photographs() -> list[AnnotatedImage]:
    y, x = np.mgrid[:_SIDE, :_SIDE] + 0.5
    inside = torch.from_numpy((np.hypot(y - _SIDE / 2, x - _SIDE / 2) < _SIDE / 2).astype(np.uint8))
    shown = []
    for number, name in enumerate(("one", "two", "healthy")):
        masks = torch.zeros((len(_TEXTS), _SIDE, _SIDE), dtype=torch.uint8)
        if number < len(_TEXTS):
            masks[number, 25:39, 30:44] = 1
        pixels = torch.from_numpy(fundus(_SIDE, _SIDE, seed=number))
        shown.append(
            AnnotatedImage(
                name=name,
                levels=(pixels.permute(2, 0, 1),),
                masks=masks,
                field_of_view=inside[None],
                clip_pixels=pixels,
                clip_inside=inside,
            )
        )
    return shown
