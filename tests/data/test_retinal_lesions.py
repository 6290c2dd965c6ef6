from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tp_drseg.data.check import check
from tp_drseg.data.retinal_lesions import read_retinal_lesions
from tp_drseg.data.samples import read_ignored, read_mask
from tp_drseg.errors import DataError, LesionError
from tp_drseg.lesions import Description, Lesion, LesionCatalog

TOP = "retinal-lesions-v20191227"


@pytest.fixture
def root(tmp_path: Path, photograph: Any, mask: Any, clutter: Any) -> Path:
    """The third photograph has no folder of masks."""
    home = tmp_path / TOP
    for name in ("1_left", "1_right", "2_left"):
        photograph(home / "images_896x896" / f"{name}.jpg")
    masks = home / "lesion_segs_896x896"
    mask(masks / "1_left" / "microaneurysm.png")
    mask(masks / "1_left" / "cotton_wool_spots.png")
    mask(masks / "1_left" / "preretinal_hemorrhage.png")
    mask(masks / "1_right" / "retinal_hemorrhage.png")
    (home / "dr_grades.csv").touch()
    clutter(tmp_path)
    return tmp_path


def test_the_four_lesions(root: Path) -> None:
    samples = read_retinal_lesions(root)
    assert [sample.name for sample in samples] == ["1_left", "1_right", "2_left"]
    assert samples[0].image == root / TOP / "images_896x896" / "1_left.jpg"
    present = [{lesion for lesion, m in s.masks.items() if m is not None} for s in samples]
    assert present == [{"microaneurysm", "soft exudate"}, {"haemorrhage"}, set()]
    assert all(len(sample.masks) == 4 for sample in samples)
    counts = check(samples, samples[0].masks).lesions
    assert [(c.present, c.absent, c.files) for c in counts] == [
        (1, 2, 1), (1, 2, 1), (0, 3, 0), (1, 2, 1),
    ]  # fmt: skip


def test_127_is_neither_lesion_nor_background(root: Path) -> None:
    path = root / TOP / "lesion_segs_896x896" / "1_left" / "microaneurysm.png"
    grey = np.zeros((36, 48), np.uint8)
    grey[2, 3], grey[5, 6:9] = 255, 127
    Image.fromarray(grey).save(path)
    mask = read_retinal_lesions(root)[0].masks["microaneurysm"]
    np.testing.assert_array_equal(read_mask(mask, (36, 48)), grey == 255)
    np.testing.assert_array_equal(read_ignored(mask, (36, 48)), grey == 127)
    grey[0, 0] = 128
    Image.fromarray(grey).save(path)
    with pytest.raises(DataError, match=r"the values 128; only 0, 127, 255"):
        read_mask(mask, (36, 48))


def test_lesions_that_the_catalog_knows(root: Path) -> None:
    text = (Description("a dark boat-shaped pool"),)
    own = Lesion("preretinal hemorrhage", "PHE", (), text)
    first, *_ = read_retinal_lesions(root, LesionCatalog.default().add(own))
    assert first.masks["preretinal hemorrhage"] is not None
    assert first.masks["haemorrhage"] is None
    merged = Lesion("haemorrhage", "HE", ("preretinal hemorrhage",), text)
    with pytest.raises(LesionError, match="'preretinal hemorrhage' from other classes"):
        read_retinal_lesions(root, LesionCatalog((merged,)))


def test_bad_trees(root: Path, mask: Any) -> None:
    masks = root / TOP / "lesion_segs_896x896"
    mask(masks / "9_left" / "microaneurysm.png")
    mask(masks / "1_right" / "hemorrhage.png")
    with pytest.raises(DataError) as caught:
        read_retinal_lesions(root)
    _, orphan, unknown = str(caught.value).splitlines()
    assert "belong to no image: 9_left" in orphan
    assert "1_right has masks of no lesion of Retinal-Lesions: hemorrhage." in unknown
    assert "retinal_hemorrhage" in unknown
    masks.rename(root / TOP / "segs")
    with pytest.raises(DataError, match=r"no folder .*lesion_segs_896x896\. .*segs"):
        read_retinal_lesions(root)
    with pytest.raises(DataError, match=r"No Retinal-Lesions data.*'images_896x896'"):
        read_retinal_lesions(root / TOP / "segs")
