"""The photographs on which a model does best and worst, as small pictures for a report."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tp_drseg.evaluation.predictions import Descriptions, Prediction
from tp_drseg.evaluation.scores import PhotographScore
from tp_drseg.export.colours import RGB
from tp_drseg.export.overlay import Layer, draw_layers

TRUTH: RGB = (86, 180, 233)  # sky blue and yellow of Okabe and Ito's palette
MARKED: RGB = (240, 228, 66)
WHOLE = 640
"""Longest side of the picture of a whole photograph, in pixels."""
DETAIL = 480
"""Side of the picture of a detail, in pixels."""
_DETAIL_SHARE = 0.18  # of the photograph's longest side that a detail shows


@dataclass(frozen=True)
class Exhibit:
    """One lesion on one photograph, outlined.

    Attributes:
        score: Its figures.
        whole: The photograph, as JPEG.
        detail: The part of it with most to see, as JPEG.
    """

    score: PhotographScore
    whole: bytes
    detail: bytes


_Ranked = dict[str, list[tuple[float, Exhibit]]]


class Gallery:
    """Keeps a few exhibits of each lesion while an evaluation runs: a `watch` of `evaluate`.

    Of photographs with the lesion those of the highest and of the lowest Dice, of photographs
    without it those with most marked pixels. Only the model's own descriptions count.

    Args:
        each: How many of each sort.
    """

    def __init__(self, each: int = 3) -> None:
        self.each = each
        self._best: _Ranked = {}
        self._worst: _Ranked = {}
        self._false: _Ranked = {}

    def __call__(
        self, prediction: Prediction, mask: NDArray[np.bool_], score: PhotographScore
    ) -> None:
        """Keep the exhibit if it is one of the best or worst so far."""
        if prediction.descriptions is not Descriptions.OWN:
            return
        if score.positives:
            self._offer(self._best, -score.dice, prediction, mask, score)
            self._offer(self._worst, score.dice, prediction, mask, score)
        elif score.predicted:
            self._offer(self._false, -score.predicted_share, prediction, mask, score)

    def best(self, lesion: str) -> list[Exhibit]:
        """Return those of the highest Dice, from the highest down."""
        return [exhibit for _, exhibit in self._best.get(lesion, [])]

    def worst(self, lesion: str) -> list[Exhibit]:
        """Return those of the lowest Dice, from the lowest up, none that is among the best."""
        best = {exhibit.score.photograph for exhibit in self.best(lesion)}
        worst = [exhibit for _, exhibit in self._worst.get(lesion, [])]
        return [exhibit for exhibit in worst if exhibit.score.photograph not in best]

    def false_positives(self, lesion: str) -> list[Exhibit]:
        """Return photographs without the lesion, from the largest share of marked pixels down."""
        return [exhibit for _, exhibit in self._false.get(lesion, [])]

    def _offer(
        self,
        kept: _Ranked,
        rank: float,
        prediction: Prediction,
        mask: NDArray[np.bool_],
        score: PhotographScore,
    ) -> None:
        exhibits = kept.setdefault(prediction.lesion, [])
        if len(exhibits) == self.each and rank >= exhibits[-1][0]:
            return
        exhibits.append((rank, draw_exhibit(prediction, mask, score)))
        exhibits.sort(key=lambda entry: entry[0])
        del exhibits[self.each :]


def draw_exhibit(
    prediction: Prediction, mask: NDArray[np.bool_], score: PhotographScore
) -> Exhibit:
    """Outline truth and marks on the whole photograph, and on the detail with most of them."""
    image, truth = prediction.image, prediction.truth
    height, width = truth.shape
    scale = min(1.0, WHOLE / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    whole = outlined(
        np.asarray(Image.fromarray(image).resize(small, Image.Resampling.LANCZOS)),
        _shrunk(truth, small),
        _shrunk(mask, small),
    )
    window = busiest_window(truth | mask, max(16, round(_DETAIL_SHARE * max(height, width))))
    part = Image.fromarray(image[window]).resize((DETAIL, DETAIL), Image.Resampling.LANCZOS)
    detail = outlined(np.asarray(part), *(_stretched(m[window]) for m in (truth, mask)))
    return Exhibit(score, _jpeg(whole), _jpeg(detail))


def outlined(
    image: NDArray[np.uint8], truth: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> Image.Image:
    """Draw the truth's outline, wide, and over it that of the marks, thin: both show."""
    below = draw_layers(image, [Layer(truth, TRUTH)], fill=0, line_width=3)
    return draw_layers(np.asarray(below), [Layer(mask, MARKED)], fill=0, line_width=1)


def busiest_window(mask: NDArray[np.bool_], side: int) -> tuple[slice, slice]:
    """Find the square with about the most true pixels, most of all near its middle.

    Args:
        mask: `(H, W)` bool.
        side: Of the square, in pixels; at most the image's.

    Returns:
        Rows and columns. The square is looked for in steps of an eighth of its side.
    """
    height, width = mask.shape
    side = min(side, height, width)
    step = max(1, side // 8)
    rows, columns = np.arange(0, height, step), np.arange(0, width, step)
    counts = np.add.reduceat(np.add.reduceat(mask.astype(np.int64), rows, 0), columns, 1)
    # a bell of the square's width, not a box: what is alone stands in the middle, not at an edge
    near = ndimage.gaussian_filter(counts.astype(np.float64), sigma=2, mode="constant")
    row, column = np.unravel_index(int(np.argmax(near)), near.shape)
    return _span(int(row) * step, side, height), _span(int(column) * step, side, width)


def _span(centre: int, side: int, length: int) -> slice:
    start = min(max(0, centre - side // 2), max(0, length - side))
    return slice(start, min(length, start + side))


def _shrunk(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask made small; a lesion of one pixel stays."""
    grey = Image.fromarray(mask.astype(np.float32))
    return np.asarray(grey.resize(size, Image.Resampling.BOX)) > 0


def _stretched(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(Image.fromarray(mask).resize((DETAIL, DETAIL), Image.Resampling.NEAREST))


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()
