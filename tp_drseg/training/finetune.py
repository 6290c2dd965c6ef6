"""Fine-tuning: a trained model learns a user's own lesions from descriptions and masks."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tp_drseg.data import Sample
from tp_drseg.data.check import check
from tp_drseg.errors import ConfigError, TrainingError
from tp_drseg.evaluation.convention import convention_text
from tp_drseg.evaluation.evaluate import evaluate
from tp_drseg.evaluation.operating_points import choose_operating_points
from tp_drseg.evaluation.tables import as_table
from tp_drseg.lesions import Lesion
from tp_drseg.model import TPDRSeg
from tp_drseg.modules.explicit_prior import min_max, similarity
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import load_cached
from tp_drseg.training.data.crops import Crops
from tp_drseg.training.engine.trainer import Trainer
from tp_drseg.training.start import with_lesions

logger = logging.getLogger(__name__)

CLASS_GROUPS = ("prompt_generator.class_weight", "prompt_generator.class_bias")


PARTS: Mapping[str, str] = {
    "prompt-generator": "prompt_generator.",
    "injectors": "image_encoder.injectors.",
    "decoder": "mask_decoder.",
    "detail": "detail_head.",
    "encoder": "image_encoder.backbone.",
}
"""What else may learn, by the name that a user gives it: beginnings of parameters' names."""


def finetune(
    parent: TPDRSeg,
    lesions: Sequence[Lesion],
    samples: Sequence[Sample],
    out: Path,
    *,
    validation: Sequence[Sample] = (),
    train: Sequence[str] = (),
    config: TrainingConfig | None = None,
) -> TPDRSeg:
    """Teaches a trained model new lesions, and saves the child in `out / "model"`.

    By default only the new lesions' class groups learn, so that what the parent segments stays
    the same to the last bit. The child's operating points for the new lesions are chosen on the
    validation photographs, or without any on the training photographs; its card says which.

    Args:
        parent: a trained model.
        lesions: the new lesions.
        samples: annotated photographs to learn from.
        out: the run's folder; a run that was stopped is resumed.
        validation: annotated photographs that are not learned from.
        train: what else learns, names of `PARTS`; the parent's lesions change with it.
        config: how the run goes; by default `default_config(lesions, train)`.

    Raises:
        ConfigError, LesionError: when `train` or a lesion is not valid.
        DataError, ImageError: when a photograph or mask cannot be used, before any step.
        TrainingError: when no photograph shows a new lesion, or the loss is not finite.
    """
    config = config or default_config(lesions, train)
    known, new = len(parent.catalog), [lesion.name for lesion in lesions]
    torch.manual_seed(config.seed)
    model = with_lesions(parent, lesions)
    keep = new if not train else list(model.catalog.names)
    samples, validation = _only(samples, keep), _only(validation, keep)
    logger.info("%s", check([*samples, *validation], tuple(keep)).text())
    diameter = round(1.2 * model.config.inference.working_diameter)
    photographs = load_cached(samples, model.catalog.names, diameter, out / "photographs")
    crops = Crops(model, photographs, config)
    for name, contrast in prior_contrast(model, crops, lesions).items():
        logger.info("prior of %s: %+.2f higher on it than beside it", name, contrast)
        if contrast < 0.05:
            logger.warning(
                "The descriptions of %s hardly point at it: the prior is %+.2f higher on it than "
                "beside it. Describe its colour, shape and place in other words.", name, contrast,
            )  # fmt: skip
    logger.info(
        "what learns: the class groups of %s%s",
        ", ".join(new if not train else model.catalog.names),
        "; nothing else, so that known lesions stay as they are, to the bit"
        if not train
        else f", and {', '.join(train)}: known lesions change",
    )
    with only_new_groups(model, known) if not train else nullcontext():
        trainer = Trainer(model, crops, config, out)
        model = trainer.run()
    chosen = list(validation) or list(samples)
    where = "validation" if validation else "training"
    names = ", ".join(sample.name for sample in chosen)
    choose_operating_points(
        model, _only(chosen, new), chosen_on=f"{len(chosen)} {where} photographs ({names})"
    )
    learned = ", ".join(train) if train else "nothing else"
    facts: dict[str, Any] = {
        "Training": f"Taught {', '.join(new)} on {len(samples)} photographs from "
        f"{model.config.provenance.parent}, in {trainer.steps} steps, seed {config.seed}; beside "
        f"the new class groups {learned} learned. "
        + ("" if train else "The parent's lesions are segmented as the parent does, to the bit.")
    }
    if validation:
        found = evaluate(model, validation, bootstrap=0)
        scored = {score.lesion for score in found if score.photographs}
        rows = {name: row for name, row in as_table(found).items() if name in scored}
        facts[f"Validation on {len(validation)} photographs"] = rows
        facts["Convention"] = convention_text()
    model.config = model.config.replace(provenance={"facts": facts})
    model.save_pretrained(out / "model")
    return model


