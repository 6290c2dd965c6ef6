"""The recipe of the embedded checkpoint: data, small CLIP, TP-DRSeg, operating points, card."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tp_drseg import __version__
from tp_drseg.data import Sample, hold_out, read_idrid, read_lesion_free
from tp_drseg.evaluation.evaluate import CONVENTION, LesionScore, as_table, evaluate
from tp_drseg.lesions import LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.clip import save_clip, train_clip
from tp_drseg.training.photographs import Photograph, load_photograph
from tp_drseg.training.trainer import Trainer, TrainingConfig

logger = logging.getLogger(__name__)

NEGATIVES_HELD_OUT = 20
"""How many lesion-free photographs, the last by name, no training sees."""


@dataclass(frozen=True)
class Split:
    """Which photographs learn and which measure; no photograph does both.

    Attributes:
        training: annotated photographs, then lesion-free ones.
        validation: annotated photographs, every fifth by name.
        lesion_free: lesion-free photographs for validation.
    """

    training: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    lesion_free: tuple[Sample, ...]


def split_data(data: Path, negatives: Path | None) -> Split:
    """The embedded checkpoint's split of IDRiD's training set and of lesion-free photographs.

    Raises:
        DataError: when the folders are not as they must be.
    """
    training, validation = hold_out(read_idrid(data))
    free: list[Sample] = []
    if negatives is not None:
        free = read_lesion_free(negatives, LesionCatalog.default().names)
        free.sort(key=lambda sample: sample.name)
    return Split(
        training=(*training, *free[:-NEGATIVES_HELD_OUT]),
        validation=tuple(validation),
        lesion_free=tuple(free[-NEGATIVES_HELD_OUT:]),
    )


def train(
    split: Split,
    *,
    sam: Path,
    out: Path,
    clip: Path | None = None,
    config: TrainingConfig | None = None,
    load_scale: float = 1.2,
) -> TPDRSeg:
    """Trains a model of the `tiny` size and saves it with its card in `out / "model"`.

    A run that was stopped is resumed when it is started again with the same `out`.

    Args:
        split: which photographs learn.
        sam: `mobile_sam.pt`.
        out: the run's folder.
        clip: a folder with a trained small CLIP; by default one is trained into `out / "clip"`.
        config: how the run goes.
        load_scale: at how many times the working diameter photographs are kept in memory.

    Raises:
        CheckpointError: when `sam` or `clip` cannot be used.
        DataError, ImageError: when a photograph or a mask cannot be read.
        TrainingError: when the loss is not finite.
    """
    config = config or TrainingConfig()
    torch.manual_seed(config.seed)
    catalog = LesionCatalog.default()
    photographs: list[Photograph] = []
    diameter = round(1920 * load_scale)
    for sample in split.training:
        photographs.append(load_photograph(sample, catalog.names, diameter))
    logger.info("read %d photographs", len(photographs))
    if clip is None:
        clip = out / "clip"
        if not (clip / "clip.safetensors").exists():
            save_clip(train_clip(photographs, catalog, sam, seed=config.seed), clip)
    model = TPDRSeg.from_backbones(sam=sam, clip=clip)
    trainer = Trainer(model, photographs, config, out)
    logger.info("%d parameters learn", sum(p.numel() for p in trainer.parameters.values()))
    model = trainer.run()
    facts = {"Training": _training_text(split, config)}
    model.config = model.config.replace(training=facts)
    model.save_pretrained(out / "model")
    return model


def set_operating_points(model: TPDRSeg, samples: Sequence[Sample]) -> list[LesionScore]:
    """Stores for each lesion the threshold of the highest pooled Dice on `samples`.

    A lesion that none of them has keeps the threshold it had.

    Give photographs that the reported figures are not measured on.
    """
    scores = evaluate(model, samples)["own"]
    thresholds = {
        score.lesion: round(score.best_threshold, 4) for score in scores if score.with_lesion
    }
    model.config = model.config.replace(thresholds={**model.config.thresholds, **thresholds})
    return scores


def report(model: TPDRSeg, split: Split) -> dict[str, list[LesionScore]]:
    """Measures the model on the validation photographs and puts the figures on its card."""
    measured = evaluate(model, split.validation, descriptions=("own", "held_out"))
    names = ", ".join(sample.name for sample in split.validation)
    facts: dict[str, Any] = {
        **model.config.training,
        "Validation": f"{len(split.validation)} photographs of IDRiD's training set that no "
        f"training saw ({names}). {CONVENTION} Thresholds were chosen on training photographs.",
        "Validation: with the model's own descriptions": as_table(measured["own"]),
        "Validation: with five held-out descriptions of each lesion": as_table(
            measured["held_out"]
        ),
    }
    model.config = model.config.replace(training=facts)
    return {str(kind): scores for kind, scores in measured.items()}


def _training_text(split: Split, config: TrainingConfig) -> str:
    marked = sum(any(s.masks.values()) for s in split.training)
    return (
        f"Trained on {marked} photographs of IDRiD's segmentation training set and "
        f"{len(split.training) - marked} photographs without retinopathy of its grading set "
        f"(Porwal et al., 2018, CC-BY 4.0). SAM's parts started from MobileSAM (Apache-2.0); its "
        f"image encoder and prompt encoder are frozen. The small CLIP (image tower: the "
        f"first stages of MobileSAM's encoder, kept, and a head; text tower: from random weights) "
        f"was trained on the same photographs and the catalog's descriptions, then frozen. "
        f"{config.steps} steps of {config.batch_size} crop with all lesions, AdamW "
        f"{config.learning_rate:g}, weight decay {config.weight_decay:g}, loss IoU + "
        f"{config.bce_weight:g} BCE, moving average of the weights {config.averaging:g}, "
        f"seed {config.seed}, float32, tp-drseg {__version__}, torch {torch.__version__}."
    )
