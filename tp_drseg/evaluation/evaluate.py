"""Scores a model on annotated photographs under one declared convention."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from tp_drseg.data.samples import Sample, read_mask
from tp_drseg.evaluation.metrics import PixelCurve, dice
from tp_drseg.inference.segment import DEFAULT_THRESHOLD, probabilities
from tp_drseg.inference.view import FundusView

if TYPE_CHECKING:
    from tp_drseg.model import TPDRSeg

logger = logging.getLogger(__name__)

CONVENTION = (
    "Original pixels, inside the field of view. AUC-PR is the step-wise average precision and "
    "AUC-ROC the area under the ROC curve over the pixels of all photographs pooled; pooled Dice "
    "likewise, at the threshold given. Dice per image is the mean over the photographs that have "
    "the lesion. A photograph without the lesion counts in the pooled figures as all background."
)

Descriptions = Literal["own", "held_out"]


@dataclass(frozen=True)
class LesionScore:
    """How well one lesion is found.

    Attributes:
        lesion: catalog name.
        photographs: how many were scored.
        with_lesion: how many of them have the lesion.
        prevalence: share of positive pixels.
        average_precision: AUC-PR, pooled.
        roc_auc: AUC-ROC, pooled.
        threshold: the operating point.
        pooled_dice: Dice at it, pooled.
        dice_per_image: Dice at it, mean over the photographs that have the lesion.
        precision: of pixels at the operating point, pooled.
        recall: likewise.
        best_threshold: threshold of the highest pooled Dice on these photographs.
        best_dice: that Dice.
    """

    lesion: str
    photographs: int
    with_lesion: int
    prevalence: float
    average_precision: float
    roc_auc: float
    threshold: float
    pooled_dice: float
    dice_per_image: float
    precision: float
    recall: float
    best_threshold: float
    best_dice: float


def evaluate(
    model: TPDRSeg,
    samples: Sequence[Sample],
    *,
    descriptions: Sequence[Descriptions] = ("own",),
) -> dict[Descriptions, list[LesionScore]]:
    """Scores every lesion of the model on every sample; see `CONVENTION`.

    Args:
        model: the model.
        samples: annotated photographs that the model was not trained on.
        descriptions: with which descriptions the lesions are asked for: the model's own, or the
            held-out ones that no training saw.

    Returns:
        The scores by kind of descriptions, in the order of the catalog.

    Raises:
        ImageError, DataError: when a photograph or mask cannot be read.
    """
    curves = {kind: {x.name: PixelCurve() for x in model.catalog} for kind in descriptions}
    dices: dict[Descriptions, dict[str, list[float]]] = {
        kind: {x.name: [] for x in model.catalog} for kind in descriptions
    }
    counts = {x.name: [0, 0] for x in model.catalog}
    for number, sample in enumerate(samples, 1):
        view = FundusView(model, sample.image)
        lesions = [x for x in model.catalog if x.name in sample.masks]
        if not lesions:
            logger.warning("%s is annotated for none of the model's lesions", sample.name)
            continue
        truths = {x.name: _truth(sample, x.name, view) for x in lesions}
        for x in lesions:
            counts[x.name][0] += 1
            counts[x.name][1] += bool(truths[x.name].any())
        for kind in descriptions:
            texts = [
                x.held_out_texts if kind == "held_out" else model.prompt_texts(x) for x in lesions
            ]
            found, _ = probabilities(view, lesions, texts)
            for x, probability in zip(lesions, found, strict=True):
                truth = truths[x.name]
                curves[kind][x.name].add(probability, truth, view.field_of_view.mask)
                if truth.any():
                    mask = (probability >= _threshold(model, x.name)) & view.field_of_view.mask
                    dices[kind][x.name].append(dice(mask, truth))
        logger.info("scored %d of %d: %s", number, len(samples), sample.name)
    return {
        kind: [
            _score(x.name, counts[x.name], curves[kind][x.name], dices[kind][x.name],
                   _threshold(model, x.name))
            for x in model.catalog
        ]
        for kind in descriptions
    }  # fmt: skip


def _truth(sample: Sample, lesion: str, view: FundusView) -> np.ndarray:
    size = (view.image.shape[0], view.image.shape[1])
    path = sample.masks[lesion]
    truth = np.zeros(size, dtype=bool) if path is None else read_mask(path, size)
    return truth & view.field_of_view.mask


def _threshold(model: TPDRSeg, lesion: str) -> float:
    return model.config.thresholds.get(lesion, DEFAULT_THRESHOLD)


def _score(
    lesion: str, counts: Sequence[int], curve: PixelCurve, dices: Sequence[float], threshold: float
) -> LesionScore:
    best_threshold, best_dice = curve.best_dice()
    return LesionScore(
        lesion=lesion,
        photographs=counts[0],
        with_lesion=counts[1],
        prevalence=curve.positives / max(1, curve.pixels),
        average_precision=curve.average_precision(),
        roc_auc=curve.roc_auc(),
        threshold=threshold,
        pooled_dice=curve.dice_at(threshold),
        dice_per_image=float(np.mean(dices)) if dices else float("nan"),
        precision=curve.precision_at(threshold),
        recall=curve.recall_at(threshold),
        best_threshold=best_threshold,
        best_dice=best_dice,
    )


def as_table(scores: Sequence[LesionScore]) -> Mapping[str, Mapping[str, str]]:
    """The scores as rows of text by lesion, with their mean, for the card and the command."""
    columns = {
        "share of pixels": ("prevalence", "{:.3%}"),
        "AUC-PR": ("average_precision", "{:.3f}"),
        "AUC-ROC": ("roc_auc", "{:.3f}"),
        "threshold": ("threshold", "{:.3f}"),
        "Dice, pooled": ("pooled_dice", "{:.3f}"),
        "Dice, per image": ("dice_per_image", "{:.3f}"),
        "precision": ("precision", "{:.3f}"),
        "recall": ("recall", "{:.3f}"),
    }
    rows = {
        score.lesion: {
            title: form.format(getattr(score, name)) for title, (name, form) in columns.items()
        }
        for score in scores
    }
    averaged = ("AUC-PR", "AUC-ROC", "Dice, pooled", "Dice, per image")
    rows["mean"] = {
        title: form.format(np.mean([getattr(score, name) for score in scores]))
        if title in averaged
        else ""
        for title, (name, form) in columns.items()
    }
    return rows
