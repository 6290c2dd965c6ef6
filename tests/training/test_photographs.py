from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError, ImageError
from tp_drseg.training.photographs import load_photograph

LESIONS = ("red", "pale", "absent", "not annotated")
Y, X = np.mgrid[:120, :160]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """A retina of radius 50 about (80, 45), cut at the top, with two lesions."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[np.hypot(Y - 45, X - 80) < 50] = (140, 100, 70)
    masks: dict[str, Path | None] = {"absent": None}
    for name, (left, top) in {"red": (60, 20), "pale": (90, 60)}.items():
        mask = np.zeros((120, 160), np.uint8)
        mask[top : top + 10, left : left + 10] = 255
        image[mask > 0] = (250, 50, 20) if name == "red" else (250, 240, 200)
        masks[name] = tmp_path / f"{name}.png"
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    Image.fromarray(image).save(tmp_path / "eye.png")
    return Sample("eye", tmp_path / "eye.png", masks)


def test_a_square_of_the_field_of_view(sample: Sample) -> None:
    found = load_photograph(sample, LESIONS, 198)
    assert found.name == "eye"
    assert found.image.shape == (3, 198, 198) and found.image.dtype == torch.uint8
    assert found.masks.shape == (4, 198, 198) and found.masks.dtype == torch.uint8
    assert found.field_of_view.shape == (1, 198, 198)
    # twice as large as it was: 99 pixels wide, 95 high, the rest is padding
    height = round(198 * 95 / 99)
    assert not found.image[:, height:].any() and not found.field_of_view[:, height:].any()
    assert found.field_of_view[0, height // 2, 99] == 1 and found.field_of_view[0, 185, 5] == 0
    assert set(found.masks.flatten().tolist()) == {0, 1}
    for i, colour in ((0, (250, 50, 20)), (1, (250, 240, 200))):
        assert int(found.masks[i].sum()) == pytest.approx(400, abs=45)
        seen = found.image[:, found.masks[i] == 1].float().median(dim=1).values
        assert seen.tolist() == pytest.approx(colour, abs=12)
    assert not found.masks[2:].any()


def test_files_that_cannot_be_used(sample: Sample, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="none"):
        load_photograph(Sample("none", tmp_path / "none.png", {}), LESIONS, 64)
    Image.new("L", (20, 20)).save(tmp_path / "red.png")
    with pytest.raises(DataError, match=r"red\.png"):
        load_photograph(sample, LESIONS, 64)
