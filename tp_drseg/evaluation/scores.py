"""What an evaluation gives: figures of each lesion and of each photograph."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tp_drseg.evaluation.bootstrap import Interval, percentile_interval
from tp_drseg.evaluation.convention import Pixels
from tp_drseg.evaluation.held_out import Split
from tp_drseg.evaluation.metrics import PixelCurve
from tp_drseg.evaluation.predictions import Descriptions
from tp_drseg.evaluation.regions import RegionCounts

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NAN = float("nan")


@dataclass(frozen=True)
class PhotographScore:
    """One lesion on one photograph, at the operating point.

    Attributes:
        photograph: Its name.
        pixels: How many were scored.
        positives: How many of them are lesion.
        predicted: How many of them are marked.
        true_positives: How many of them are both.
        average_precision: AUC-PR of this photograph; NaN without the lesion.
        roc_auc: AUC-ROC, likewise.
        regions: Its single lesions and detections.
    """

    photograph: str
    pixels: int
    positives: int
    predicted: int
    true_positives: int
    average_precision: float
    roc_auc: float
    regions: RegionCounts

    @property
    def dice(self) -> float:
        """Dice coefficient; NaN without the lesion."""
        both = self.positives + self.predicted
        return 2 * self.true_positives / both if self.positives else NAN

    @property
    def iou(self) -> float:
        """Intersection over union; NaN without the lesion."""
        either = self.positives + self.predicted - self.true_positives
        return self.true_positives / either if self.positives else NAN

    @property
    def sensitivity(self) -> float:
        """Share of the lesion's pixels that are marked; NaN without the lesion."""
        return self.true_positives / self.positives if self.positives else NAN

    @property
    def precision(self) -> float:
        """Share of lesion among marked pixels, 0 where none is; NaN without the lesion."""
        return self.true_positives / max(1, self.predicted) if self.positives else NAN

    @property
    def predicted_share(self) -> float:
        """Share of the scored pixels that is marked, in [0, 1]."""
        return self.predicted / max(1, self.pixels)


@dataclass(frozen=True)
class Figures:
    """Figures in [0, 1], each under its convention; NaN where a figure does not exist.

    Attributes:
        average_precision: AUC-PR, pooled, step-wise.
        average_precision_at_11: AUC-PR, pooled, of 11 thresholds; only to compare with papers.
        roc_auc: AUC-ROC, pooled.
        pooled_dice: Dice coefficient, pooled.
        pooled_iou: Intersection over union, pooled.
        sensitivity: Share of the lesion's pixels that are marked, pooled.
        precision: Share of lesion among the marked pixels, pooled.
        average_precision_per_image: Mean over the photographs that have the lesion, as are all
            figures per image but the last.
        roc_auc_per_image: Likewise.
        dice_per_image: Likewise.
        iou_per_image: Likewise.
        sensitivity_per_image: Likewise.
        precision_per_image: Likewise.
        lesion_sensitivity: Share of the single lesions that are detected.
        false_positives_per_image: False detections, mean over all annotated photographs; may be
            above 1.
        draws: Each figure above in each draw of the bootstrap, `(draws,)`, by its name; empty
            without bootstrap.
    """

    average_precision: float
    average_precision_at_11: float
    roc_auc: float
    pooled_dice: float
    pooled_iou: float
    sensitivity: float
    precision: float
    average_precision_per_image: float
    roc_auc_per_image: float
    dice_per_image: float
    iou_per_image: float
    sensitivity_per_image: float
    precision_per_image: float
    lesion_sensitivity: float
    false_positives_per_image: float
    draws: Mapping[str, NDArray[np.float64]] = field(repr=False, compare=False)

    @cached_property
    def intervals(self) -> Mapping[str, Interval]:
        """The 95 % interval of each figure by its name; empty without bootstrap."""
        return {name: percentile_interval(values) for name, values in self.draws.items()}


FIGURES = tuple(f.name for f in dataclasses.fields(Figures) if f.name != "draws")


@dataclass(frozen=True)
class FrocPoint:
    """A point of the free-response curve.

    Attributes:
        threshold: In [0, 1].
        lesion_sensitivity: Share of the single lesions detected, in [0, 1]; NaN when there are
            none.
        false_positives_per_image: On the annotated photographs.
    """

    threshold: float
    lesion_sensitivity: float
    false_positives_per_image: float


