from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.fake_model import photo, run
from tests.support.review_server import png, served
from tp_drseg.data import read_dataset, read_mask, read_review
from tp_drseg.errors import DataError, LesionError
from tp_drseg.lesions import Description, Lesion, LesionCatalog

CATALOG = LesionCatalog.default()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Of four photographs: one corrected, one accepted, one begun, one rejected."""
    for name in ("a.png", "b.png", "c.png", "d.png"):
        photo(tmp_path / "in" / name)
    run(tmp_path / "in", tmp_path / "out", lesions=["EX", "MA"])
    with served(tmp_path / "out") as server:
        one, two, three, four = server.photographs()
        one = server.draw(one, png(np.eye(40, 48))).data
        one = server.draw(one, png(np.zeros((40, 48))), lesion=1).data
        server.change(one, state="accepted")
        server.change(two, state="accepted")
        server.draw(three, png(np.eye(40, 48)))
        server.change(four, state="rejected")
    return tmp_path / "out"


def test_signed_masks_are_truth_and_nothing_else_is(results: Path, tmp_path: Path) -> None:
    first, second = read_dataset(results, "review", None, CATALOG)
    assert [first.name, second.name] == ["a.png", "b.png"]
    assert first.image == tmp_path / "in" / "a.png"
    drawn = read_mask(first.masks["hard exudate"], (40, 48))
    assert np.array_equal(drawn, np.eye(40, 48, dtype=bool))
    assert first.masks["microaneurysm"] is None  # wiped: annotated, and absent
    assert set(second.masks) == {"hard exudate", "microaneurysm"}  # "haemorrhage" was not asked
    assert read_mask(second.masks["hard exudate"], (40, 48)).sum() == 100


def test_after_a_kill_the_last_signed_mask_counts(results: Path) -> None:
    (results / "a.png.EX.corrected.png").unlink()
    first = read_review(results, CATALOG)[0]
    assert read_mask(first.masks["hard exudate"], (40, 48)).sum() == 40


def test_what_was_changed_is_refused(results: Path, tmp_path: Path) -> None:
    mask = results / "b.png.EX.corrected.png"
    mask.write_bytes(png(np.ones((40, 48))))
    for path in (results / ".tp-drseg" / "review").rglob("*.png"):
        if np.asarray(Image.open(path)).astype(bool).sum() == 100:
            path.unlink()
    Image.fromarray(np.zeros((40, 48, 3), np.uint8)).save(tmp_path / "in" / "a.png")
    with pytest.raises(DataError) as caught:
        read_review(results, CATALOG)
    text = str(caught.value)
    assert "a.png was changed since it was reviewed" in text
    assert "b.png.EX.corrected.png was changed since it was signed" in text


def test_a_photograph_that_is_gone_is_named(results: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "a.png").unlink()
    with pytest.raises(DataError, match=r"does not exist.*a\.png\.review\.json names it"):
        read_review(results, CATALOG)


def test_nothing_signed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Nobody has accepted"):
        read_review(tmp_path, CATALOG)
    with pytest.raises(DataError, match="no folder"):
        read_review(tmp_path / "missing", CATALOG)


def test_a_catalog_that_knows_none_of_the_lesions(results: Path) -> None:
    other = LesionCatalog((Lesion("disc", "OD", (), (Description("a bright disc"),)),))
    with pytest.raises(LesionError, match="hard exudate, microaneurysm"):
        read_review(results, other)


def test_a_review_that_names_masks_elsewhere_leads_nowhere(results: Path) -> None:
    path = results / "a.png.review.json"
    data = json.loads(path.read_text())
    data["masks"][0]["label"] = "../../in/a"
    path.write_text(json.dumps(data))
    assert [sample.name for sample in read_review(results, CATALOG)] == ["b.png"]
