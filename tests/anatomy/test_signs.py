"""Signs follow from what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tp_drseg.anatomy import Anatomy, Disc, Point, Signs, measure, read_signs

ANATOMY = Anatomy(Disc(350, 200, diameter=60), Point(200, 200), eye="right")
SIZE = (400, 400)


def dots(places: list[tuple[int, int]]) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, bool)
    for x, y in places:
        mask[y, x] = True
    return mask


def quadrant(count: int, x: int, y: int) -> list[tuple[int, int]]:
    """So many dots about a place, none touching another."""
    return [(x + 3 * (i % 6), y + 3 * (i // 6)) for i in range(count)]


def signs(anatomy: Anatomy = ANATOMY, **masks: NDArray[np.bool_]) -> Signs:
    names = {name.replace("_", " "): mask for name, mask in masks.items()}
    return read_signs(measure(names, anatomy))


@pytest.mark.parametrize(("counts", "met"), [((20, 20, 20, 20), True), ((20, 20, 20, 19), False)])
def test_the_first_part_of_the_4_2_1_rule(counts: tuple[int, ...], met: bool) -> None:
    places = [(250, 100), (100, 100), (250, 300), (100, 300)]
    mask = dots([dot for count, at in zip(counts, places, strict=True) for dot in
                 quadrant(count, *at)])  # fmt: skip
    found = signs(haemorrhage=mask)
    assert found.many_haemorrhages.value is met
    assert found.haemorrhage_quadrants.value == 4
    assert [found.haemorrhage_quadrants.numbers[name] for name in (
        "superior nasal", "superior temporal", "inferior nasal", "inferior temporal"
    )] == list(counts)  # fmt: skip


@pytest.mark.parametrize(
    ("places", "risk"),
    [([], 0), ([(200, 120)], 1), ([(200, 139)], 1), ([(200, 140)], 2), ([(200, 200)], 2)],
)
def test_the_risk_of_macular_oedema(places: list[tuple[int, int]], risk: int) -> None:
    assert signs(hard_exudate=dots(places)).macular_oedema_risk.value == risk


def test_what_was_not_asked_for_or_cannot_be_told_has_no_value() -> None:
    found = signs(Anatomy(), hard_exudate=dots([(3, 3)]), haemorrhage=dots([(9, 9)]))
    assert found.macular_oedema_risk.value is None
    assert found.haemorrhage_quadrants.value is None
    assert found.many_haemorrhages.value is False  # one is not eighty, wherever it is
    assert found.microaneurysms.value is None
    assert "not asked for" in found.microaneurysms.text
    healthy = signs(Anatomy(), hard_exudate=dots([]), haemorrhage=dots([]))
    assert healthy.macular_oedema_risk.value == 0
    assert healthy.haemorrhage_quadrants.value == 0
    many = signs(Anatomy(), haemorrhage=dots(quadrant(90, 50, 50)))
    assert many.many_haemorrhages.value is None


def test_presence_is_a_count_above_none() -> None:
    found = signs(microaneurysm=dots([(5, 5), (9, 9)]), soft_exudate=dots([]))
    assert found.microaneurysms.value is True
    assert found.microaneurysms.numbers == {"count": 2}
    assert found.cotton_wool_spots.value is False


def test_every_sign_has_its_numbers_and_the_whole_says_what_it_is() -> None:
    found = signs(haemorrhage=dots([(3, 3)]), hard_exudate=dots([(200, 150)]))
    for sign in found.all():
        assert sign.text.endswith(".")
    assert "0.83 disc diameters" in found.macular_oedema_risk.text
    assert "research" in found.notice
    assert "beading" in found.notice