def default_config(
    lesions: Sequence[Lesion],
    train: Sequence[str] = (),
    steps: int | None = None,
    seed: int = 0,
) -> TrainingConfig:
    """How a fine-tuning goes when nothing else is said.

    Args:
        lesions: the new ones.
        train: names of `PARTS` that learn beside the new class groups.
        steps: of the optimiser; by default 1500, and 200 with `train`, where a step takes longer.
        seed: of all randomness.

    Raises:
        ConfigError: when `train` names an unknown part.
    """
    if unknown := [name for name in train if name not in PARTS]:
        raise ConfigError(
            f"Unknown part to train: {', '.join(unknown)}. Parts are {', '.join(PARTS)}."
        )
    if steps is None:
        steps = 200 if train else 1500
    lr_factors = {"": 0.0, **dict.fromkeys(CLASS_GROUPS, 1.0)}
    lr_factors |= {PARTS[name]: 0.1 if name == "encoder" else 0.3 for name in train}
    return TrainingConfig(
        steps=steps,
        # a class group alone is soon learned; where more learns, crops must not come again
        fixed_crops=0 if train else 64,
        learning_rate=2e-2,
        warmup=min(20, steps),
        weight_decay=0.0,
        bce_weight=3.0,
        lr_factors=lr_factors,
        lesions=() if train else tuple(lesion.name for lesion in lesions),
        ema_decay=0.99,
        points=0.0,
        seed=seed,
    )


def _only(samples: Sequence[Sample], names: Sequence[str]) -> list[Sample]:
    return [replace(s, masks={k: v for k, v in s.masks.items() if k in names}) for s in samples]


@contextmanager
def only_new_groups(model: TPDRSeg, known: int) -> Iterator[None]:
    """Keeps the class groups of the first `known` lesions from learning.

    Their gradient is zero, so that AdamW without weight decay leaves them as they are, to the bit.
    """

    def mask(gradient: Tensor) -> Tensor:
        kept = gradient.clone()
        kept[:known] = 0
        return kept

    parameters = dict(model.network.named_parameters())
    opened = [parameters[name] for name in CLASS_GROUPS]
    before = [p.requires_grad for p in opened]
    handles = []
    for parameter in opened:
        parameter.requires_grad_(True)
        handles.append(parameter.register_hook(mask))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for parameter, asked, handle in zip(opened, before, handles, strict=True):
            handle.remove()
            parameter.requires_grad_(asked)


@torch.inference_mode()
def prior_contrast(model: TPDRSeg, crops: Crops, lesions: Sequence[Lesion]) -> dict[str, float]:
    """How well each lesion's prior alone tells its masks from the rest of the training photographs.

    Returns:
        Mean of the prior on the lesion minus its mean beside it, over all photographs, in [-1, 1].
        At or below 0 the description does not point CLIP at the lesion.
    """
    found = {}
    for lesion in lesions:
        index = model.catalog.index(lesion.name)
        text = model.network.explicit_prior.text_features(
            model.config.prompt_texts(lesion.name)
        ).cpu()
        sums = torch.zeros(2, 2, dtype=torch.float64)
        for photograph, (features, where) in zip(crops.photographs, crops.features, strict=True):
            prior = min_max(similarity(features.float(), text[None]), where)[0, 0]
            size = prior.shape
            mask = torch.nn.functional.adaptive_max_pool2d(
                photograph.masks[index][None, None].float(), size
            )[0, 0].bool()
            for row, place in enumerate((mask, ~mask & where[0, 0])):
                sums[row] += torch.tensor([float(prior[place].sum()), float(place.sum())])
        if not sums[0, 1]:
            raise TrainingError(
                f"No training photograph shows {lesion.name}. Add masks of it, or leave it out."
            )
        on, beside = (sums[:, 0] / sums[:, 1].clamp(min=1)).tolist()
        found[lesion.name] = on - beside
    return found
