from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from tp_drseg.corrections.record import MOST_STEPS, Review, Step, forget_oldest

WHEN = datetime(2026, 1, 2, tzinfo=UTC)


def step(number: int, lesion: str = "hard exudate", **fields: Any) -> Step:
    return Step(
        lesion=lesion,
        label="EX",
        action="brush",
        mask=f"{number:064x}",
        area_px=1,
        by="Anna",
        when=WHEN,
        **fields,
    )


def review(**fields: Any) -> Review:
    given: dict[str, Any] = {
        "image": "eye.jpg",
        "source": "/eye.jpg",
        "sha256": "0" * 64,
        "by": "Anna",
    }
    return Review(**(given | {"width": 48, "height": 40, "when": WHEN} | fields))


def test_steps_are_undone_and_done_again() -> None:
    found = review().with_step(step(1)).with_step(step(2)).with_step(step(3, "microaneurysm"))
    assert (found.state, found.revision, found.position) == ("started", 3, 3)
    last = found.last_step("hard exudate")
    assert last is not None and last.mask == f"{2:064x}"
    back = found.moved(-1).moved(-1)
    last = back.last_step("hard exudate")
    assert last is not None and last.mask == f"{1:064x}"
    assert back.last_step("microaneurysm") is None
    assert back.moved(1).moved(1).steps == found.steps
    start = back.moved(-1)
    assert start.state == "new" and start.last_step("hard exudate") is None
    with pytest.raises(ValueError, match="undo"):
        start.moved(-1)
    with pytest.raises(ValueError, match="redo"):
        found.moved(1)


def test_a_step_after_undoing_takes_the_place_of_what_was_undone() -> None:
    found = review().with_step(step(1)).with_step(step(2)).moved(-1).with_step(step(3))
    assert [one.mask for one in found.steps] == [f"{1:064x}", f"{3:064x}"]


def test_the_oldest_steps_are_forgotten_but_for_the_last_of_a_lesion() -> None:
    steps = [step(0, "microaneurysm"), *(step(n) for n in range(1, MOST_STEPS + 5))]
    kept = forget_oldest(steps)
    assert len(kept) == MOST_STEPS
    assert kept[0].lesion == "microaneurysm" and kept[-1] == steps[-1]
    assert kept[1].mask == f"{6:064x}"
    many = [step(n, f"lesion {n}") for n in range(MOST_STEPS + 5)]
    assert list(forget_oldest(many)) == many  # each is its lesion's mask


@pytest.mark.parametrize(
    "fields",
    [
        {"position": 1},
        {"state": "perhaps"},
        {"sha256": "x"},
        {"width": -1},
        {"image": ""},
        {"unknown": 1},
        {"note": "x" * 3000},
    ],
)
def test_what_is_not_as_it_must_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        review(**fields)


def test_thresholds_are_256ths_between_the_ends() -> None:
    assert step(1, level=255).level == 255
    for level in (0, 256):
        with pytest.raises(ValidationError):
            step(1, level=level)