@dataclass(frozen=True)
class LesionFreeScore:
    """What is marked on photographs that have no lesion at all.

    Attributes:
        photographs: How many were looked at.
        with_mark: How many of them have a mark of this lesion.
        marked_mean: Share of the scored pixels that is marked, in [0, 1], mean over them.
        marked_max: The largest share on one of them.
        detections_per_image: Marked regions, mean over them.
        interval: 95 % interval of `marked_mean`; `None` without bootstrap.
    """

    photographs: int
    with_mark: int
    marked_mean: float
    marked_max: float
    detections_per_image: float
    interval: Interval | None


@dataclass(frozen=True)
class LesionScore(Figures):
    """How well one lesion is segmented.

    Attributes:
        lesion: Catalog name.
        photographs: How many were scored, those annotated for it.
        with_lesion: How many of them have the lesion.
        prevalence: Share of lesion among the scored pixels: what AUC-PR is by chance.
        thresholds: The operating point; those of all models where several were pooled.
        chosen_on: On what it was chosen, as the model's config says; empty when unknown.
        average_precision_bounds: Between these the average precision of the probabilities lies
            that were not binned; both NaN when no photograph has the lesion.
        lesions: Single lesions on all photographs.
        detected: How many of them are detected.
        false_positives: Detections that are none.
        oracle_threshold: Threshold of the highest pooled Dice on these very photographs.
        oracle_dice: That Dice. It is chosen on what it is measured on, so it is no result.
        lesion_free: What is marked on lesion-free photographs; `None` when none were given.
        froc: The free-response curve; empty when not asked for.
        curve: All scored pixels.
        per_photograph: Each photograph's own figures.
    """

    lesion: str
    photographs: int
    with_lesion: int
    prevalence: float
    thresholds: tuple[float, ...]
    chosen_on: tuple[str, ...]
    average_precision_bounds: tuple[float, float]
    lesions: int
    detected: int
    false_positives: int
    oracle_threshold: float
    oracle_dice: float
    lesion_free: LesionFreeScore | None
    froc: tuple[FrocPoint, ...]
    curve: PixelCurve = field(repr=False, compare=False)
    per_photograph: tuple[PhotographScore, ...] = field(repr=False)

    @property
    def missed(self) -> int:
        """Single lesions that are not detected."""
        return self.lesions - self.detected


@dataclass(frozen=True)
class Evaluation:
    """All lesions, asked for with one kind of descriptions; iterating gives their scores.

    Attributes:
        descriptions: The kind of descriptions.
        pixels: Which pixels were scored.
        lesions: In the order of the catalog.
        mean: Mean of each figure over the lesions that at least one photograph has.
        photographs: Names of the annotated photographs that were scored, sorted.
        lesion_free: Names of the lesion-free photographs, sorted.
        split: Whether they were held out from what the model learned from.
        bootstrap: How many draws were made; 0 for none.
        seed: Of the draws.
    """

    descriptions: Descriptions
    pixels: Pixels
    lesions: tuple[LesionScore, ...]
    mean: Figures
    photographs: tuple[str, ...]
    lesion_free: tuple[str, ...]
    split: Split
    bootstrap: int
    seed: int

    def __iter__(self) -> Iterator[LesionScore]:
        return iter(self.lesions)

    def __getitem__(self, lesion: str) -> LesionScore:
        """Return the score of a lesion by its catalog name.

        Raises:
            KeyError: The model does not know it.
        """
        for score in self.lesions:
            if score.lesion == lesion:
                return score
        raise KeyError(lesion)

    def to_dict(self) -> dict[str, object]:
        """Return everything but curves and draws for JSON; a figure that does not exist is null."""
        return {
            "mean": _figures(self.mean),
            "lesions": [
                _figures(score) | {name: _plain(getattr(score, name)) for name in _OF_A_LESION}
                for score in self.lesions
            ],
            "split": {"held_out": self.split.held_out, **_object(self.split)},
            "bootstrap": {"draws": self.bootstrap, "seed": self.seed},
        }


_OF_A_LESION = tuple(
    f.name
    for f in dataclasses.fields(LesionScore)
    if f.name not in ("curve", *(f.name for f in dataclasses.fields(Figures)))
)


def _figures(figures: Figures) -> dict[str, object]:
    found = {name: _plain(getattr(figures, name)) for name in FIGURES}
    return found | {"intervals": _plain(figures.intervals)}


def _object(value: DataclassInstance) -> dict[str, object]:
    return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}


def _plain(value: object) -> object:
    """Only what JSON knows: it has no NaN and no dataclass."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _object(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and value != value else value
