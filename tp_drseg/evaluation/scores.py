"""What an evaluation gives: figures of each lesion and of each photograph."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tp_drseg.evaluation.bootstrap import Interval
from tp_drseg.evaluation.metrics import PixelCurve
from tp_drseg.evaluation.predictions import Descriptions
from tp_drseg.evaluation.regions import MATCHING_SHARE

CONVENTIONS: Mapping[str, str] = {
    "Pixels": "Those of the original photograph, inside the field of view; pixels that the "
    "annotators left undecided are not scored.",
    "Pooled": "The pixels of all photographs form one pool that is scored once; a photograph "
    "without the lesion counts in it, all as background. AUC-PR is the step-wise average "
    "precision, AUC-ROC the area under the ROC curve.",
    "Per image": "The mean over the photographs that have the lesion; where nothing is marked on "
    "one of them, its Dice, IoU, sensitivity and precision are 0.",
    "Empty masks": "A photograph without the lesion has no figure per image; what is marked there "
    "counts in the pooled figures and the false finds.",
    "Operating point": "A pixel is marked when its probability is at least the lesion's threshold; "
    "Dice, IoU, sensitivity, precision and all about single lesions are taken there.",
    "Single lesions": "Regions whose pixels touch at a side or a corner. A lesion is found when at "
    f"least {MATCHING_SHARE:.0%} of its pixels are marked; a marked region is a false find when "
    f"less than {MATCHING_SHARE:.0%} of its pixels are lesion. False finds are counted on all "
    "annotated photographs.",
    "Lesion-free photographs": "Their marks are given as share of the field of view, at the "
    "operating point, mean over the photographs and on the worst of them; they are in no other "
    "figure.",
    "Mean": "Over the lesions that at least one photograph has.",
    "Intervals": "95 %, percentile bootstrap over photographs, where at least two have the lesion. "
    "They say how much the figures depend on which photographs were scored, not on how the model "
    "was trained.",
}
"""What the figures mean, by title. It goes with them wherever they are shown."""

CONVENTION = " ".join(f"{title}: {text}" for title, text in CONVENTIONS.items())
"""The same as one text."""

NAN = float("nan")


@dataclass(frozen=True)
class PhotographScore:
    """One lesion on one photograph, at the operating point.

    Attributes:
        photograph: its name.
        pixels: how many were scored.
        positives: how many of them are lesion.
        marked: how many of them are marked.
        hits: how many of them are both.
        average_precision: AUC-PR of this photograph; NaN without the lesion.
        roc_auc: AUC-ROC, likewise.
        lesions: regions of the true mask.
        found: how many of them are found.
        finds: marked regions.
        false_finds: how many of them are false.
    """

    photograph: str
    pixels: int
    positives: int
    marked: int
    hits: int
    average_precision: float
    roc_auc: float
    lesions: int
    found: int
    finds: int
    false_finds: int

    @property
    def dice(self) -> float:
        """Dice coefficient; NaN without the lesion."""
        return 2 * self.hits / (self.positives + self.marked) if self.positives else NAN

    @property
    def iou(self) -> float:
        """Intersection over union; NaN without the lesion."""
        return self.hits / (self.positives + self.marked - self.hits) if self.positives else NAN

    @property
    def sensitivity(self) -> float:
        """Share of the lesion's pixels that are marked; NaN without the lesion."""
        return self.hits / self.positives if self.positives else NAN

    @property
    def precision(self) -> float:
        """Share of lesion among marked pixels, 0 where none is; NaN without the lesion."""
        return self.hits / max(1, self.marked) if self.positives else NAN


@dataclass(frozen=True)
class Figures:
    """Figures in [0, 1], with what `CONVENTION` says; NaN where a figure does not exist.

    Attributes:
        average_precision: AUC-PR, pooled.
        roc_auc: AUC-ROC, pooled.
        pooled_dice: Dice coefficient, pooled.
        pooled_iou: intersection over union, pooled.
        sensitivity: share of the lesion's pixels that are marked, pooled.
        precision: share of lesion among the marked pixels, pooled.
        average_precision_per_image: mean over the photographs that have the lesion, as are all
            figures per image.
        roc_auc_per_image: likewise.
        dice_per_image: likewise.
        iou_per_image: likewise.
        sensitivity_per_image: likewise.
        precision_per_image: likewise.
        share_found: share of the single lesions that are found.
        false_finds_per_photograph: how many false finds a photograph has; may be above 1.
        intervals: 95 % interval by the name of each figure above; empty without bootstrap.
    """

    average_precision: float
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
    share_found: float
    false_finds_per_photograph: float
    intervals: Mapping[str, Interval]


