from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tp_drseg.errors import LesionError, PromptError
from tp_drseg.inference.request import Prompt, as_prompt, as_prompts
from tp_drseg.lesions import LesionCatalog

CATALOG = LesionCatalog.default()


def test_what_people_have_becomes_one_form() -> None:
    prompt = Prompt(
        "EX",
        "pale dots",
        np.array([[1, 2], [3, 4]]),  # type: ignore[arg-type]
        np.array([1, 0]),  # type: ignore[arg-type]
        [[0, 0, 5, 5]],
        np.float32(0.25),  # type: ignore[arg-type]
    )
    assert prompt == Prompt(
        "EX", ("pale dots",), ((1.0, 2.0), (3.0, 4.0)), (1, 0), ((0.0, 0.0, 5.0, 5.0),), 0.25
    )
    assert hash(prompt) == hash(Prompt(**vars(prompt)))
    assert type(prompt.threshold) is float and type(prompt.point_labels[0]) is int
    assert prompt.has_places and not Prompt("EX", threshold=0).has_places


UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"lesion": ""}, "names a lesion"),
    ({"lesion": 3}, "names a lesion"),
    ({"threshold": -0.1}, r"\[0, 1\], got -0.1"),
    ({"threshold": 1.1}, r"\[0, 1\], got 1.1"),
    ({"threshold": float("nan")}, "got nan"),
    ({"threshold": "0.5"}, "got 0.5"),
    ({"threshold": True}, "got True"),
    ({"threshold": [0.5]}, "got nan"),
    ({"descriptions": [" \n"]}, "description"),
    ({"descriptions": ["a text", ""]}, "description"),
    ({"descriptions": ["a text", 3]}, "description"),
    ({"descriptions": ["a"] * 1001}, "too many"),
    ({"point_coords": [(80, 60)]}, "one label for each point"),
    ({"point_labels": [1]}, "one label for each point"),
    ({"point_coords": [(80, 60)], "point_labels": [2]}, "label must be 1"),
    ({"point_coords": [(80, 60)], "point_labels": [0.5]}, "label must be 1"),
    ({"point_coords": [(80, 60)], "point_labels": ["a"]}, "label must be 1"),
    ({"point_coords": [(float("nan"), 60)], "point_labels": [1]}, "point_coords must be finite"),
    ({"point_coords": [(80, 60, 1)], "point_labels": [1]}, "point_coords must be a list of"),
    ({"point_coords": (80, 60), "point_labels": [1]}, "point_coords must be a list of"),
    ({"point_coords": [("a", "b")], "point_labels": [1]}, "point_coords must be a list of"),
    ({"point_coords": 5, "point_labels": [1]}, "point_coords must be a list of"),
    ({"boxes": [(100, 40, 60, 80)]}, "left < right"),
    ({"boxes": [(60, 80, 100, 40)]}, "top < bottom"),
    ({"boxes": [(60, 40, 60, 80)]}, "left < right"),
    ({"boxes": [(60, 40, 100, float("inf"))]}, "boxes must be finite"),
    ({"boxes": [(60, 40, 100)]}, "boxes must be a list of"),
    ({"boxes": [(0, 0, 1, 1)] * 1001}, "at most 1000"),
]


@pytest.mark.parametrize(("fields", "message"), UNUSABLE)
def test_what_cannot_be_used(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        Prompt(**{"lesion": "EX", **fields})


def test_names_and_prompts_together() -> None:
    exudate = Prompt("hard exudates", ["pale dots"])
    prompts = as_prompts(["HE", exudate, "hemorrhage"], CATALOG)
    assert prompts == (Prompt("haemorrhage"), Prompt("hard exudate", ["pale dots"]))
    assert [p.lesion for p in as_prompts(None, CATALOG)] == list(CATALOG.names)
    assert as_prompts("EX", CATALOG) == (as_prompt("EX", CATALOG),)
    assert as_prompts((name for name in ["EX"]), CATALOG) == (Prompt("hard exudate"),)


def test_what_the_catalog_does_not_take() -> None:
    with pytest.raises(LesionError, match="'glaucoma'"):
        as_prompts(["EX", "glaucoma"], CATALOG)
    with pytest.raises(PromptError, match="list of lesions is empty"):
        as_prompts([], CATALOG)
    with pytest.raises(PromptError, match="hard exudate is asked for twice"):
        as_prompts(["EX", Prompt("hard exudate", threshold=0.3)], CATALOG)
    with pytest.raises(PromptError, match="name or a Prompt, got 3"):
        as_prompts([3], CATALOG)  # type: ignore[list-item]


def test_a_prompt_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from tp_drseg import Prompt; Prompt('EX')"
    subprocess.run([sys.executable, "-c", code], check=True)
