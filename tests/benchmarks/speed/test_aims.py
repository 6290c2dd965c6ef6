from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.speed.aims import BOUND_BY, aims
from benchmarks.speed.options import SECTIONS

Record = Callable[..., dict[str, Any]]


def test_report_says_which_aims_were_reached(
    record: Record, values: Mapping[str, Mapping[str, Any]]
) -> None:
    within = {**values["whole"], "logit_difference": 5e-4}
    found = aims(
        [
            *(record(name) for name in SECTIONS if name not in ("card", "tiled")),
            record("card", size="vit_b", device="cuda"),
            record("whole", size="vit_b", dtype="float32", values=within),
            record("whole", device="cuda"),
        ]
    )
    assert {aim.id: aim.reached for aim in found} == {
        "whole.speed/tiny/auto": True,
        "whole.masks/tiny/auto": False,
        "whole.speed/vit_b/float32": True,
        "whole.logits/vit_b/float32": True,
        "session.second/tiny/auto": True,
        "session.click/tiny/auto": True,
        "folder.time/tiny/auto": True,
        "folder.memory/tiny/auto": True,
        "folder.growth/tiny/auto": False,
        "startup.help_over_typer": True,
        "startup.load_over_libraries": True,
        "card.floor/vit_b/auto/not compiled/1": False,
        "card.floor/vit_b/auto/not compiled/8": True,
    }
    assert len({aim.name for aim in found}) == len(found)


def test_what_bounds_an_aim_is_known_by_its_id(
    record: Record, values: Mapping[str, Mapping[str, Any]]
) -> None:
    slow = {"shares": {"second": 0.7, "click": 0.05}}
    second, click = aims([record("session", size="vit_b", values=slow)])
    assert second.bound_by == BOUND_BY[second.id] and click.bound_by is None
    times = {"4": {**values["whole"]["times"]["4"], "ratio": 2.0}}
    speed = aims([record("whole", size="vit_b", values={**values["whole"], "times": times})])[0]
    assert speed.bound_by == BOUND_BY[speed.id]
