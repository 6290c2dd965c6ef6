"""What the figures mean, in words: it goes with them wherever they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from tp_drseg.evaluation.regions import MATCHING_SHARE


class Pixels(StrEnum):
    """Which pixels of a photograph are scored."""

    FIELD_OF_VIEW = "field-of-view"
    ALL = "all"


_SCORED: Mapping[Pixels, str] = {
    Pixels.FIELD_OF_VIEW: "Those of the original photograph, inside the field of view; pixels that "
    "the annotators left undecided are not scored.",
    Pixels.ALL: "All of the original photograph, its black surround included, which raises "
    "AUC-ROC; pixels that the annotators left undecided are not scored.",
}
_AREA: Mapping[Pixels, str] = {Pixels.FIELD_OF_VIEW: "field of view", Pixels.ALL: "photograph"}


def area_name(pixels: Pixels) -> str:
    """Name what the scored pixels of a photograph are its share of."""
    return _AREA[pixels]


def conventions(pixels: Pixels = Pixels.FIELD_OF_VIEW) -> dict[str, str]:
    """Return what the figures mean, by title.

    Args:
        pixels: Which pixels were scored.
    """
    return {
        "Pixels": _SCORED[pixels],
        "Pooled": "The pixels of all photographs form one pool that is scored once; a photograph "
        "without the lesion counts in it, all as background.",
        "AUC-PR": "The step-wise average precision, as scikit-learn's average_precision_score, "
        "pooled; by chance it is the lesion's share of pixels. With 11 thresholds: the area by the "
        "trapezoid rule under precision and recall at 0, 0.1, ..., 1, as some papers give it.",
        "AUC-ROC": "The area under the ROC curve, pooled.",
        "Per image": "The mean over the photographs that have the lesion; where nothing is marked "
        "on one of them, its Dice, IoU, sensitivity and precision are 0.",
        "Empty masks": "A photograph without the lesion has no figure per image; what is marked "
        "there counts in the pooled figures and the false positives.",
        "Operating point": "A pixel is marked when its probability is at least the lesion's "
        "threshold; Dice, IoU, sensitivity, precision and all about single lesions are taken "
        "there.",
        "Single lesions": "Regions whose pixels touch at a side or a corner. A lesion is detected "
        f"when at least {MATCHING_SHARE:.0%} of its pixels are marked; a marked region is a false "
        f"positive when less than {MATCHING_SHARE:.0%} of its pixels are lesion. False positives "
        "are counted on all annotated photographs.",
        "Lesion-free photographs": f"Their marks are given as share of the {area_name(pixels)}, at "
        "the operating point, mean over the photographs and on the worst of them; they are in no "
        "other figure.",
        "Mean": "Over the lesions that at least one photograph has.",
        "Intervals": "95 %, percentile bootstrap over photographs, where at least two have the "
        "lesion. They say how much the figures depend on which photographs were scored, not on "
        "how the model was trained.",
    }


def convention_text(pixels: Pixels = Pixels.FIELD_OF_VIEW) -> str:
    """Return `conventions` as one text."""
    return " ".join(f"{title}: {text}" for title, text in conventions(pixels).items())
