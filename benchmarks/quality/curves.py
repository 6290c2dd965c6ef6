"""Sensitivity and quality numbers along each degradation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.quality.degrade import DEGRADATIONS, Degradation, Pixels
from tp_drseg.images import find_field_of_view, frame_photograph
from tp_drseg.images.quality_numbers import QUALITY_DIAMETER, QualityNumbers, measure_quality
from tp_drseg.model import TPDRSeg

QUARTER, HALF = 0.75, 0.5
"""What is left of the sensitivity at the limits."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Annotated:
    """A photograph and the masks of its lesions, `(H, W)` bool by name."""

    pixels: Pixels = field(repr=False)
    masks: Mapping[str, Mask] = field(repr=False)


@dataclass(frozen=True)
class StepMeasured:
    """One level of a degradation over all photographs.

    Attributes:
        level: Of it; None for the photographs as they are.
        sensitivity: By lesion, over the pixels of all photographs, at the model's thresholds.
        numbers: The mean of each quality number.
    """

    level: float | None
    sensitivity: Mapping[str, float]
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Limit:
    """Where a lesion's sensitivity has fallen to a share of what it was.

    Attributes:
        lesion: The first that has.
        level: Of the degradation, between two steps; linear.
        value: The mean of the quality number there, likewise.
    """

    lesion: str
    level: float
    value: float


def measure_step(
    model: TPDRSeg,
    photographs: Sequence[Annotated],
    degradation: Degradation | None,
    level: float | None,
) -> StepMeasured:
    """Spoil all photographs by one level, and ask the model."""
    found: dict[str, int] = {}
    total: dict[str, int] = {}
    numbers: list[QualityNumbers] = []
    for photograph in photographs:
        pixels = photograph.pixels
        if degradation is not None and level is not None:
            inside = find_field_of_view(pixels).mask
            pixels = degradation.change(pixels, inside, level)
        view = find_field_of_view(pixels)
        numbers.append(measure_quality(frame_photograph(pixels, view, QUALITY_DIAMETER)))
        with model.open_quietly(pixels) as session:
            results = session.segment_many(list(photograph.masks))
        for result in results:
            truth = _scaled(photograph.masks[result.lesion], result.mask.shape)
            hit = int((result.mask & truth).sum())
            # by the area, so that a photograph counts the same at every size
            weight = truth.size
            found[result.lesion] = found.get(result.lesion, 0) + round(1e9 * hit / weight)
            total[result.lesion] = total.get(result.lesion, 0) + round(
                1e9 * int(truth.sum()) / weight
            )
    return StepMeasured(
        level,
        {lesion: found[lesion] / total[lesion] for lesion in total if total[lesion]},
        {
            name: float(np.mean([vars(one)[name] for one in numbers]))
            for name in QualityNumbers.__dataclass_fields__
        },
    )


def measure_all(
    model: TPDRSeg,
    photographs: Sequence[Annotated],
    names: Sequence[str],
    say: Callable[[str, StepMeasured], None],
) -> dict[str, list[StepMeasured]]:
    """Measure each degradation of the names, from the photographs as they are."""
    start = measure_step(model, photographs, None, None)
    say("as they are", start)
    curves = {}
    for name in names:
        degradation = DEGRADATIONS[name]
        curves[name] = [start]
        for level in degradation.levels:
            curves[name].append(measure_step(model, photographs, degradation, level))
            say(name, curves[name][-1])
    return curves


def find_limit(steps: Sequence[StepMeasured], number: str, left: float) -> Limit | None:
    """Return where the first lesion has so much left of its sensitivity; None if none has."""
    start = steps[0]
    for before, after in pairwise(steps):
        crossed = []
        for lesion, first in start.sensitivity.items():
            high, low = before.sensitivity[lesion] / first, after.sensitivity[lesion] / first
            if high > left >= low:
                crossed.append(((high - left) / (high - low), lesion))
        if crossed:
            share, lesion = min(crossed)
            level = after.level if before.level is None else before.level
            assert level is not None
            assert after.level is not None
            values = before.numbers[number], after.numbers[number]
            return Limit(
                lesion,
                level + share * (after.level - level),
                values[0] + share * (values[1] - values[0]),
            )
    return None


def _scaled(mask: Mask, shape: tuple[int, ...]) -> Mask:
    if mask.shape == shape:
        return mask
    size = (shape[1], shape[0])
    grey = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
    scaled: Mask = np.asarray(grey) >= 128
    return scaled