FIGURES = tuple(f.name for f in dataclasses.fields(Figures) if f.name != "intervals")


@dataclass(frozen=True)
class FrocPoint:
    """A point of the free-response curve.

    Attributes:
        threshold: in [0, 1].
        share_found: share of the single lesions found, in [0, 1]; NaN when there are none.
        false_finds_per_photograph: on the annotated photographs.
    """

    threshold: float
    share_found: float
    false_finds_per_photograph: float


@dataclass(frozen=True)
class LesionFreeScore:
    """What is marked on photographs that have no lesion at all.

    Attributes:
        photographs: how many were looked at.
        with_mark: how many of them have a mark of this lesion.
        marked_mean: share of the field of view that is marked, in [0, 1], mean over them.
        marked_max: the largest share on one of them.
        finds_per_photograph: marked regions, mean over them.
        interval: 95 % interval of `marked_mean`; `None` without bootstrap.
    """

    photographs: int
    with_mark: int
    marked_mean: float
    marked_max: float
    finds_per_photograph: float
    interval: Interval | None


@dataclass(frozen=True)
class LesionScore(Figures):
    """How well one lesion is found.

    Attributes:
        lesion: catalog name.
        photographs: how many were scored, those annotated for it.
        with_lesion: how many of them have the lesion.
        prevalence: share of lesion among the scored pixels: what AUC-PR is by chance.
        threshold: the operating point.
        chosen_on: on what it was chosen, as the model's config says; empty when unknown.
        lesions: single lesions on all photographs.
        found: how many of them are found.
        false_finds: finds that are none.
        best_threshold: threshold of the highest pooled Dice on these very photographs.
        best_dice: that Dice. It flatters: it is no result.
        lesion_free: what is marked on lesion-free photographs; `None` when none were given.
        froc: the free-response curve; empty when not asked for.
        curve: all scored pixels.
        cases: each photograph's own figures.
    """

    lesion: str
    photographs: int
    with_lesion: int
    prevalence: float
    threshold: float
    chosen_on: str
    lesions: int
    found: int
    false_finds: int
    best_threshold: float
    best_dice: float
    lesion_free: LesionFreeScore | None
    froc: tuple[FrocPoint, ...]
    curve: PixelCurve = field(repr=False, compare=False)
    cases: tuple[PhotographScore, ...] = field(repr=False)

    @property
    def missed(self) -> int:
        """Single lesions that are not found."""
        return self.lesions - self.found


@dataclass(frozen=True)
class Evaluation:
    """All lesions, asked for with one kind of descriptions; iterating gives their scores.

    Attributes:
        descriptions: the kind of descriptions.
        lesions: in the order of the catalog.
        mean: mean of each figure over the lesions that at least one photograph has.
        photographs: names of the annotated photographs that were scored.
        lesion_free: names of the lesion-free photographs.
        draws: of the bootstrap; 0 for none.
        seed: of the bootstrap.
    """

    descriptions: Descriptions
    lesions: tuple[LesionScore, ...]
    mean: Figures
    photographs: tuple[str, ...]
    lesion_free: tuple[str, ...]
    draws: int
    seed: int

    def __iter__(self) -> Iterator[LesionScore]:
        return iter(self.lesions)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: everything but the curves; a figure that does not exist is `None`."""
        lesions = [
            {f.name: getattr(score, f.name) for f in dataclasses.fields(score) if f.name != "curve"}
            for score in self.lesions
        ]
        return {
            "mean": _plain(self.mean),
            "lesions": [_plain(row) for row in lesions],
            "bootstrap": {"draws": self.draws, "seed": self.seed},
        }


def _plain(value: Any) -> Any:
    """Only what JSON knows: it has no NaN and no dataclass."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and value != value else value
