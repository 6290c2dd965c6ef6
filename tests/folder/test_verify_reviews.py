from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.fake_model import run
from tests.support.review_server import png, served
from tp_drseg.folder.verify import verify_results


@pytest.fixture
def reviewed(photos: Path, out: Path) -> Path:
    """Results of which the first photograph was corrected."""
    run(photos, out)
    with served(out) as server:
        server.draw(server.photographs()[0], png(np.eye(40, 48)))
        server.change(server.photographs()[1], state="accepted")
    return out


def problems(out: Path) -> dict[str, str]:
    return {problem.name: problem.what for problem in verify_results(out).problems}


def test_corrections_are_known(reviewed: Path) -> None:
    found = verify_results(reviewed)
    assert not found.problems and not found.unknown


def test_a_changed_correction(reviewed: Path) -> None:
    for path in reviewed.rglob("*.png"):
        if "corrected" in path.name or ".tp-drseg" in path.parts:
            path.write_bytes(b"x")
    assert problems(reviewed) == {
        f"{name}.png.EX.corrected.png": "It is missing, or was changed since it was drawn."
        for name in "ab"
    }


def test_what_a_kill_leaves(reviewed: Path) -> None:
    (reviewed / "a.png.EX.corrected.png").unlink()
    assert "lacks the last stroke" in problems(reviewed)["a.png.EX.corrected.png"]
    with served(reviewed) as server:
        assert server.mended == 1
    assert not problems(reviewed)


def test_a_damaged_review_and_a_mask_that_nobody_knows(reviewed: Path) -> None:
    (reviewed / "a.png.review.json").write_text("{")
    (reviewed / "c.png.EX.corrected.png").write_bytes(png(np.eye(40, 48)))
    assert "damaged" in problems(reviewed)["a.png.review.json"]
    found = verify_results(reviewed).unknown
    assert found == ("a.png.EX.corrected.png", "c.png.EX.corrected.png")
