"""Degradations do what they say, and a limit is where a curve crosses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.quality.curves import StepMeasured, find_limit
from benchmarks.quality.degrade import DEGRADATIONS
from benchmarks.quality.report import page
from tp_drseg.images import (
    QUALITY_DIAMETER,
    QualityNumbers,
    assess_quality,
    find_field_of_view,
    frame_photograph,
    read_image,
)
from tp_drseg.images.quality_numbers import measure_quality


def step(level: float | None, sensitivity: float, number: float) -> StepMeasured:
    return StepMeasured(level, {"MA": sensitivity, "EX": 0.8}, {"sharpness": number})


def numbers(pixels: NDArray[np.uint8]) -> QualityNumbers:
    field = find_field_of_view(pixels)
    return measure_quality(frame_photograph(pixels, field, QUALITY_DIAMETER))


def test_a_limit_lies_between_the_steps_about_it() -> None:
    steps = [step(None, 0.6, 0.5), step(1, 0.54, 0.4), step(3, 0.24, 0.2)]
    limit = find_limit(steps, "sharpness", 0.75)
    assert limit is not None
    assert limit.lesion == "MA"
    assert limit.level == pytest.approx(1.6)  # 0.45 is three tenths of the way from 0.54 to 0.24
    assert limit.value == pytest.approx(0.34)
    assert find_limit(steps[:2], "sharpness", 0.75) is None
    assert "three quarters left" in page({"blur": steps}, "Drawn.")


@pytest.mark.parametrize("name", ["blur", "under-exposure", "over-exposure", "haze", "shrinking"])
def test_each_degradation_moves_its_number(name: str, retina: NDArray[np.uint8]) -> None:
    degradation = DEGRADATIONS[name]
    inside = find_field_of_view(retina).mask
    spoiled = degradation.change(retina, inside, degradation.levels[-1])
    before, after = (
        float(getattr(numbers(pixels), degradation.number)) for pixels in (retina, spoiled)
    )
    if name == "over-exposure":
        assert after > before + 0.1
    else:
        assert after < 0.6 * before


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_numbers_hardly_depend_on_the_size(scale: float) -> None:
    retina = read_image("examples/retina.jpg")
    degradation = DEGRADATIONS["shrinking"]
    inside = find_field_of_view(retina).mask
    start = degradation.change(retina, inside, 1390)
    other = degradation.change(retina, inside, 1390 * max(scale, 0.8))
    first, second = vars(numbers(start)), vars(numbers(other))
    for name in ("brightness", "clipped", "unevenness", "cast", "field_seen"):
        assert second[name] == pytest.approx(first[name], rel=0.05, abs=0.01)
    framed = frame_photograph(other, find_field_of_view(other), QUALITY_DIAMETER)
    assert assess_quality(framed).verdict == "good"
