from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tp_drseg.errors import LesionError
from tp_drseg.images import Frame
from tp_drseg.inference.result import Segmentation
from tp_drseg.inference.results import Segmentations
from tp_drseg.lesions import LesionCatalog

CATALOG = LesionCatalog.default()


def segmentation(name: str, level: float) -> Segmentation:
    probability = np.zeros((40, 60), np.float32)
    probability[5:10, 5:10] = level
    return Segmentation(
        lesion=CATALOG[name].name,
        abbreviation=CATALOG[name].abbreviation,
        texts=("a text",),
        threshold=0.5,
        probability=probability,
        working_prior=np.zeros((4, 6), np.float32),
        frame=Frame((40, 60), (0, 0, 60, 40), (4, 6)),
        field_of_view=np.ones((40, 60), bool),
        image=np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8),
    )


@pytest.fixture
def results() -> Segmentations:
    return Segmentations((segmentation("EX", 0.9), segmentation("HE", 0.2)), CATALOG)


def test_in_order_and_by_any_name(results: Segmentations) -> None:
    assert results.names == ("hard exudate", "haemorrhage") and len(results) == 2
    assert [one.lesion for one in results] == list(results.names)
    for name in ("HE", "hemorrhages", "haemorrhage", 1, -1):
        assert results[name] is results.results[1]
    assert "EX" in results and results[0] in results
    assert "MA" not in results and "glaucoma" not in results and 3 not in results


def test_what_is_not_there(results: Segmentations) -> None:
    with pytest.raises(IndexError):
        results[2]
    with pytest.raises(LesionError, match="glaucoma"):
        results["glaucoma"]
    with pytest.raises(LesionError, match=r"microaneurysm was not asked for.*hard exudate"):
        results["MA"]


def test_results_that_do_not_belong_together(results: Segmentations) -> None:
    with pytest.raises(ValueError, match="no result"):
        Segmentations((), CATALOG)
    cut = replace(
        results[0],
        image=results[0].image[:30],
        probability=results[0].probability[:30],
        field_of_view=results[0].field_of_view[:30],
    )
    with pytest.raises(ValueError, match="different size"):
        Segmentations((results[0], cut), CATALOG)


def test_repr_is_a_line_a_lesion(results: Segmentations) -> None:
    lines = repr(results).splitlines()
    assert len(lines) == 4 and "hard exudate" in lines[1] and "haemorrhage" in lines[2]


def test_table(results: Segmentations) -> None:
    first, second = results.table()
    assert (first["lesion"], first["regions"], first["area_px"]) == ("hard exudate", 1, 25)
    assert (second["lesion"], second["regions"], second["area_px"]) == ("haemorrhage", 0, 0)


def test_overlay_keeps_the_photograph_and_adds_a_legend(results: Segmentations) -> None:
    picture = results.overlay()
    assert picture.width == 60 and picture.height > 40
    assert (np.asarray(picture)[20:28] == results[0].image[20:28]).all()
    assert np.asarray(picture)[40:].max() > 200  # something bright is written


def test_save(results: Segmentations, tmp_path: Path) -> None:
    paths = results.save(tmp_path / "eye")
    assert [path.name for path in paths] == ["EX.mask.png", "HE.mask.png", "overlay.jpg"]
    assert sorted(tmp_path.rglob("*.*")) == sorted(paths)
    with Image.open(paths[0]) as mask:
        assert (np.asarray(mask) == np.where(results[0].mask, 255, 0)).all()
